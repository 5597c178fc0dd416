// What is wrong with the fields of a call's JSON body beyond their types, all of it at once: each
// wrong one is noted in details.fields of the answer, and a verdict is asked for at the end.
//
//     str name = call_name_field(call, answer, "displayName");
//     if (…)
//         call_refuse_field(answer, "slug", "This must …");
//     enum fail f = call_fields_verdict(answer, fault);
#ifndef STOA_HTTP_CALL_FIELDS_H
#define STOA_HTTP_CALL_FIELDS_H
#include "edge/http/endpoint.h"

enum { CALL_NAME_MAX = 100 }; // characters of what people call something

// `why` is a sentence that begins with "This".
void call_refuse_field(struct answer *answer, const char *field, const char *why);
// FAIL_REFUSED "invalid_request" when any was refused.
enum fail call_fields_verdict(const struct answer *answer, struct fault *fault) MUST_CHECK;
// Whether it is shown as it is: 1 to `max` characters, not only spaces, no control characters (C0,
// DEL, C1). Valid UTF-8, as all JSON.
bool call_is_text(str s, size_t max);
// The field as a name of 1 to CALL_NAME_MAX characters; borrowed from the body.
str call_name_field(const struct call *call, struct answer *answer, const char *field);
#endif
