// stoa-handler: the handler of one instance, for as long as the server keeps the socket open.
// Started by the supervisor with the server's socket as fd 3, the engine's environment and nothing
// else; a person who starts it by hand sees it exit at once.
#include <malloc.h>
#include <seccomp.h>
#include <stdlib.h>
#include <unistd.h>
#include "edge/cage/child.h"
#include "public-actions/runtime/death.h"
#include "public-actions/runtime/engine.h"
#include "public-actions/runtime/worker.h"

// What the engine calls beside what every caged program may.
static const int calls[] = {
    SCMP_SYS(pread64),     // its size in /proc, of a descriptor that is closed by then
    SCMP_SYS(sched_yield), // while it collects
};

enum { MEMORY_DEFAULT = 256 * 1024 * 1024, MEMORY_MIN = 16 * 1024 * 1024 };

// Address space for one instance's heap, beyond what the engine maps when it starts: the
// supervisor's to say (edge/cage/cage.h).
static size_t memory_allowed(void)
{
    const char *said = getenv("CAGE_MEMORY");
    size_t n = said != NULL ? strtoull(said, NULL, 10) : 0;
    return n >= MEMORY_MIN ? n : MEMORY_DEFAULT;
}

#if !defined(STOA_ASAN) && !defined(STOA_TSAN)
// The libraries' calls end here too (it is exported): theirs would send a signal, which the filter
// answers by killing, and nobody could tell a crash from want of memory.
_Noreturn void abort(void);
_Noreturn void abort(void)
{
    worker_die();
}
#endif

int main(void)
{
    if (!engine_start(worker_send))
        return CAGE_EXIT_NO_CAGE;
    malloc_trim(0); // what only the warm-up needed
    worker_watch_death();
    unsigned layers = cage_enter(&(struct cage_profile){
        .memory = memory_allowed(), .calls = calls, .call_count = sizeof calls / sizeof *calls});
    // past the filter, only exit_group is left
    _exit(worker_serve(CAGE_FD, layers) ? EXIT_SUCCESS : WORKER_EXIT_NONSENSE);
}
