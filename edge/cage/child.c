// The cage from inside. The order matters: namespaces while we may still ask for them, then the
// point of no return (no new privileges, limits), and the system call filter last, since each step
// before it needs calls that it forbids.
//
// A filter, not namespaces, is the wall: it leaves an exploited parser nothing to call but read and
// write on one socket. The other layers stand behind it, for the day the kernel's side of an
// allowed call has a hole.
#include "edge/cage/child.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#if defined(STOA_ASAN) || defined(STOA_TSAN)
enum { HAS_SANITIZER = 1 };
#else
enum { HAS_SANITIZER = 0 };
#endif

#if defined(__x86_64__)
#define OWN_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "say how the kernel names this architecture in system call filters"
#endif

static void must(bool ok)
{
    if (!ok)
        _exit(CAGE_EXIT_NO_CAGE);
}

// One by one: a container may allow a user namespace and no network one. Those behind the first
// need rights that root has and that the first gives to everyone else.
static unsigned enter_namespaces(void)
{
    unsigned got = 0;
    if (unshare(CLONE_NEWUSER) == 0)
        got |= CAGE_USER_NAMESPACE;
    if (unshare(CLONE_NEWNET) == 0)
        got |= CAGE_NET_NAMESPACE;
    if (unshare(CLONE_NEWIPC) == 0)
        got |= CAGE_IPC_NAMESPACE;
    return got;
}

// A new user namespace hands out every capability inside it; root outside has them anyway.
static void drop_capabilities(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
    must(syscall(SYS_capset, &head, none) == 0);
}

int cage_landlock_version(void)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return version > 0 ? (int)version : 0;
}

// Handles every right that this kernel knows and allows none. The struct grows with the version;
// Debian 12's header knows the first member only.
static unsigned enter_landlock(void)
{
    struct {
        uint64_t fs, net, scoped;
    } all = {0};
    int version = cage_landlock_version();
    if (version == 0)
        return 0;
    unsigned fs_rights = version >= 5 ? 16 : version >= 3 ? 15 : version >= 2 ? 14 : 13;
    all.fs = (UINT64_C(1) << fs_rights) - 1;
    all.net = version >= 4 ? 3 : 0;    // bind and connect of TCP
    all.scoped = version >= 6 ? 3 : 0; // abstract sockets, signals
    size_t size = version >= 6 ? 24 : version >= 4 ? 16 : 8;
    int rules = (int)syscall(SYS_landlock_create_ruleset, &all, size, 0);
    if (rules < 0)
        return 0;
    bool ok = syscall(SYS_landlock_restrict_self, rules, 0) == 0;
    close(rules);
    return ok ? CAGE_LANDLOCK : 0;
}

static void limit(int resource, rlim_t value)
{
    struct rlimit l = {value, value};
    must(setrlimit(resource, &l) == 0);
}

static rlim_t mapped_bytes(void)
{
    char text[128] = "";
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    must(n > 0);
    return (rlim_t)strtoull(text, NULL, 10) * (rlim_t)sysconf(_SC_PAGESIZE);
}

// What is mapped by now is the program's own (libraries, arenas); a stranger's bytes get what is on
// top.
static void limit_resources(const struct cage_profile *profile, rlim_t mapped)
{
    if (!HAS_SANITIZER)
        limit(RLIMIT_AS, mapped + profile->memory);
    if (profile->cpu_seconds != 0)
        limit(RLIMIT_CPU, profile->cpu_seconds);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, 0);
    limit(RLIMIT_MEMLOCK, 0);
    limit(RLIMIT_MSGQUEUE, 0);
    if (!profile->is_template)
        limit(RLIMIT_NPROC, 0);
    limit(RLIMIT_NOFILE, CAGE_FD + 1 + (profile->is_template ? 1 : 0));
}

#define ALLOW(call, ...)                                                                           \
    must(seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(call), __VA_ARGS__) == 0)

static void allow_socket(scmp_filter_ctx filter)
{
    ALLOW(read, 1, SCMP_A0(SCMP_CMP_EQ, CAGE_FD, 0));
    ALLOW(write, 1, SCMP_A0(SCMP_CMP_EQ, CAGE_FD, 0));
}

// Anonymous, private, never executable: nothing new can be run, and nothing can be shared.
static void allow_memory(scmp_filter_ctx filter)
{
    ALLOW(mmap, 2, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
          SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS | MAP_TYPE, MAP_ANONYMOUS | MAP_PRIVATE));
    ALLOW(mprotect, 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    ALLOW(munmap, 0);
    ALLOW(mremap, 0);
    ALLOW(madvise, 0);
    ALLOW(brk, 0);
}

static void allow_rest(scmp_filter_ctx filter)
{
    ALLOW(exit_group, 0);
    ALLOW(exit, 0);
    ALLOW(rt_sigreturn, 0);
    ALLOW(restart_syscall, 0);
    ALLOW(clock_gettime, 0);
    ALLOW(gettimeofday, 0);
    ALLOW(getrandom, 0);
    // pthread_once wakes waiters even when there is one thread; requeueing and priority
    // inheritance, where the kernel's bugs have been, are not needed
    static const unsigned waits[] = {FUTEX_WAIT, FUTEX_WAKE, FUTEX_WAIT_BITSET, FUTEX_WAKE_BITSET};
    for (size_t i = 0; i != sizeof waits / sizeof *waits; ++i)
        ALLOW(futex, 1, SCMP_A1(SCMP_CMP_MASKED_EQ, FUTEX_CMD_MASK, waits[i]));
}

// Libraries ask about files now and then (a converter's table, a time zone) and cope with a no.
static void refuse_softly(scmp_filter_ctx filter)
{
    static const int calls[] = {
        SCMP_SYS(open),  SCMP_SYS(openat), SCMP_SYS(newfstatat), SCMP_SYS(fstat),
        SCMP_SYS(stat),  SCMP_SYS(lstat),  SCMP_SYS(statx),      SCMP_SYS(access),
        SCMP_SYS(lseek), SCMP_SYS(close),  SCMP_SYS(readlink),   SCMP_SYS(readlinkat),
        SCMP_SYS(ioctl), SCMP_SYS(fcntl),  SCMP_SYS(sysinfo),    SCMP_SYS(uname),
    };
    for (size_t i = 0; i != sizeof calls / sizeof *calls; ++i)
        must(seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), calls[i], 0) == 0);
}

static unsigned enter_filter(const struct cage_profile *profile)
{
    if (HAS_SANITIZER)
        return 0;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    must(filter != NULL);
    // another architecture's calls (32-bit, x32) have other numbers
    must(seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) == 0);
    allow_socket(filter);
    allow_memory(filter);
    allow_rest(filter);
    for (size_t i = 0; i != profile->call_count; ++i)
        must(seccomp_rule_add(filter, SCMP_ACT_ALLOW, profile->calls[i], 0) == 0);
    refuse_softly(filter);
    must(seccomp_load(filter) == 0);
    seccomp_release(filter);
    return CAGE_FILTER;
}

unsigned cage_enter(const struct cage_profile *profile)
{
    must(syscall(SYS_close_range, CAGE_FD + 1, ~0U, 0) == 0);
    rlim_t mapped = mapped_bytes(); // from /proc, which Landlock closes
    unsigned layers = enter_namespaces();
    drop_capabilities();
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    must(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0);
    must(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0);
    layers |= enter_landlock();
    limit_resources(profile, mapped); // no descriptor can be opened from here on
    return layers | (profile->is_template ? 0 : enter_filter(profile));
}

static void limit_time(unsigned cpu_seconds, unsigned wall_seconds)
{
    limit(RLIMIT_CPU, cpu_seconds);
    struct itimerval alarm = {.it_value.tv_sec = wall_seconds}; // nobody can catch it
    must(signal(SIGALRM, SIG_DFL) != SIG_ERR && setitimer(ITIMER_REAL, &alarm, NULL) == 0);
}

// What strict mode allows, as a filter. By hand: libseccomp would build it anew for each file, in
// memory that a sealed process may not have.
static void enter_strict_filter(void)
{
    static const struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCHITECTURE, 0, 5),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_read, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, (struct sock_filter *)code};
    must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

// The kernel's own strict mode costs nothing, but is refused to a process that has a filter already:
// a service manager's or a container's.
static void enter_strict_mode(void)
{
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
        enter_strict_filter();
}

void cage_seal(int fd, unsigned cpu_seconds, unsigned wall_seconds)
{
    // should the template have ended by now, no signal will come; then it is the alarm
    must(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0);
    must(dup2(fd, CAGE_FD) == CAGE_FD && syscall(SYS_close_range, CAGE_FD + 1, ~0U, 0) == 0 &&
         syscall(SYS_close_range, 0, CAGE_FD - 1, 0) == 0);
    limit_time(cpu_seconds, wall_seconds);
    if (!HAS_SANITIZER) {
        limit(RLIMIT_NPROC, 0);
        enter_strict_mode();
    }
}
