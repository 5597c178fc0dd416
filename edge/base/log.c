// One write(2) a line, so that lines of several threads and processes do not mix.
#include "edge/base/log.h"
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static _Atomic int max_level = LOG_INFO;
static _Atomic bool is_pretty;
static const char *_Atomic role = "stoa";

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void log_set_level(enum log_level level)
{
    max_level = (int)level;
}

void log_set_role(const char *r)
{
    role = r;
}

void log_set_pretty(bool pretty)
{
    is_pretty = pretty;
}

bool log_enabled(enum log_level level)
{
    return (int)level <= max_level;
}

void log_write(enum log_level level, const char *message, const char *format, ...)
{
    if (!log_enabled(level))
        return;
    char line[2048];
    struct timespec ts;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &ts);
    size_t n;
    if (is_pretty) {
        localtime_r(&ts.tv_sec, &tm);
        n = strftime(line, sizeof line, "%H:%M:%S ", &tm);
    } else {
        gmtime_r(&ts.tv_sec, &tm);
        n = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &tm);
        n += (size_t)snprintf(line + n, sizeof line - n, ".%03ldZ ", ts.tv_nsec / 1000000);
    }
    n +=
        (size_t)snprintf(line + n, sizeof line - n, "%s %s: %s", level_names[level], role, message);
    if (format[0] != '\0' && n < sizeof line - 2) {
        line[n++] = ' ';
        va_list ap;
        va_start(ap, format);
        int m = vsnprintf(line + n, sizeof line - n, format, ap);
        va_end(ap);
        n = m > 0 ? n + (size_t)m : n - 1; // no details, no space before them
    }
    if (n > sizeof line - 2)
        n = sizeof line - 2;
    line[n++] = '\n';
    if (write(STDERR_FILENO, line, n) < 0)
        return; // a full or closed log stops nobody
}

static bool is_plain(unsigned char c)
{
    return c > 0x20 && c < 0x7f && c != '"' && c != '\\' && c != '=';
}

const char *log_escape(char *to, size_t room, str s)
{
    bool plain = s.n != 0 && s.n < room;
    for (size_t i = 0; plain && i != s.n; ++i)
        plain = is_plain((unsigned char)s.p[i]);
    if (plain) {
        memcpy(to, s.p, s.n);
        to[s.n] = '\0';
        return to;
    }
    size_t n = 0;
    to[n++] = '"';
    for (size_t i = 0; i != s.n && n + 8 < room; ++i) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\') {
            to[n++] = '\\';
            to[n++] = (char)c;
        } else if (c < 0x20 || c >= 0x7f) {
            n += (size_t)snprintf(to + n, room - n, "\\x%02x", c);
        } else {
            to[n++] = (char)c;
        }
    }
    to[n++] = '"';
    to[n] = '\0';
    return to;
}
