// A program that has been taken over: it enters the cage and then tries what argv[1] names. It ends
// with REFUSED when the call failed, with ALLOWED when it worked; a filter that kills leaves
// neither. With argv[2] "sealed" it is a template, and a process that it forks tries; "orphaned": the
// template ends first.
#include "edge/cage/child.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REFUSED = 50, ALLOWED = 60, SIGNALLED = 100 };
enum { PAGE = 4096 };

static void *page;
static volatile unsigned sink;
static pid_t template;

static long map(int prot, int flags, int fd)
{
    return mmap(NULL, PAGE, prot, flags, fd, 0) == MAP_FAILED ? -1 : 0;
}

static long spin(void)
{
    while (sink != UINT_MAX)
        sink |= 1;
    return 0;
}

static long eat_memory(void)
{
    for (unsigned i = 0;; ++i) {
        char *p = malloc(1 << 20);
        if (p == NULL)
            return -1;
        for (size_t k = 0; k != 1 << 20; k += PAGE)
            p[k] = (char)i;
        if (i == 512)
            return 0;
    }
}

// Calls of the 32-bit table by the old gate: number 1 there is exit, 20 is getpid.
static long old_gate(void)
{
#ifdef __x86_64__
    long ret;
    __asm__ volatile("int $0x80" : "=a"(ret) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
    return ret;
#else
    return -1;
#endif
}

static long attack(const char *name)
{
    char b;
    char *argv[] = {"true", NULL};
#define TRY(word, expression)                                                                      \
    if (strcmp(name, word) == 0)                                                                   \
        return (expression);
    TRY("socket", socket(AF_INET, SOCK_STREAM, 0))
    TRY("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, (int[2]){0}))
    TRY("open", open("/etc/passwd", O_RDONLY))
    TRY("openat2", syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", NULL, 0))
    TRY("fork", fork())
    TRY("vfork", syscall(SYS_vfork))
    TRY("clone3", syscall(SYS_clone3, NULL, 0))
    TRY("execve", execve("/bin/true", argv, NULL))
    TRY("execveat", syscall(SYS_execveat, AT_FDCWD, "/bin/true", argv, NULL, 0))
    TRY("ptrace", ptrace(PTRACE_TRACEME, 0, 0, 0))
    TRY("kill_parent", kill(getppid(), 0))
    TRY("kill_all", kill(-1, 0))
    TRY("tgkill", syscall(SYS_tgkill, 1, 1, 0))
    TRY("pidfd_open", syscall(SYS_pidfd_open, 1, 0))
    TRY("process_vm_readv", process_vm_readv(1, NULL, 0, NULL, 0, 0))
    TRY("mmap_exec", map(PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1))
    TRY("mmap_rwx", map(PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1))
    TRY("mmap_shared", map(PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1))
    TRY("mmap_file", map(PROT_READ, MAP_PRIVATE, 0))
    TRY("mprotect_exec", mprotect(page, PAGE, PROT_READ | PROT_EXEC))
    TRY("pkey_mprotect", syscall(SYS_pkey_mprotect, page, PAGE, PROT_EXEC, -1))
    TRY("memfd", syscall(SYS_memfd_create, "x", 0))
    TRY("read_fd0", read(0, &b, 1))
    TRY("pread_fd3", pread(CAGE_FD, &b, 1, 0))
    TRY("read_fd4", read(4, &b, 1))
    TRY("write_fd1", write(1, "x", 1))
    TRY("write_fd2", write(2, "x", 1))
    TRY("sendmsg_fd3", send(CAGE_FD, "x", 1, 0)) // could carry a descriptor
    TRY("dup", dup(CAGE_FD))
    TRY("dup3", dup3(0, CAGE_FD, 0))
    TRY("close", close(CAGE_FD))
    TRY("io_uring", syscall(SYS_io_uring_setup, 1, NULL))
    TRY("bpf", syscall(SYS_bpf, 0, NULL, 0))
    TRY("unshare", unshare(CLONE_NEWUSER))
    TRY("setuid", setuid(0))
    TRY("prctl", prctl(PR_SET_DUMPABLE, 1, 0, 0, 0))
    TRY("setrlimit", setrlimit(RLIMIT_CPU, &(struct rlimit){1, 1}))
    TRY("sigaction", signal(SIGXCPU, SIG_IGN) == SIG_ERR ? -1 : 0)
    TRY("userfaultfd", syscall(SYS_userfaultfd, 0))
    TRY("futex_requeue_pi", syscall(SYS_futex, page, 12 /* FUTEX_CMP_REQUEUE_PI */, 0, 0, page, 0))
    TRY("x32", syscall(0x40000000 | SYS_getpid))
    TRY("old_gate", old_gate())
    TRY("spin", spin())
    TRY("memory", eat_memory())
    TRY("wait", read(CAGE_FD, &b, 1))
    TRY("kill_template", kill(template, SIGKILL))
    TRY("trace_template", ptrace(PTRACE_ATTACH, template, 0, 0))
    TRY("recvmsg_fd3", recv(CAGE_FD, &b, 1, MSG_DONTWAIT))
    TRY("alarm", alarm(0))
    TRY("brk", syscall(SYS_brk, 0))
    TRY("getpid", syscall(SYS_getpid))
    TRY("exit_group", syscall(SYS_exit_group, ALLOWED))
    TRY("nothing", -1)
#undef TRY
    return -2;
}

static int tell(long got)
{
    return got == -2 ? 2 : got < 0 ? REFUSED : ALLOWED;
}

static void be_sealed(const char *name)
{
    uint32_t none = 0;
    cage_seal(CAGE_FD, 1, strcmp(name, "spin") == 0 ? 100 : 4); // a busy machine gives little of it
    if (write(CAGE_FD, &none, sizeof none) == sizeof none)
        syscall(SYS_exit, tell(attack(name)));
    syscall(SYS_exit, 1);
}

static void be_template(const char *name, bool ends_first)
{
    int status;
    cage_enter(&(struct cage_profile){.memory = 64 << 20, .is_template = true});
    template = getpid();
    pid_t pid = fork();
    if (pid == 0)
        be_sealed(name);
    if (ends_first) {
        usleep(100 * 1000);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        _exit(1);
    _exit(WIFSIGNALED(status) ? SIGNALLED + WTERMSIG(status) : WEXITSTATUS(status));
}

int main(int argc, char **argv)
{
    page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (argc == 3)
        be_template(argv[1], strcmp(argv[2], "orphaned") == 0);
    uint32_t layers = cage_enter(&(struct cage_profile){.memory = 64 << 20, .cpu_seconds = 1});
    if (write(CAGE_FD, &layers, sizeof layers) != sizeof layers)
        _exit(1);
    long got = argc == 2 ? attack(argv[1]) : -2;
    _exit(tell(got));
}
