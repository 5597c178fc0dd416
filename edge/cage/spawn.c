// The supervisor's half: starting a caged program. What it may do once it runs it takes from itself
// (child.h); what it is born with is decided here.
#include "edge/cage/cage.h"
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>
#include "edge/base/process.h"

static const char *const kind_names[CAGE_KINDS] = {
    [CAGE_INSPECT] = "stoa-inspect", [CAGE_HANDLER] = "stoa-handler"};

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
    char *env[] = {"LANG=C.UTF-8", "TZ=UTC",
#ifdef STOA_ASAN
                   // leak checking needs ptrace, which the cage forbids
                   "ASAN_OPTIONS=detect_leaks=0",
#endif
                   NULL};
    struct process_plan plan = {.program = program->path,
                                .argv = argv,
                                .env = env,
                                .uid = program->uid,
                                .gid = program->gid,
                                .fds = (int[]){-1, -1, -1, pair[1]},
                                .fd_count = 4,
                                .death_signal = SIGKILL};
    enum fail fail = process_start(&plan, ret_pid, fault);
    close(pair[1]);
    if (fail != FAIL_NONE) {
        close(pair[0]);
        return fail;
    }
    *ret_fd = pair[0];
    return FAIL_NONE;
}
