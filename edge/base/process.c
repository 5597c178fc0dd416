// The child's half runs between fork and exec: it reports what failed through a pipe that the exec
// closes, so that the parent knows either "it runs" or why not.
#include "edge/base/process.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "edge/base/clock.h"

struct failure {
    int error;
    char step[28];
};

static void give_up(int report, const char *step)
{
    struct failure f = {.error = errno};
    snprintf(f.step, sizeof f.step, "%s", step);
    ssize_t n = write(report, &f, sizeof f);
    _exit(n == (ssize_t)sizeof f ? 127 : 126);
}

// The given descriptors to 0, 1, 2 …, the report pipe right behind them, nothing after that. All
// are first copied above every target, so that none overwrites a source. Returns the pipe's number.
static int arrange_descriptors(const struct process_plan *plan, int report)
{
    int high[PROCESS_FDS_MAX + 1];
    int count = (int)plan->fd_count, null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int i = 0; i != count; ++i) {
        int from = plan->fds[i] >= 0 ? plan->fds[i] : null;
        high[i] = fcntl(from, F_DUPFD_CLOEXEC, PROCESS_FDS_MAX + 1);
        if (high[i] < 0)
            give_up(report, "copying descriptors");
    }
    high[count] = fcntl(report, F_DUPFD_CLOEXEC, PROCESS_FDS_MAX + 1);
    if (high[count] < 0)
        give_up(report, "copying descriptors");
    for (int i = 0; i <= count; ++i)
        if (dup3(high[i], i, i == count ? O_CLOEXEC : 0) < 0) // clears close-on-exec otherwise
            give_up(high[count], "placing descriptors");
    close_range((unsigned)count + 1, ~0U, 0);
    return count;
}

static void drop_capabilities(int report)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {0};
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); // an old kernel has no such set
    if (syscall(SYS_capset, &header, none) != 0)
        give_up(report, "dropping capabilities");
}

static void drop_rights(const struct process_plan *plan, int report)
{
    if (geteuid() == 0 && plan->uid != 0) {
        if (setgroups(plan->extra_group != 0, &plan->extra_group) != 0 ||
            setresgid(plan->gid, plan->gid, plan->gid) != 0 ||
            setresuid(plan->uid, plan->uid, plan->uid) != 0)
            give_up(report, "changing the user");
        if (setresuid(0, 0, 0) == 0)
            give_up(report, "giving up root");
    }
    if (geteuid() != 0)
        drop_capabilities(report);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        give_up(report, "forbidding new rights");
}

static void limit(const struct process_plan *plan)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    struct rlimit files, space = {plan->address_space, plan->address_space};
    if (plan->address_space != 0)
        setrlimit(RLIMIT_AS, &space);
    if (plan->all_descriptors && getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

static void write_own(const char *file, const char *text)
{
    int fd = open(file, O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, text, strlen(text)) < 0)
        errno = 0; // not every machine lets us
    if (fd >= 0)
        close(fd);
}

// sched(7), "The autogroup feature": where it is on, each session is a group, and niceness counts
// within one alone.
static void lower_session(void)
{
    write_own("/proc/self/autogroup", "5");
}

void process_come_last(void)
{
    if (getsid(0) == getpid())
        lower_session();
}

static void take_place(const struct process_plan *plan)
{
    if (plan->is_expendable)
        setpgid(0, 0);
    else
        setsid();
    if (plan->is_expendable || plan->comes_last)
        setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + 10);
    if (plan->is_expendable)
        write_own("/proc/self/oom_score_adj", "1000"); // proc(5)
    else if (plan->comes_last)
        lower_session();
}

static void reset_signals(void)
{
    for (int s = 1; s < NSIG; ++s)
        signal(s, SIG_DFL); // refused for some, as it should be
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void become(const struct process_plan *plan, pid_t parent, int report)
{
    report = arrange_descriptors(plan, report);
    int program = open(plan->program, O_PATH | O_CLOEXEC);
    umask(077);
    if (chdir(plan->directory != NULL ? plan->directory : "/") != 0)
        give_up(report, "entering its directory");
    limit(plan);
    take_place(plan);
    drop_rights(plan, report);
    // after the change of uid, which forgets it; and the parent may have ended before it was set
    prctl(PR_SET_PDEATHSIG, plan->death_signal, 0, 0, 0);
    if (getppid() != parent)
        _exit(125);
    reset_signals();
    execve(plan->program, plan->argv, plan->env);
    // Somewhere below a folder that is root's alone, as a checkout in /root: by what was opened before.
    if (errno == EACCES)
        execveat(program, "", plan->argv, plan->env, AT_EMPTY_PATH);
    give_up(report, "executing it");
}

bool process_find_beside(const char *name, char *to, size_t room)
{
    static const char *const places[] = {"", "../lib/stoa/", "../libexec/stoa/"};
    char own[900];
    ssize_t n = readlink("/proc/self/exe", own, sizeof own - 1);
    own[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(own, '/');
    if (slash != NULL)
        slash[1] = '\0';
    for (size_t i = 0; i != sizeof places / sizeof places[0]; ++i)
        if ((size_t)snprintf(to, room, "%s%s%s", own, places[i], name) < room &&
            access(to, R_OK) == 0)
            return true;
    return false;
}

enum fail process_start(const struct process_plan *plan, pid_t *ret_pid, struct fault *fault)
{
    assert(plan->fd_count >= 3 && plan->fd_count <= PROCESS_FDS_MAX);
    int report[2];
    pid_t parent = getpid();
    if (pipe2(report, O_CLOEXEC) != 0)
        return fault_set(fault, FAIL_INTERNAL, "start_failed", "%s could not be started: %s.",
                         plan->program, strerror(errno));
    pid_t pid = fork();
    if (pid == 0)
        become(plan, parent, report[1]);
    int fork_error = errno;
    close(report[1]);
    struct failure f = {.error = fork_error, .step = "forking"};
    ssize_t n;
    do
        n = pid < 0 ? (ssize_t)sizeof f : read(report[0], &f, sizeof f);
    while (n < 0 && errno == EINTR);
    close(report[0]);
    if (n == 0) {
        *ret_pid = pid;
        return FAIL_NONE;
    }
    if (pid > 0)
        waitpid(pid, NULL, 0);
    return fault_set(fault, FAIL_INTERNAL, "start_failed", "%s could not be started: %s: %s.",
                     plan->program, f.step, strerror(f.error));
}

bool process_wait(pid_t pid, unsigned timeout_ms, int *ret_status)
{
    uint64_t deadline = clock_monotonic_ms() + timeout_ms;
    for (;;) {
        pid_t got = waitpid(pid, ret_status, WNOHANG);
        if (got == pid || (got < 0 && errno == ECHILD))
            return true;
        if (clock_monotonic_ms() >= deadline)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

const char *process_status_text(int status)
{
    static _Thread_local char text[64];
    if (WIFSIGNALED(status))
        snprintf(text, sizeof text, "signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(text, sizeof text, "exit status %d", WEXITSTATUS(status));
    return text;
}

void process_forbid_inspection(void)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
#ifndef STOA_ASAN
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

void process_files_as(uid_t uid, gid_t gid)
{
    if (uid == 0)
        return;
    setfsgid(gid);
    setfsuid(uid); // also takes the capabilities about files out of effect
}

void process_files_as_ourselves(void)
{
    setfsuid(geteuid());
    setfsgid(getegid());
}
