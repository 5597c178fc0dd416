// Conditional requests (RFC 9110 §13) and the dates they compare (§5.6.7). Pure; any thread.
#ifndef STOA_HTTP_CONDITIONAL_H
#define STOA_HTTP_CONDITIONAL_H
#include "edge/base/str.h"

// What the selected representation is known by.
struct validators {
    str etag;              // strong, with its quotes
    int64_t last_modified; // seconds since 1970
};

// The request's fields; p == NULL where there is none.
struct conditions {
    str if_match, if_unmodified_since, if_none_match, if_modified_since;
};

enum verdict {
    VERDICT_GO_ON,
    VERDICT_NOT_MODIFIED, // 304
    VERDICT_FAILED,       // 412
};

// For GET and HEAD, in the order of §13.2.2. `now` (seconds) tells the century of two-digit years.
// Dates that are none are ignored; an entity-tag list counts up to its first malformed member.
enum verdict conditional_evaluate(const struct conditions *c, const struct validators *v,
                                  int64_t now);
// Whether an If-Match or If-None-Match ("*", or a list) has the tag, compared strongly (§8.8.3.2) or
// weakly.
bool conditional_has_tag(str list, str etag, bool weak_is_enough);
// §13.1.5: whether Range is to be heeded: the same strong entity tag, or the very same date.
bool conditional_if_range(str if_range, const struct validators *v, int64_t now);
// IMF-fixdate, RFC 850's form and asctime's; false when it is none of them.
bool http_date_parse(str s, int64_t now, int64_t *ret);
#endif
