// Waiting for somebody to save: a file or a folder under inotify, however editors and build tools
// do it (in place, by renaming over, by removing a folder and making it anew). Also waits for
// Ctrl-C. One watch per process, since signals are the process's.
#ifndef STOA_CLI_WATCH_H
#define STOA_CLI_WATCH_H
#include "edge/base/fail.h"

enum watch_event { WATCH_CHANGED, WATCH_STOPPED, WATCH_TIMEOUT };

struct watch;
// From now on SIGINT and SIGTERM end waits instead of the process. FAIL_INTERNAL (`local_io`).
MUST_CHECK enum fail watch_create(const char *path, struct watch **ret, struct fault *fault);
void watch_destroy(struct watch *w);
// Looks at what is there now: folders made since are watched too. Call it before reading the file
// or folder, so that what changes after the reading is noticed. What cannot be watched is skipped.
void watch_arm(struct watch *w);
// Waits for a change and then for 150 ms of quiet (2 s at most); `timeout_ms` < 0 waits for ever.
enum watch_event watch_wait(struct watch *w, int timeout_ms);
// True once SIGINT or SIGTERM came.
bool watch_stop_wanted(void);
#endif
