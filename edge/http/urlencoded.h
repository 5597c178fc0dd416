// Percent-encoding (RFC 3986 §2.1) and application/x-www-form-urlencoded (WHATWG URL) as far as
// requests need it.
#ifndef STOA_HTTP_URLENCODED_H
#define STOA_HTTP_URLENCODED_H
#include "edge/base/str.h"

// Decodes once into `to` (at least s.n bytes); a '+' becomes a space only when `is_form`. False on
// a '%' without two hex digits.
bool url_decode(str s, bool is_form, char *to, size_t *ret_n);
// Valid UTF-8 without control characters.
bool url_is_text(str s);
#endif
