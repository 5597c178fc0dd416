// Judges a complete HTTP/1 head that picohttpparser has taken apart, and straightens it for libh2o,
// which would accept nearly anything. Pure but for the head's own bytes and fields.
#ifndef STOA_GUARD_HEAD_H
#define STOA_GUARD_HEAD_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "edge/base/str.h"

// The layout of picohttpparser's struct of that name. A folded line has no name.
struct phr_header {
    const char *name;
    size_t name_len;
    const char *value;
    size_t value_len;
};

struct head {
    // in
    char *bytes; // writable, from the first byte of the request to behind its empty line
    size_t n;
    str method;
    int minor_version;
    struct phr_header *fields;
    // in and out
    str target;
    size_t count;
    // out
    str authority;             // p == NULL: none (HTTP/1.0)
    struct phr_header *entity; // the field that says a body follows, or NULL
    bool is_chunked;
    uint64_t content_length; // UINT64_MAX: longer than that
};

// False: 400. True, and then:
// - no repeated, folded, contradicting or malformed framing fields (RFC 9112 §6.3), lines end in
// CRLF, exactly one Host over
//   HTTP/1.1, valid (§3.2), version 1.0 or 1.1;
// - an absolute-form target has been cut to its path, and its authority stands in the Host field
// (§3.2.2);
// - values have no white space behind them; each Connection field says just "close" or "keep-alive"
// (§9.3); Upgrade is gone.
bool head_straighten(struct head *h);

bool head_is_token(str s);     // RFC 9110 §5.6.2
bool head_is_authority(str s); // host [":" port], no user information, not empty
bool head_is_target(str s,
                    str method); // begins with '/', or "*" for OPTIONS; no space, control or DEL
#endif
