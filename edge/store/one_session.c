// Preloaded into the plugins' PostgreSQL (ld.so(8)), whose processes each ask for a session of their
// own. The kernel shares processor time out among sessions first (sched(7), "The autogroup feature"):
// forty statements of strangers would take forty times what the server with all its visitors gets.
// They stay in their postmaster's session instead, whose weight is a third of the server's. What
// PostgreSQL needs of setsid(2) is that each leads a process group: it signals those.
#include <sys/types.h>
#include <unistd.h>

__attribute__((visibility("default"))) pid_t setsid(void);

pid_t setsid(void)
{
    return setpgid(0, 0) == 0 ? getpid() : -1;
}
