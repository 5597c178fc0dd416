// The supervisor's half: starting a caged program. What it may do once it runs it takes from itself
// (child.h); what it is born with is decided here.
#include "edge/cage/cage.h"
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "edge/base/process.h"

static const char *const kind_names[CAGE_KINDS] = {[CAGE_INSPECT] = "stoa-inspect",
                                                   [CAGE_HANDLER] = "stoa-handler",
                                                   [CAGE_INSPECT_FILES] = "stoa-inspect-files"};

#ifdef STOA_ASAN
// leak checking needs ptrace, which the cage forbids
#define SANITIZER "ASAN_OPTIONS=detect_leaks=0",
#else
#define SANITIZER
#endif

// JSC_*, GIGACAGE_ENABLED and Malloc are the JavaScript engine's, which reads them before main: one
// thread for good, no compiler, no WebAssembly, and memory that RLIMIT_AS can bound. The program
// refuses to run without them.
static const char *const inspect_environment[] = {"LANG=C.UTF-8", "TZ=UTC", SANITIZER NULL};
static const char *const handler_environment[] = {"LANG=C.UTF-8",
                                                  "TZ=UTC",
                                                  "JSC_useJIT=0",
                                                  "JSC_useWasm=0",
                                                  "JSC_useConcurrentGC=0",
                                                  "JSC_numberOfGCMarkers=1",
                                                  "JSC_useSharedArrayBuffer=0",
                                                  "GIGACAGE_ENABLED=no",
                                                  "Malloc=1",
                                                  SANITIZER NULL};
enum { ENVIRONMENT_MAX = 16 };
static const char *const *const environments[CAGE_KINDS] = {[CAGE_INSPECT] = inspect_environment,
                                                            [CAGE_HANDLER] = handler_environment,
                                                            [CAGE_INSPECT_FILES] =
                                                                inspect_environment};

const char *cage_kind_name(enum cage_kind kind)
{
    assert(kind < CAGE_KINDS);
    return kind_names[kind];
}

enum fail cage_spawn(enum cage_kind kind, const struct cage_program *program, pid_t *ret_pid,
                     int *ret_fd, struct fault *fault)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return fault_set(fault, FAIL_INTERNAL, "start_failed", "No socket pair: %s.",
                         strerror(errno));
    char *argv[] = {(char *)cage_kind_name(kind), NULL};
    char memory[40], *env[ENVIRONMENT_MAX];
    snprintf(memory, sizeof memory, "CAGE_MEMORY=%zu", program->memory);
    size_t n = 0;
    for (; environments[kind][n] != NULL; ++n)
        env[n] = (char *)environments[kind][n];
    assert(n + 2 <= ENVIRONMENT_MAX);
    env[n] = program->memory != 0 ? memory : NULL;
    env[n + 1] = NULL;
    struct process_plan plan = {.program = program->path,
                                .argv = argv,
                                .env = env,
                                .uid = program->uid,
                                .gid = program->gid,
                                .fds = (int[]){-1, -1, -1, pair[1]},
                                .fd_count = 4,
                                .death_signal = SIGKILL,
                                .is_expendable = true};
    enum fail fail = process_start(&plan, ret_pid, fault);
    close(pair[1]);
    if (fail != FAIL_NONE) {
        close(pair[0]);
        return fail;
    }
    *ret_fd = pair[0];
    return FAIL_NONE;
}
