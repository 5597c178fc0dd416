// The ready file (contract §8): that the server serves, and where. Written by the supervisor alone,
// whole or not at all; anyone may read it, it holds no secret.
#ifndef STOA_READY_H
#define STOA_READY_H
#include <sys/types.h>
#include "edge/supervisor.h"

// In the data directory, and where ready_file says. FAIL_INTERNAL with a sentence when either cannot
// be written; the other is all the same.
enum fail ready_write(const struct settings *s, pid_t server, struct fault *fault) MUST_CHECK;
void ready_remove(const struct settings *s);
// What is told to systemd, when it listens (sd_notify(3)).
void ready_notify(const char *state);

// "http://127.0.0.1:8080" of the first listener of that kind; false when there is none. A listener
// on every address is reached by loopback.
bool ready_url(const struct listener_fd *list, size_t count, enum listener_kind kind, char *to,
               size_t room);
#endif
