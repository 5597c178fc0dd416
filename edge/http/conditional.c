#include "edge/http/conditional.h"
#include <time.h>

enum { YEAR_SECONDS = 31556952 };

// --- dates ---

// Reads a date by a pattern: 'd' a digit, '_' a digit or a space, 'M' a month's name (three
// letters), 'W' any letter, everything else itself. Digits are added up per field in the order they
// come.
struct date_fields {
    int day, year, hour, minute, second, month;
};

static int digit(char c, bool space)
{
    if (space && c == ' ')
        return 0;
    return c >= '0' && c <= '9' ? c - '0' : -1;
}

static bool number(str s, size_t at, size_t n, bool space, int *ret)
{
    int value = 0;
    for (size_t i = 0; i < n; i++) {
        int d = digit(s.p[at + i], space && i == 0);
        if (d < 0)
            return false;
        value = value * 10 + d;
    }
    *ret = value;
    return true;
}

static bool name_of(str s, size_t at, const char *names, size_t count, int *ret)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(s.p + at, names + i * 3, 3) == 0) {
            *ret = (int)i;
            return true;
        }
    return false;
}

static bool month(str s, size_t at, int *ret)
{
    return name_of(s, at, "JanFebMarAprMayJunJulAugSepOctNovDec", 12, ret);
}

static bool weekday(str s)
{
    int ignored;
    return name_of(s, 0, "MonTueWedThuFriSatSun", 7, &ignored);
}

static bool clock_time(str s, size_t at, struct date_fields *f)
{
    return s.p[at + 2] == ':' && s.p[at + 5] == ':' && number(s, at, 2, false, &f->hour) &&
           number(s, at + 3, 2, false, &f->minute) && number(s, at + 6, 2, false, &f->second);
}

// "Sun, 06 Nov 1994 08:49:37 GMT"
static bool imf_fixdate(str s, struct date_fields *f)
{
    return s.n == 29 && weekday(s) && memcmp(s.p + 3, ", ", 2) == 0 && s.p[7] == ' ' &&
           s.p[11] == ' ' && s.p[16] == ' ' && memcmp(s.p + 25, " GMT", 4) == 0 &&
           number(s, 5, 2, false, &f->day) && month(s, 8, &f->month) &&
           number(s, 12, 4, false, &f->year) && clock_time(s, 17, f);
}

// "Sunday, 06-Nov-94 08:49:37 GMT": a year that looks more than 50 years ahead is of the century
// before.
static bool rfc850_date(str s, int64_t now, struct date_fields *f)
{
    size_t comma = str_find(s, ',');
    if (comma == SIZE_MAX || comma < 6 || comma > 9 || s.n != comma + 24 || !weekday(s))
        return false;
    s = str_skip(s, comma);
    if (s.p[1] != ' ' || s.p[4] != '-' || s.p[8] != '-' || s.p[11] != ' ' ||
        memcmp(s.p + 20, " GMT", 4) != 0 || !number(s, 2, 2, false, &f->day) ||
        !month(s, 5, &f->month) || !number(s, 9, 2, false, &f->year) || !clock_time(s, 12, f))
        return false;
    int this_year = 1970 + (int)(now / YEAR_SECONDS);
    f->year += this_year / 100 * 100;
    if (f->year > this_year + 50)
        f->year -= 100;
    return true;
}

// "Sun Nov  6 08:49:37 1994"
static bool asctime_date(str s, struct date_fields *f)
{
    return s.n == 24 && weekday(s) && s.p[3] == ' ' && s.p[7] == ' ' && s.p[10] == ' ' &&
           s.p[19] == ' ' && month(s, 4, &f->month) && number(s, 8, 2, true, &f->day) &&
           clock_time(s, 11, f) && number(s, 20, 4, false, &f->year);
}

static bool fields_to_time(const struct date_fields *f, int64_t *ret)
{
    if (f->day < 1 || f->day > 31 || f->hour > 23 || f->minute > 59 || f->second > 60 ||
        f->year < 1900)
        return false;
    struct tm tm = {.tm_sec = f->second,
                    .tm_min = f->minute,
                    .tm_hour = f->hour,
                    .tm_mday = f->day,
                    .tm_mon = f->month,
                    .tm_year = f->year - 1900};
    *ret = timegm(&tm);
    return tm.tm_mday == f->day || f->second == 60; // timegm carries 31 June over into July
}

bool http_date_parse(str s, int64_t now, int64_t *ret)
{
    struct date_fields f = {0};
    if (!imf_fixdate(s, &f) && !rfc850_date(s, now, &f) && !asctime_date(s, &f))
        return false;
    return fields_to_time(&f, ret);
}

// --- entity tags ---

struct tag {
    bool weak;
    str opaque; // with its quotes
};

static bool is_tag_byte(unsigned char c)
{
    return c == 0x21 || (c >= 0x23 && c <= 0x7e) || c >= 0x80;
}

// Takes one entity-tag off the front of *s.
static bool tag_take(str *s, struct tag *ret)
{
    ret->weak = str_starts(*s, STR("W/"));
    str rest = ret->weak ? str_skip(*s, 2) : *s;
    if (rest.n < 2 || rest.p[0] != '"')
        return false;
    size_t n = 1;
    while (n < rest.n && is_tag_byte((unsigned char)rest.p[n]))
        n++;
    if (n == rest.n || rest.p[n] != '"')
        return false;
    ret->opaque = str_of(rest.p, n + 1);
    *s = str_skip(rest, n + 1);
    return true;
}

// Whether a list (RFC 9110 §5.6.1, empty members allowed) or "*" has the tag.
bool conditional_has_tag(str list, str etag, bool weak_is_enough)
{
    if (str_eq(str_trim(list), STR("*")))
        return true;
    for (;;) {
        struct tag tag;
        while (list.n > 0 && (list.p[0] == ' ' || list.p[0] == '\t' || list.p[0] == ','))
            list = str_skip(list, 1);
        if (!tag_take(&list, &tag))
            return false;
        list = str_trim(list);
        if (list.n > 0 && list.p[0] != ',')
            return false;
        if ((weak_is_enough || !tag.weak) && str_eq(tag.opaque, etag))
            return true;
    }
}

// --- the conditions, in the order of RFC 9110 §13.2.2 ---

static bool is_modified_since(str date, const struct validators *v, int64_t now, bool if_malformed)
{
    int64_t since;
    if (!http_date_parse(str_trim(date), now, &since))
        return if_malformed;
    return v->last_modified > since;
}

enum verdict conditional_evaluate(const struct conditions *c, const struct validators *v,
                                  int64_t now)
{
    if (c->if_match.p != NULL) {
        if (!conditional_has_tag(c->if_match, v->etag, false))
            return VERDICT_FAILED;
    } else if (c->if_unmodified_since.p != NULL) {
        if (is_modified_since(c->if_unmodified_since, v, now, false))
            return VERDICT_FAILED;
    }
    if (c->if_none_match.p != NULL)
        return conditional_has_tag(c->if_none_match, v->etag, true) ? VERDICT_NOT_MODIFIED
                                                                    : VERDICT_GO_ON;
    if (c->if_modified_since.p != NULL && !is_modified_since(c->if_modified_since, v, now, true))
        return VERDICT_NOT_MODIFIED;
    return VERDICT_GO_ON;
}

bool conditional_if_range(str if_range, const struct validators *v, int64_t now)
{
    int64_t date;
    if_range = str_trim(if_range);
    if (str_starts(if_range, STR("\"")) || str_starts(if_range, STR("W/")))
        return str_eq(if_range, v->etag);
    return http_date_parse(if_range, now, &date) && date == v->last_modified;
}
