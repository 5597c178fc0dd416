// A handler's parameters on their way into a statement: as text, typed by the statement, in the way
// node-postgres writes them.
#ifndef STOA_MANAGED_DB_ENCODE_H
#define STOA_MANAGED_DB_ENCODE_H
#include "edge/base/fail.h"

enum { MANAGED_DB_PARAMS_MAX = 65535, MANAGED_DB_PARAMS_BYTES = 8 * 1024 * 1024 };

struct managed_db_params {
    int count;
    const char **values; // NUL-terminated, into `text`; NULL: SQL NULL
    struct buf text;
};
// `array`: a JSON array, known to be valid (jsonx_is_valid), of
//   null, true, false, a number, a string,
//   {"t":"json","v":text}     an object: its JSON, as text
//   {"t":"array","v":[…]}     an array of all of these: an array literal, {"1","a",NULL,{…}}
//   {"t":"date","v":text}     as it is
//   {"t":"bytes","v":base64}  \x…
// or null, which is none. Failures: FAIL_BAD_INPUT "invalid_parameter", FAIL_TOO_LARGE
// "parameters_too_large".
enum fail managed_db_params_init(struct managed_db_params *p, str array,
                                 struct fault *fault) MUST_CHECK;
// Takes one that is zeroed, or was left by a failure.
void managed_db_params_fini(struct managed_db_params *p);
#endif
