// Rounding is to the nearest shown figure; a time always rounds down, so that nothing is older than
// it says.
#include "edge/cli/units.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

const char *units_bytes(uint64_t bytes, char to[static UNITS_ROOM])
{
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 999.5 && unit != 4) {
        value /= 1024;
        ++unit;
    }
    snprintf(to, UNITS_ROOM, "%.*f %s", unit == 0 || value >= 9.95 ? 0 : 1, value, names[unit]);
    return to;
}

// Exactly `n` digits at *rest, which moves behind them and one following `sep` (0 = none).
static bool take_digits(str *rest, size_t n, char sep, int *ret)
{
    uint64_t value;
    if (rest->n < n + (sep != 0) || !str_to_u64(str_of(rest->p, n), 9999, &value))
        return false;
    *ret = (int)value;
    *rest = str_skip(*rest, n);
    if (sep == 0)
        return true;
    bool fits = *rest->p == sep || (sep == 'T' && (*rest->p == 't' || *rest->p == ' '));
    *rest = str_skip(*rest, 1);
    return fits;
}

static bool take_fraction(str *rest, int *ret_ms)
{
    *ret_ms = 0;
    if (rest->n == 0 || rest->p[0] != '.')
        return true;
    *rest = str_skip(*rest, 1);
    int digits = 0;
    for (; rest->n != 0 && rest->p[0] >= '0' && rest->p[0] <= '9'; *rest = str_skip(*rest, 1))
        if (++digits <= 3)
            *ret_ms = *ret_ms * 10 + (rest->p[0] - '0');
    for (int i = digits; i < 3; ++i)
        *ret_ms *= 10;
    return digits != 0;
}

static bool take_zone(str rest, int64_t *ret_ms)
{
    int hours, minutes;
    *ret_ms = 0;
    if (str_caseeq(rest, STR("z")))
        return true;
    if (rest.n != 6 || (rest.p[0] != '+' && rest.p[0] != '-'))
        return false;
    int64_t sign = rest.p[0] == '+' ? 1 : -1;
    rest = str_skip(rest, 1);
    if (!take_digits(&rest, 2, ':', &hours) || !take_digits(&rest, 2, 0, &minutes))
        return false;
    *ret_ms = sign * (hours * 60 + minutes) * 60000;
    return true;
}

bool units_parse_time(str text, int64_t *ret_ms)
{
    struct tm tm = {.tm_isdst = 0};
    int ms;
    int64_t zone;
    if (!take_digits(&text, 4, '-', &tm.tm_year) || !take_digits(&text, 2, '-', &tm.tm_mon) ||
        !take_digits(&text, 2, 'T', &tm.tm_mday) || !take_digits(&text, 2, ':', &tm.tm_hour) ||
        !take_digits(&text, 2, ':', &tm.tm_min) || !take_digits(&text, 2, 0, &tm.tm_sec) ||
        !take_fraction(&text, &ms) || !take_zone(text, &zone))
        return false;
    if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 ||
        tm.tm_min > 59 || tm.tm_sec > 60)
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *ret_ms = (int64_t)timegm(&tm) * 1000 + ms - zone;
    return true;
}

const char *units_relative(int64_t now_ms, int64_t then_ms, char to[static UNITS_ROOM])
{
    int64_t seconds = llabs(now_ms - then_ms) / 1000;
    bool future = then_ms > now_ms;
    if (seconds < 10) {
        snprintf(to, UNITS_ROOM, "%s", future ? "in a moment" : "just now");
        return to;
    }
    if (seconds >= 30 * 86400) {
        time_t t = (time_t)(then_ms / 1000);
        struct tm tm;
        gmtime_r(&t, &tm);
        strftime(to, UNITS_ROOM, "%Y-%m-%d", &tm);
        return to;
    }
    int64_t n = seconds < 60      ? seconds
                : seconds < 3600  ? seconds / 60
                : seconds < 86400 ? seconds / 3600
                                  : seconds / 86400;
    const char *unit = seconds < 60      ? "s"
                       : seconds < 3600  ? "min"
                       : seconds < 86400 ? "h"
                       : n == 1          ? "day"
                                         : "days";
    snprintf(to, UNITS_ROOM, "%s%lld %s%s", future ? "in " : "", (long long)n, unit,
             future ? "" : " ago");
    return to;
}

bool units_parse_span(str text, int64_t *ret_ms)
{
    static const struct {
        char letter;
        int64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}, {'w', 604800000}};
    const int64_t most = 3653LL * 86400000;
    uint64_t n;
    if (text.n < 2 || !str_to_u64(str_of(text.p, text.n - 1), 1000000000, &n) || n == 0)
        return false;
    for (size_t i = 0; i != sizeof units / sizeof *units; ++i) {
        if (units[i].letter != text.p[text.n - 1] || (int64_t)n > most / units[i].ms)
            continue;
        *ret_ms = (int64_t)n * units[i].ms;
        return true;
    }
    return false;
}
