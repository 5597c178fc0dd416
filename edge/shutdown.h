// The graceful end of a server: stop accepting, let what is in flight finish, tell the supervisor.
#ifndef STOA_SHUTDOWN_H
#define STOA_SHUTDOWN_H
#include <stdint.h>
#include "edge/guard/guard.h"

// Blocks (main thread) until every connection has gone and `running` says 0 (what goes on without
// one), or `timeout_ms` is over; then ends pool and loops. `guards` are the loops', by index. True
// when everything ended by itself.
bool shutdown_run(struct guard_loop *guards, size_t (*running)(void), uint64_t timeout_ms);
#endif
