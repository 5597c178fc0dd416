// Running untrusted work: processes in a cage (seccomp, rlimits, namespaces and Landlock where the
// machine has them, own uid), each with one socketpair. Three halves meet here: the server asks and
// is told (cage_start …), the supervisor starts and reaps (cage_spawn), and the child closes the
// door behind itself (edge/cage/child.h).
#ifndef STOA_CAGE_CAGE_H
#define STOA_CAGE_CAGE_H
#include <sys/types.h>
#include "edge/cage/control.h"

// --- the server's half ---
struct cage_worker {
    uint32_t number;
    pid_t pid; // as the supervisor sees it; for /proc only
    int fd;    // our end of the socketpair (SOCK_STREAM, close-on-exec); the owner closes it
};

// Takes over the server's end of the control socket; a thread of its own then reads it. `on_ended`
// is called on that thread for each worker that ended; `on_control` for CONTROL_RELOAD (it owns fd)
// and CONTROL_STOP; both are told again when the supervisor is gone (CONTROL_STOP).
void cage_connect(int control_fd, void (*on_ended)(uint32_t number, int status),
                  void (*on_control)(enum control_type, int fd));
// Blocks until the supervisor has answered, at most 5 s. Pool threads. FAIL_BUSY: it could not be
// started now.
enum fail cage_start(enum cage_kind kind, struct cage_worker *ret, struct fault *fault) MUST_CHECK;
void cage_kill(uint32_t number);
enum fail cage_say(enum control_type type) MUST_CHECK; // CONTROL_READY, CONTROL_DRAINED

// --- the supervisor's half ---
struct cage_program {
    const char *path; // absolute, beside the running binary
    uid_t uid;        // dropped to when started as root; 0: keep ours
    gid_t gid;
    size_t memory; // bytes it may take, told in its environment as CAGE_MEMORY; 0: its own default
};
// "stoa-inspect", "stoa-handler", "stoa-inspect-files": the program's file name.
const char *cage_kind_name(enum cage_kind kind);
// Forks and executes the program with: fd 3 its end of a new socketpair, fd 0, 1, 2 on /dev/null,
// no other descriptor, an environment of its own, PDEATHSIG, RLIMIT_CORE 0, no new privileges,
// and behind all others of this machine (process.h, is_expendable).
// Returns our end in *ret_fd.
enum fail cage_spawn(enum cage_kind kind, const struct cage_program *program, pid_t *ret_pid,
                     int *ret_fd, struct fault *fault) MUST_CHECK;
// One line for the start-up log: which layers this machine offers ("seccomp rlimits userns
// landlock=7", …). Forks a probe; static text.
const char *cage_layers(void);
#endif
