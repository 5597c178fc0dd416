// What the web's standards ask of bytes, in plain C over the bytes of a stranger: text encodings
// (encoding.spec.whatwg.org), forgiving base64 (infra.spec.whatwg.org) and digests. No state, no
// allocation but a digest's; out-buffers are sized by the caller as said.
#ifndef STOA_RUNTIME_WEB_H
#define STOA_RUNTIME_WEB_H
#include "edge/base/str.h"

// UTF-16 to UTF-8; a surrogate without its partner becomes U+FFFD. `to` has 3 bytes for each unit.
size_t web_utf8_from_utf16(const uint16_t *from, size_t n, char *to);
// UTF-8 to UTF-16, bad sequences replaced by U+FFFD as the standard's decoder does (one for each
// maximal prefix). `to` has one unit for each byte. With `is_fatal`, SIZE_MAX when there is one.
size_t web_utf16_from_utf8(str from, bool is_fatal, uint16_t *to);
// How many bytes at the end are the beginning of a sequence that more bytes could complete: 0–3.
size_t web_utf8_incomplete(str s);
// The number of UTF-16 units that valid UTF-8 makes.
size_t web_utf16_length(str utf8);
// Replaces each escape of a lone surrogate (\ud800) in JSON text by \ufffd, in place: JSON parsers
// that insist on Unicode refuse them. Pairs must not be escaped.
void web_json_mend(char *json, size_t n);
// How deep valid JSON is nested.
size_t web_json_depth(str json);

// `to` has 4 bytes for each begun three.
size_t web_base64_encode(str from, char *to);
// White space and missing padding are forgiven. `to` has 3 bytes for each begun four, and may be
// where `from` is; SIZE_MAX: it is no base64.
size_t web_base64_decode(str from, char *to);

enum { WEB_DIGEST_MAX = 64 };
// bits: 1 (SHA-1), 256, 384 or 512; the length of the digest, 0 for another number.
size_t web_digest(unsigned bits, str from, uint8_t to[static WEB_DIGEST_MAX]);
#endif
