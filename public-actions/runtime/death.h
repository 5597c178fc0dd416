// How a worker ends when it cannot go on, said in its exit status, since the server sees nothing
// else of it.
#ifndef STOA_RUNTIME_DEATH_H
#define STOA_RUNTIME_DEATH_H
#include "public-actions/runtime/protocol.h"

// From here on a fault of the engine's, or abort, ends the process with WORKER_EXIT_MEMORY when the
// address space it may take is used up, else with WORKER_EXIT_CRASH. Builds with a sanitizer keep
// the sanitizer's own handlers.
void worker_watch_death(void);
// What abort is in this program.
_Noreturn void worker_die(void);
#endif
