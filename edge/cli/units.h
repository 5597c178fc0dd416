// Numbers the way people say them: bytes and times. Pure functions.
#ifndef STOA_CLI_UNITS_H
#define STOA_CLI_UNITS_H
#include "edge/base/str.h"

enum { UNITS_ROOM = 32 };

// "0 B", "999 B", "1.5 KiB", "12 MiB": three figures at most.
const char *units_bytes(uint64_t bytes, char to[static UNITS_ROOM]);
// Milliseconds since 1970 of an RFC 3339 time; false when it is none.
bool units_parse_time(str text, int64_t *ret_ms);
// "just now", "2 min ago", "3 h ago", "5 days ago", "in 2 days"; a date beyond 30 days.
const char *units_relative(int64_t now_ms, int64_t then_ms, char to[static UNITS_ROOM]);
// "90s", "15m", "12h", "30d", "2w" in milliseconds; false when it is none or beyond ten years.
bool units_parse_span(str text, int64_t *ret_ms);
#endif
