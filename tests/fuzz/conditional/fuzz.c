// Conditions of a stranger: which of the five fields the bytes are for says the first of them. A weak
// tag never passes where a strong one is asked for, and a date that is read is one that can be written.
#include <assert.h>
#include "edge/http/conditional.h"
#include "edge/base/clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_date(str s)
{
    static const int64_t now = 1790000000;
    int64_t date, again;
    char text[CLOCK_HTTP_ROOM];
    static const int64_t year_10000 = 253402300800; // a leap second away from the last date
    if (!http_date_parse(s, now, &date) || date >= year_10000)
        return;
    clock_http_date((time_t)date, text);
    assert(http_date_parse(str_from(text), now, &again) && again == date);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct validators v = {{"\"abc\"", 5}, 784111777};
    if (size < 1)
        return 0;
    str value = str_of(data + 1, size - 1);
    struct conditions c = {0};
    if (data[0] & 1)
        c.if_match = value;
    if (data[0] & 2)
        c.if_unmodified_since = value;
    if (data[0] & 4)
        c.if_none_match = value;
    if (data[0] & 8)
        c.if_modified_since = value;
    enum verdict verdict = conditional_evaluate(&c, &v, 1790000000);
    assert(verdict != VERDICT_FAILED || c.if_match.p != NULL || c.if_unmodified_since.p != NULL);
    assert(verdict != VERDICT_NOT_MODIFIED || c.if_none_match.p != NULL ||
           c.if_modified_since.p != NULL);
    if (conditional_if_range(value, &v, 1790000000) && str_trim(value).p[0] == '"')
        assert(str_eq(str_trim(value), v.etag));
    check_date(value);
    return 0;
}
