// The supervisor's caged processes: the table of those that live, by number. Single-threaded.
#ifndef STOA_WORKERS_H
#define STOA_WORKERS_H
#include <sys/types.h>
#include "edge/cage/cage.h"

// At once: 200 plugins at work, each with a second worker for some time, and spares and inspectors.
// More are refused: no server needs them, a hostile one would.
enum { WORKERS_MAX = 512 };

struct user {
    uid_t uid; // 0: ours
    gid_t gid;
};

struct workers {
    struct worker {
        pid_t pid; // 0: free
        uint32_t number;
    } _list[WORKERS_MAX];
    uint32_t _last_number;
    struct user _users[CAGE_KINDS];
    size_t _handler_memory;
    char _paths[CAGE_KINDS][1024];
};

// Finds the caged programs: beside this one, or in ../lib/stoa of it. When we are root each kind
// runs as its own of `users`: a parser that was taken over cannot signal, trace or read a handler's
// worker, nor the other way round. `handler_memory`: bytes that one handler's worker may take.
// FAIL_INTERNAL when one of the programs is not there.
enum fail workers_init(struct workers *w, const struct user users[CAGE_KINDS],
                       size_t handler_memory, struct fault *fault) MUST_CHECK;
// Starts one and answers on `control` (CONTROL_STARTED, with the socket or an errno). FAIL_INTERNAL
// or FAIL_BUSY when the answer could not be sent: the server is then of no use any more.
enum fail workers_start(struct workers *w, int control,
                        const struct control_message *request) MUST_CHECK;
void workers_kill(struct workers *w, uint32_t number);
// Whether `pid` was one of them; it no longer is.
bool workers_take(struct workers *w, pid_t pid, uint32_t *ret_number);
// SIGKILL to all, and forgets them; their ends are still to be reaped.
void workers_kill_all(struct workers *w);
#endif
