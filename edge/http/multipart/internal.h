// What multipart.c and params.c share: `; name=value` lists of header fields (RFC 9110 §5.6.6), and
// the two spellings of a file's name. Pure.
#ifndef STOA_HTTP_MULTIPART_INTERNAL_H
#define STOA_HTTP_MULTIPART_INTERNAL_H
#include "edge/http/multipart/multipart.h"

struct param {
    str name;  // a token, as sent
    str value; // what stands between the quotes, with its escapes, or the bare word
    bool is_quoted;
};
enum param_result { PARAM_OK, PARAM_END, PARAM_BAD };

bool multipart_is_token(str s);
// The next parameter of `*rest`, which begins at a ';' or is empty.
enum param_result multipart_param_next(str *rest, struct param *ret);
// Passes over parameters that are empty, "; ;": a field of the request may hold them (RFC 9110 §5.6.6).
void multipart_params_skip_empty(str *rest);
// A name in a form: \" and \\ of a quoted-string, and the %22 %0D %0A that browsers write (WHATWG
// HTML §4.10.22.8), undone. NULL-terminated in `to`, which has room for the value and a NUL.
size_t multipart_param_decode(const struct param *p, char *to);
// RFC 8187: UTF-8''percent-encoded. False when it is anything else, or not UTF-8. `to` likewise.
bool multipart_param_decode_extended(const struct param *p, char *to, size_t *ret_n);
#endif
