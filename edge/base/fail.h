// How fallible functions say what went wrong. A code exists only if some caller acts on it; words
// for people travel in a `fault` on the caller's stack. Any thread.
#ifndef STOA_BASE_FAIL_H
#define STOA_BASE_FAIL_H
#include "edge/base/str.h"

enum fail {
    FAIL_NONE = 0,
    FAIL_BAD_INPUT,    // malformed: 400
    FAIL_UNAUTHORISED, // no credential, or a bad one: 401
    FAIL_DENIED,       // known, but not allowed: 403
    FAIL_NOT_FOUND,    // absent, or not yours: 404
    FAIL_CONFLICT,     // 409
    FAIL_TOO_LARGE,    // 413
    FAIL_BAD_TYPE,     // 415
    FAIL_REFUSED,      // well-formed, but refused: 422
    FAIL_TOO_MANY,     // 429
    FAIL_UPSTREAM,     // 502
    FAIL_BUSY,         // try again later: 503
    FAIL_TIMEOUT,      // 504
    FAIL_QUOTA,        // 507
    FAIL_INTERNAL,     // 500; the log has the reason
};

#define MUST_CHECK __attribute__((warn_unused_result))

// `code` is the snake_case code of contract §1, `public_text` a sentence a person can act on,
// `log_text` what only the operator sees.
struct fault {
    enum fail fail;
    const char *code; // a string literal
    char public_text[320];
    char log_text[320];
};

// Fill `*fault` (which may be NULL) and return `fail`, so that a caller writes: return
// fault_set(fault, FAIL_…, "code", "A sentence.").
enum fail fault_set(struct fault *fault, enum fail fail, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
// The operator's half; keeps what fault_set has put in.
void fault_log(struct fault *fault, const char *format, ...) __attribute__((format(printf, 2, 3)));
#endif
