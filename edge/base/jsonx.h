// Packing JSON: the door by which jansson values become bytes and bytes become values, with limits.
// jansson values may travel.
#ifndef STOA_BASE_JSONX_H
#define STOA_BASE_JSONX_H
#include <jansson.h>
#include "edge/base/fail.h"

// Strict: UTF-8, no duplicate keys, depth as jansson's, an object or array at the top, nothing
// behind it. NULL with `*fault` filled (FAIL_BAD_INPUT, "invalid_json") when it is not; a new
// reference otherwise.
json_t *jsonx_parse(str text, struct fault *fault);
// Compact bytes, NUL-terminated, to be freed; aborts when out of memory.
char *jsonx_dump(const json_t *value, size_t *ret_n);
// The member as a string view that lives as long as the object, or an absent one (p == NULL) when
// it is missing or no string.
str jsonx_str(const json_t *object, const char *key);
// Adds the bytes as a JSON string, quotes included; what is no valid UTF-8 becomes U+FFFD, as a
// browser's text() has it.
void jsonx_add_string(struct buf *to, str s);
// A new string value of bytes that are valid UTF-8 (invalid ones are cut at the first bad byte).
json_t *jsonx_string(str s);
#endif
