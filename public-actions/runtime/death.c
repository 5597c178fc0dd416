// The engine gives up on want of memory by a fault of its own making, the C library by abort, whose
// signal the filter forbids to send. Both end up here, in what may be a broken process: nothing is
// done but asking for memory once more.
#include "public-actions/runtime/death.h"
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(STOA_ASAN) || defined(STOA_TSAN)
enum { HAS_SANITIZER = 1 };
#else
enum { HAS_SANITIZER = 0 };
#endif

enum {
    // Half of what there is: who cannot have that has taken much, or wanted much at once.
    PROBE = 128 * 1024 * 1024,
    SIGNAL_STACK = 64 * 1024,
};

_Noreturn void worker_die(void)
{
    void *p = mmap(NULL, PROBE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    _exit(p == MAP_FAILED ? WORKER_EXIT_MEMORY : WORKER_EXIT_CRASH);
}

static void on_fault(int signal)
{
    worker_die();
}

void worker_watch_death(void)
{
    static char room[SIGNAL_STACK];
    if (HAS_SANITIZER)
        return;
    stack_t stack = {.ss_sp = room, .ss_size = sizeof room};
    struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_ONSTACK | SA_NODEFER};
    static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGABRT};
    if (sigaltstack(&stack, NULL) != 0)
        _exit(WORKER_EXIT_CRASH);
    for (size_t i = 0; i != sizeof faults / sizeof *faults; ++i)
        sigaction(faults[i], &action, NULL);
}
