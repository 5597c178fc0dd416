// Base64 (RFC 4648 §4) as handlers give it: what atob() accepts, so blanks anywhere and the padding
// left out are fine. Any thread.
#ifndef STOA_UPLOADS_BASE64_H
#define STOA_UPLOADS_BASE64_H
#include "edge/base/str.h"

enum { FILES_BASE64_SLACK = 3 };
// `to` has room for text.n / 4 * 3 + FILES_BASE64_SLACK bytes. False when it is anything else.
bool files_base64_decode(str text, char *to, size_t *ret_n);
#endif
