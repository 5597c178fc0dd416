// Notes on the fields of a request's body.
#include "edge/http/call_fields.h"
#include "edge/base/jsonx.h"

void call_refuse_field(struct answer *answer, const char *field, const char *why)
{
    if (answer->details == NULL)
        answer->details = json_pack("{s{}}", "fields");
    json_object_set_new(json_object_get(answer->details, "fields"), field, json_string(why));
}

enum fail call_fields_verdict(const struct answer *answer, struct fault *fault)
{
    if (answer->details == NULL)
        return FAIL_NONE;
    return fault_set(fault, FAIL_REFUSED, "invalid_request",
                     "Some fields of the request cannot be accepted.");
}

bool call_is_text(str s, size_t max)
{
    size_t characters = 0, spaces = 0;
    for (size_t i = 0; i != s.n; ++i) {
        unsigned char c = (unsigned char)s.p[i];
        bool is_c1 = c == 0xc2 && i + 1 != s.n && (unsigned char)s.p[i + 1] < 0xa0;
        if (c < 0x20 || c == 0x7f || is_c1)
            return false;
        characters += (c & 0xc0) != 0x80;
        spaces += c == ' ';
    }
    return spaces != characters && characters <= max;
}

str call_name_field(const struct call *call, struct answer *answer, const char *field)
{
    str name = jsonx_str(call->json, field);
    if (!call_is_text(name, CALL_NAME_MAX))
        call_refuse_field(answer, field,
                          "This must have 1 to 100 characters, none of them control characters.");
    return name;
}
