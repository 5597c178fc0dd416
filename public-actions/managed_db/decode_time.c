// Dates and times in PostgreSQL's ISO style into what JSON.stringify makes of a Date: UTC,
// milliseconds, years outside 0000 to 9999 with a sign and six digits (ECMA-262, "Date Time String
// Format"). A date is its midnight. Microseconds are cut, as node-postgres does.
#include "public-actions/managed_db/decode.h"

struct moment {
    int64_t year; // astronomical: 0 is 1 BC
    unsigned month, day, hour, minute, second, millisecond;
    int offset; // seconds east of UTC
};

static bool eat(str *rest, char c)
{
    if (rest->n == 0 || rest->p[0] != c)
        return false;
    *rest = str_skip(*rest, 1);
    return true;
}

static bool eat_number(str *rest, size_t least, size_t most, unsigned *ret)
{
    size_t n = 0;
    unsigned v = 0;
    for (; n != rest->n && n != most && rest->p[n] >= '0' && rest->p[n] <= '9'; ++n)
        v = v * 10 + (unsigned)(rest->p[n] - '0');
    *rest = str_skip(*rest, n);
    *ret = v;
    return n >= least;
}

static bool eat_fraction(str *rest, struct moment *m)
{
    unsigned scale = 100, digit;
    if (!eat(rest, '.'))
        return true;
    if (!eat_number(rest, 1, 1, &digit))
        return false;
    do {
        m->millisecond += digit * scale;
        scale /= 10;
    } while (eat_number(rest, 1, 1, &digit));
    return true;
}

static bool eat_offset(str *rest, struct moment *m)
{
    unsigned hours, minutes = 0, seconds = 0;
    bool is_west = eat(rest, '-');
    if (!is_west && !eat(rest, '+'))
        return true;
    if (!eat_number(rest, 2, 2, &hours) || (eat(rest, ':') && !eat_number(rest, 2, 2, &minutes)) ||
        (eat(rest, ':') && !eat_number(rest, 2, 2, &seconds)))
        return false;
    m->offset = (int)(hours * 3600 + minutes * 60 + seconds) * (is_west ? -1 : 1);
    return true;
}

static bool read_moment(str text, struct moment *m)
{
    unsigned year;
    *m = (struct moment){0};
    if (!eat_number(&text, 4, 6, &year) || !eat(&text, '-') ||
        !eat_number(&text, 2, 2, &m->month) || !eat(&text, '-') ||
        !eat_number(&text, 2, 2, &m->day) || m->month < 1 || m->month > 12)
        return false;
    if (eat(&text, ' ') && !str_eq(text, STR("BC"))) {
        if (!eat_number(&text, 2, 2, &m->hour) || !eat(&text, ':') ||
            !eat_number(&text, 2, 2, &m->minute) || !eat(&text, ':') ||
            !eat_number(&text, 2, 2, &m->second) || !eat_fraction(&text, m) ||
            !eat_offset(&text, m))
            return false;
        (void)eat(&text, ' ');
    }
    bool is_bc = str_eq(text, STR("BC"));
    m->year = is_bc ? 1 - (int64_t)year : (int64_t)year;
    return is_bc || text.n == 0;
}

// Days since 1970-01-01 in the proleptic Gregorian calendar: years begin in March, so that the leap
// day is the last of its year, and 400 of them have 146,097 days.
static int64_t days_of(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t in_era = year - era * 400, from_march = (month + 9) % 12;
    int64_t in_year = (153 * from_march + 2) / 5 + day - 1;
    return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

static void date_of(int64_t days, struct moment *m)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097, in_era = days - era * 146097;
    int64_t years = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t in_year = in_era - (365 * years + years / 4 - years / 100);
    int64_t from_march = (5 * in_year + 2) / 153;
    m->day = (unsigned)(in_year - (153 * from_march + 2) / 5 + 1);
    m->month = (unsigned)(from_march < 10 ? from_march + 3 : from_march - 9);
    m->year = years + era * 400 + (m->month <= 2);
}

static void to_utc(struct moment *m)
{
    int64_t second = days_of(m->year, m->month, m->day) * 86400 + (int64_t)m->hour * 3600 +
                     (int64_t)m->minute * 60 + m->second - m->offset;
    int64_t days = (second >= 0 ? second : second - 86399) / 86400, in_day = second - days * 86400;
    date_of(days, m);
    m->hour = (unsigned)(in_day / 3600);
    m->minute = (unsigned)(in_day / 60 % 60);
    m->second = (unsigned)(in_day % 60);
}

// `count` digits, with leading zeros; returns what is behind them.
static char *put_number(char *to, unsigned v, unsigned count)
{
    for (unsigned i = count; i != 0; v /= 10)
        to[--i] = (char)('0' + v % 10);
    return to + count;
}

// printf would be most of what a value costs.
static size_t format(const struct moment *m, char *to)
{
    char *at = to;
    bool is_plain = m->year >= 0 && m->year <= 9999;
    *at++ = '"';
    if (!is_plain)
        *at++ = m->year < 0 ? '-' : '+';
    at = put_number(at, (unsigned)(m->year < 0 ? -m->year : m->year), is_plain ? 4 : 6);
    const unsigned parts[] = {m->month, m->day, m->hour, m->minute, m->second};
    for (size_t i = 0; i != 5; ++i) {
        *at++ = "--T::"[i];
        at = put_number(at, parts[i], 2);
    }
    *at++ = '.';
    at = put_number(at, m->millisecond, 3);
    *at++ = 'Z';
    *at++ = '"';
    return (size_t)(at - to);
}

bool managed_db_time_write(str text, struct buf *to)
{
    struct moment m;
    if (!read_moment(text, &m))
        return false;
    to_utc(&m);
    if (m.year > 275760 || m.year < -271821) { // no Date can hold it
        buf_add(to, STR("null"));
        return true;
    }
    char json[32];
    buf_add(to, str_of(json, format(&m, json)));
    return true;
}
