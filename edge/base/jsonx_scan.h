// What the files of jsonx share.
#ifndef STOA_BASE_JSONX_SCAN_H
#define STOA_BASE_JSONX_SCAN_H
#include "edge/base/jsonx.h"

// jsonx_is_valid, and has no more values than that; names of members are none.
bool jsonx_has_at_most(str text, unsigned depth, size_t values);
// Behind the string that begins at p; NULL: it is none.
const char *jsonx_scan_string(const char *p, const char *end);
const char *jsonx_skip_space(const char *p, const char *end);
#endif
