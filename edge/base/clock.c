// Time.
#include "edge/base/clock.h"
#include <stdio.h>

uint64_t clock_monotonic_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t clock_monotonic_ms(void)
{
    return clock_monotonic_us() / 1000;
}

int64_t clock_real_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void clock_rfc3339(int64_t real_ms, char to[static CLOCK_RFC3339_ROOM])
{
    time_t t = (time_t)(real_ms / 1000);
    struct tm tm;
    gmtime_r(&t, &tm);
    char stem[64];
    strftime(stem, sizeof stem, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(to, CLOCK_RFC3339_ROOM, "%.19s.%03dZ", stem, (int)(real_ms % 1000));
}

// Takes exactly n digits off the front.
static bool take_number(str *rest, size_t n, int max, int *ret)
{
    uint64_t v = 0;
    if (rest->n < n || !str_to_u64(str_of(rest->p, n), (uint64_t)max, &v))
        return false;
    *rest = str_skip(*rest, n);
    *ret = (int)v;
    return true;
}

static bool take_byte(str *rest, const char *any_of)
{
    if (rest->n == 0 || rest->p[0] == '\0' || strchr(any_of, rest->p[0]) == NULL)
        return false;
    *rest = str_skip(*rest, 1);
    return true;
}

// A second's fraction, if there is one: further digits than three are cut.
static bool take_fraction(str *rest, int *ret_ms)
{
    int scale = 100, ms = 0;
    size_t digits = 0;
    if (!take_byte(rest, "."))
        return true;
    for (int digit; take_number(rest, 1, 9, &digit); ++digits, scale /= 10)
        ms += digit * scale;
    *ret_ms = ms;
    return digits != 0;
}

static bool take_offset(str *rest, int *ret_minutes)
{
    int hours, minutes;
    if (take_byte(rest, "Zz"))
        return true;
    bool west = rest->n != 0 && rest->p[0] == '-';
    if (!take_byte(rest, "+-") || !take_number(rest, 2, 23, &hours) || !take_byte(rest, ":") ||
        !take_number(rest, 2, 59, &minutes))
        return false;
    *ret_minutes = (west ? -1 : 1) * (hours * 60 + minutes);
    return true;
}

bool clock_from_rfc3339(str text, int64_t *ret_ms)
{
    struct tm tm = {0};
    int year, month, ms = 0, offset = 0;
    if (!take_number(&text, 4, 9999, &year) || !take_byte(&text, "-") ||
        !take_number(&text, 2, 12, &month) || !take_byte(&text, "-") ||
        !take_number(&text, 2, 31, &tm.tm_mday) || !take_byte(&text, "Tt ") ||
        !take_number(&text, 2, 23, &tm.tm_hour) || !take_byte(&text, ":") ||
        !take_number(&text, 2, 59, &tm.tm_min) || !take_byte(&text, ":") ||
        !take_number(&text, 2, 59, &tm.tm_sec) || !take_fraction(&text, &ms) ||
        !take_offset(&text, &offset) || text.n != 0)
        return false;
    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    int day = tm.tm_mday;
    int64_t at = ((int64_t)timegm(&tm) - (int64_t)offset * 60) * 1000 + ms;
    // timegm turns the 31st of a month without one into the 1st
    if (month == 0 || day == 0 || tm.tm_mday != day || at < 0 || at > 253402300799999)
        return false;
    *ret_ms = at;
    return true;
}

void clock_http_date(time_t t, char to[static CLOCK_HTTP_ROOM])
{
    static const char days[] = "SunMonTueWedThuFriSat",
                      months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm tm;
    gmtime_r(&t, &tm); // not strftime: %a and %b follow the locale
    char text[64];
    snprintf(text, sizeof text, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + tm.tm_wday * 3,
             tm.tm_mday, months + tm.tm_mon * 3, tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
             tm.tm_sec);
    snprintf(to, CLOCK_HTTP_ROOM, "%.29s", text);
}
