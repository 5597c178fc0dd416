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
