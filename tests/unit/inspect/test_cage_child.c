// The cage from the side of whoever has taken over a caged program.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "edge/cage/child.h"

enum { REFUSED = 50, SIGNALLED = 100 };

struct outcome {
    uint32_t layers; // as the program told them
    int status;      // of wait
    long leaked;     // bytes that came out of fd 1 or 2
};

static void child(int socket, int pipe_end, const char *attack, const char *how)
{
    int secret[2];
    if (pipe(secret) != 0 || write(secret[1], "secret", 6) != 6)
        _exit(1);
    dup2(secret[0], 0);
    dup2(pipe_end, 1);
    dup2(pipe_end, 2);
    int s = fcntl(socket, F_DUPFD, 100), other = fcntl(secret[0], F_DUPFD, 100);
    dup2(s, CAGE_FD);
    dup2(other, 4);
    execl(ATTACKER, "cage_attacker", attack, how, (char *)NULL);
    _exit(127);
}

// `how`: NULL, or as the attacker's second argument.
static struct outcome run_as(const char *attack, const char *how)
{
    struct outcome o = {0};
    int pair[2], out[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(pipe(out), 0);
    pid_t pid = fork();
    if (pid == 0)
        child(pair[1], out[1], attack, how);
    close(pair[1]);
    close(out[1]);
    assert_int_equal(read(pair[0], &o.layers, sizeof o.layers), sizeof o.layers);
    assert_int_equal(waitpid(pid, &o.status, 0), pid);
    char b[64];
    while (read(pair[0], b, sizeof b) > 0) // until nobody has the other end
        ;
    o.leaked = read(out[0], b, sizeof b);
    close(pair[0]);
    close(out[0]);
    return o;
}

static struct outcome run(const char *attack)
{
    return run_as(attack, NULL);
}

static bool is_killed(const struct outcome *o)
{
    return WIFSIGNALED(o->status) && WTERMSIG(o->status) == SIGSYS;
}

static bool is_refused(const struct outcome *o)
{
    return WIFEXITED(o->status) && WEXITSTATUS(o->status) == REFUSED;
}

static void kills_what_no_parser_needs(void **state)
{
    static const char *const attacks[] = {
        "socket",        "socketpair",
        "openat2",       "fork",
        "vfork",         "clone3",
        "execve",        "execveat",
        "ptrace",        "kill_parent",
        "kill_all",      "tgkill",
        "pidfd_open",    "process_vm_readv",
        "mmap_exec",     "mmap_rwx",
        "mmap_shared",   "mmap_file",
        "mprotect_exec", "pkey_mprotect",
        "memfd",         "read_fd0",
        "pread_fd3",     "read_fd4",
        "write_fd1",     "write_fd2",
        "sendmsg_fd3",   "dup",
        "dup3",          "io_uring",
        "bpf",           "unshare",
        "setuid",        "prctl",
        "setrlimit",     "sigaction",
        "userfaultfd",   "futex_requeue_pi",
        "x32",           "old_gate",
    };
    for (size_t i = 0; i != sizeof attacks / sizeof *attacks; ++i) {
        struct outcome o = run(attacks[i]);
        if (!is_killed(&o) || o.leaked > 0)
            fail_msg("%s: status %#x, %ld bytes leaked", attacks[i], (unsigned)o.status, o.leaked);
    }
}

static void refuses_what_libraries_try(void **state)
{
    static const char *const attacks[] = {"open", "close", "nothing"};
    for (size_t i = 0; i != sizeof attacks / sizeof *attacks; ++i) {
        struct outcome o = run(attacks[i]);
        if (!is_refused(&o))
            fail_msg("%s: status %#x", attacks[i], (unsigned)o.status);
    }
}

static void memory_ends_at_the_limit(void **state)
{
    struct outcome o = run("memory");
    assert_true(is_refused(&o)); // malloc says no; 512 MiB were asked for
}

static void processor_time_ends_at_the_limit(void **state)
{
    struct outcome o = run("spin");
    assert_true(WIFSIGNALED(o.status));
    assert_int_equal(WTERMSIG(o.status), SIGKILL);
}

static void tells_which_layers_it_has(void **state)
{
    struct outcome o = run("nothing");
    assert_true((o.layers & CAGE_FILTER) != 0);
    print_message("layers here: user namespace %d, net %d, ipc %d, landlock %d\n",
                  (o.layers & CAGE_USER_NAMESPACE) != 0, (o.layers & CAGE_NET_NAMESPACE) != 0,
                  (o.layers & CAGE_IPC_NAMESPACE) != 0, (o.layers & CAGE_LANDLOCK) != 0);
}

// --- a process that a template has forked ---

// Where a filter is in force already, as in a container, the seal is one, too: SIGSYS in place of
// strict mode's SIGKILL.
static int seal_signal(void)
{
    return prctl(PR_GET_SECCOMP) == 2 ? SIGSYS : SIGKILL;
}

static void assert_sealed(const char *attack, int status)
{
    struct outcome o = run_as(attack, "sealed");
    if (!WIFEXITED(o.status) || WEXITSTATUS(o.status) != status || o.leaked > 0)
        fail_msg("%s: status %#x, not %d; %ld bytes leaked", attack, (unsigned)o.status, status,
                 o.leaked);
}

static void sealed_it_may_read_and_write(void **state)
{
    static const char *const attacks[] = {
        "socket",
        "socketpair",
        "open",
        "openat2",
        "close",
        "fork",
        "vfork",
        "clone3",
        "execve",
        "ptrace",
        "kill_parent",
        "kill_all",
        "kill_template",
        "trace_template",
        "tgkill",
        "pidfd_open",
        "process_vm_readv",
        "mmap_exec",
        "mmap_rwx",
        "mmap_shared",
        "mmap_file",
        "mprotect_exec",
        "memfd",
        "pread_fd3",
        "sendmsg_fd3",
        "recvmsg_fd3",
        "dup",
        "dup3",
        "io_uring",
        "bpf",
        "unshare",
        "setuid",
        "prctl",
        "setrlimit",
        "sigaction",
        "userfaultfd",
        "x32",
        "old_gate",
        "alarm",
        "brk",
        "getpid",
        "exit_group",
        "memory",
    };
    for (size_t i = 0; i != sizeof attacks / sizeof *attacks; ++i)
        assert_sealed(attacks[i], SIGNALLED + seal_signal());
    // these descriptors are none of its
    static const char *const closed[] = {"read_fd0", "read_fd4", "write_fd1", "write_fd2",
                                         "nothing"};
    for (size_t i = 0; i != sizeof closed / sizeof *closed; ++i)
        assert_sealed(closed[i], REFUSED);
}

static void sealed_its_time_is_limited(void **state)
{
    assert_sealed("spin", SIGNALLED + SIGKILL);
    assert_sealed("wait", SIGNALLED + SIGALRM);
}

static void sealed_it_dies_with_its_template(void **state)
{
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    run_as("wait", "orphaned"); // until its socket is closed; its alarm would take 4 s
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true(after.tv_sec - before.tv_sec <= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kills_what_no_parser_needs),
        cmocka_unit_test(refuses_what_libraries_try),
        cmocka_unit_test(memory_ends_at_the_limit),
        cmocka_unit_test(processor_time_ends_at_the_limit),
        cmocka_unit_test(tells_which_layers_it_has),
        cmocka_unit_test(sealed_it_may_read_and_write),
        cmocka_unit_test(sealed_its_time_is_limited),
        cmocka_unit_test(sealed_it_dies_with_its_template),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
