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

// Address space for one instance's heap, beyond what the engine maps when it starts.
static const size_t memory = (size_t)256 * 1024 * 1024;

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
        .memory = memory, .calls = calls, .call_count = sizeof calls / sizeof *calls});
    // past the filter, only exit_group is left
    _exit(worker_serve(CAGE_FD, layers) ? EXIT_SUCCESS : WORKER_EXIT_NONSENSE);
}
