// Which layers of a cage this machine offers, asked of the kernel itself.
#include "edge/cage/cage.h"
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static bool has_seccomp(void)
{
    uint32_t kill = SECCOMP_RET_KILL_PROCESS;
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &kill) == 0;
}

// In a process of its own: a namespace, once entered, is not left.
static bool has_user_namespaces(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC) == 0 ? 0 : 1);
    int status;
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static long landlock_version(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, 1U /* LANDLOCK_CREATE_RULESET_VERSION */);
}

const char *cage_layers(void)
{
    static char text[64];
    long landlock = landlock_version();
    size_t n = (size_t)snprintf(text, sizeof text, "%srlimits%s", has_seccomp() ? "seccomp " : "",
                                has_user_namespaces() ? " userns" : "");
    if (landlock > 0)
        snprintf(text + n, sizeof text - n, " landlock=%ld", landlock);
    return text;
}
