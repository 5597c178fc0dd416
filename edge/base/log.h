// The operator's log: one line an event, `time level message key=value…`, to stderr (which the
// supervisor owns). A line is at most 2 KiB; values are escaped, so that text of strangers can
// forge no line and drive no terminal (security-rules.md 28). Any thread.
#ifndef STOA_BASE_LOG_H
#define STOA_BASE_LOG_H
#include "edge/base/str.h"

enum log_level {
    LOG_ERROR, // someone must act
    LOG_WARN,  // we carried on, and say so
    LOG_INFO,  // life cycle
    LOG_DEBUG, // free
};

// From the settings; may be called again at a reload.
void log_set_level(enum log_level level);
// The process's own name in front of the message: "supervisor", "server", … A string literal.
void log_set_role(const char *role);
// Pretty lines for a person at a terminal (`./dev up`) instead of key=value.
void log_set_pretty(bool pretty);
bool log_enabled(enum log_level level);

// log_write(LOG_INFO, "listening", "address=%s site=%s", …): the message is fixed words; details go
// into the key=value part. A value of strangers' bytes goes through LOG_STR.
void log_write(enum log_level level, const char *message, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)

// `s` quoted when it must be, with C0, C1, bidi controls, quotes and invalid UTF-8 escaped, cut at
// `room`; returns `to`.
const char *log_escape(char *to, size_t room, str s);
#define LOG_STR(s) log_escape((char[256]){0}, 256, (s))
#endif
