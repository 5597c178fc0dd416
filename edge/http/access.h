// The access log: one JSON line a request whose head could be read, gathered per loop and written by
// a thread of its own. Never a query string, a token, a cookie or a body (security-rules.md 21,
// 27).
#ifndef STOA_HTTP_ACCESS_H
#define STOA_HTTP_ACCESS_H
#include "edge/base/fail.h"

struct loop;
struct http_counters {
    uint64_t requests[6]; // by status class; [0]: the client left before an answer
    uint64_t body_bytes;
    uint64_t log_lines_dropped;
};

// "off", "-" (standard output) or a file, appended to. Before loops start. A file that cannot be
// opened is said, and tried again: no request waits for it, and no server ends because of it.
void access_log_open(const char *where);
// After a rotation: the file is opened again by its name. Any thread.
void access_log_reopen(void);
void access_log_start(struct loop *loop); // on each loop's thread, before its first turn
void access_log_stop(void);               // after loops ended: writes out what there is
// Sums over all loops. Any thread.
struct http_counters http_counters(void);
#endif
