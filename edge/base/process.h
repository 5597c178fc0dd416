// Starting another program with nothing but what it is given: its descriptors, its environment, its
// uid. The one place that forks, so that security-rules.md 1 is kept in one place. For
// single-threaded processes (the supervisor); blocks until the program runs.
#ifndef STOA_BASE_PROCESS_H
#define STOA_BASE_PROCESS_H
#include <sys/types.h>
#include "edge/base/fail.h"

enum { PROCESS_FDS_MAX = 64 };

struct process_plan {
    const char *program;            // absolute
    char *const *argv, *const *env; // NULL-terminated
    const char *directory;          // working directory; NULL: "/"
    uid_t uid; // dropped to when we are root and it is not 0; else ours is kept
    gid_t gid;
    gid_t extra_group;      // the one supplementary group, when dropped; 0: none
    const int *fds;         // fds[i] becomes descriptor i; -1: /dev/null. All others are closed
    size_t fd_count;        // at least 3, at most PROCESS_FDS_MAX
    int death_signal;       // what it gets when we end, however we end
    bool all_descriptors;   // RLIMIT_NOFILE raised to the hard limit
    uint64_t address_space; // RLIMIT_AS, of each process it becomes; 0: as ours
    // Others come first for processor time: ten more of niceness, and its session weighs a third of
    // an ordinary one (sched(7), "The autogroup feature").
    bool comes_last;
    // So, too; and it is killed first when the machine has no memory left. It stays in our session:
    // all of them together weigh as much as that one (process_come_last).
    bool is_expendable;
};

// Our session weighs a third of an ordinary one from now on, when we lead it; processes started later
// have sessions of their own, but for the expendable ones.
void process_come_last(void);
// Where a file of that name lies beside our own program, or in ../lib/stoa of it; false: in neither.
bool process_find_beside(const char *name, char *to, size_t room);

// Forks and executes; the program may lie where only we can reach it, not its new uid. Besides the
// plan: a session, or when it is expendable a process group, of its own (so that Ctrl-C at a terminal
// reaches us alone), no other groups, no capabilities, PR_SET_NO_NEW_PRIVS, RLIMIT_CORE 0, umask 077, default signal handling. FAIL_INTERNAL with "start_failed" when any of it, or the exec, did
// not work.
enum fail process_start(const struct process_plan *plan, pid_t *ret_pid,
                        struct fault *fault) MUST_CHECK;
// Waits for the end of `pid`, at most `timeout_ms`; false when it still runs then.
bool process_wait(pid_t pid, unsigned timeout_ms, int *ret_status);
// "exit status 1", "signal 9 (Killed)": the words for a wait status; static, per
// thread.
const char *process_status_text(int status);

// What a process that handles secrets does first: no other process of its user may read its memory
// or attach to it, and it leaves no core. Builds with AddressSanitizer stay open, since its leak
// checker attaches.
void process_forbid_inspection(void);

// Between these two, files are opened and made as (uid, gid), as far as we are root: what lies in a
// directory of another user's cannot lead us to other files. Nothing happens when uid is 0.
void process_files_as(uid_t uid, gid_t gid);
void process_files_as_ourselves(void);
#endif
