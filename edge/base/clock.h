// Time. Any thread.
#ifndef STOA_BASE_CLOCK_H
#define STOA_BASE_CLOCK_H
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include "edge/base/str.h"

enum { CLOCK_RFC3339_ROOM = 25, CLOCK_HTTP_ROOM = 30 };

// Milliseconds; monotonic ones never go back, real ones are since 1970-01-01 UTC.
uint64_t clock_monotonic_ms(void);
uint64_t clock_monotonic_us(void);
int64_t clock_real_ms(void);
// "2026-11-22T10:20:30.123Z" (RFC 3339, UTC, milliseconds), NUL-terminated.
void clock_rfc3339(int64_t real_ms, char to[static CLOCK_RFC3339_ROOM]);
// Any RFC 3339 time from 1970 to 9999: any offset, fractions cut to milliseconds, leap seconds
// refused. False, and *ret_ms untouched, for anything else.
bool clock_from_rfc3339(str text, int64_t *ret_ms);
// "Sun, 22 Nov 2026 10:20:30 GMT" (RFC 9110 §5.6.7, IMF-fixdate), NUL-terminated.
void clock_http_date(time_t t, char to[static CLOCK_HTTP_ROOM]);
#endif
