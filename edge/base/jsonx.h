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
enum { JSONX_DEPTH_MAX = 2048 }; // jansson's own
// Handlers' and visitors' text: all that jsonx_is_valid takes, of any type, as JSON.parse has it. Of
// members of one name the last stays; strings may hold NUL (read their length); a surrogate without
// a partner is U+FFFD, and an integer beyond 64 bits a real. What jansson has no room for is brought
// near: NUL in a member's name is "?", a real beyond all reals the largest. A new reference, or NULL
// when it is no JSON, is nested JSONX_DEPTH_MAX deep, or has more than `values_max` values: one that
// is two bytes of text may take a hundred of memory, and a megabyte of them 100 ms.
json_t *jsonx_parse_theirs(str text, size_t values_max);
// Whether `text` is one JSON value (of any type) in valid UTF-8, nested at most `depth` deep. For
// text that is passed on as it is: nothing is built, and a megabyte costs about a millisecond. Says
// nothing of duplicate keys, of escaped surrogates without a partner, nor of how large a number is;
// jansson refuses the latter two.
bool jsonx_is_valid(str text, unsigned depth);
// What is between the brackets or braces of a value that is known to be valid; p == NULL: it is
// neither array nor object. jsonx_next takes one item or member after the other from it; false:
// there are no more. Names (p == NULL in arrays) and strings are as they are written, names without
// their quotes. Nothing is built; each byte is looked at once.
str jsonx_inside(str value);
bool jsonx_next(str *inside, str *ret_name, str *ret_value);
// The last member of that name, one that is written without escapes; p == NULL: there is none.
str jsonx_member(str object, str name);
// The text of a string that is known to be valid, given without its quotes; a surrogate without a
// partner becomes U+FFFD. Returns how many bytes were written, never more than inside.n; `to` may be
// where `inside` is.
size_t jsonx_unescape(str inside, char *to);
// Compact bytes, NUL-terminated, to be freed; aborts when out of memory. Reals have as few digits as
// say the same one again.
char *jsonx_dump(const json_t *value, size_t *ret_n);
// The same in another look, such as JSON_INDENT(2).
char *jsonx_dump_as(const json_t *value, size_t jansson_flags, size_t *ret_n);
// The member as a string view that lives as long as the object, or an absent one (p == NULL) when
// it is missing or no string.
str jsonx_str(const json_t *object, const char *key);
// Adds the bytes as a JSON string, quotes included; what is no valid UTF-8 becomes U+FFFD, as a
// browser's text() has it.
void jsonx_add_string(struct buf *to, str s);
// A new string value of bytes that are valid UTF-8 (invalid ones are cut at the first bad byte).
json_t *jsonx_string(str s);
#endif
