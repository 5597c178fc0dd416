// The origin of a URL: scheme, host and port, spelled one way (RFC 6454), so that two can be
// compared byte by byte. The command line binds tokens to origins. Any thread.
#ifndef STOA_CLIENT_ORIGIN_H
#define STOA_CLIENT_ORIGIN_H
#include "edge/base/fail.h"

enum { ORIGIN_ROOM = 300 };

struct origin {
    char text[ORIGIN_ROOM]; // "https://stoa.example", "http://127.0.0.1:8081", "http://[::1]:1"
    bool is_https;
    bool is_loopback; // localhost and its subdomains, 127.0.0.0/8, ::1
};

// Reads a URL that names nothing but an origin: http or https, a host, a port, at most a "/" behind
// it. Host in lower case (IDNA as libcurl's), default ports left out. FAIL_BAD_INPUT with
// `bad_url` for all else: user info, path, query and fragment are told, not dropped.
MUST_CHECK enum fail origin_parse(const char *url, struct origin *ret, struct fault *fault);
bool origin_eq(const struct origin *a, const struct origin *b);
#endif
