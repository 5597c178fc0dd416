// What a started program is born with.
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "edge/base/directory.h"
#include "edge/base/process.h"

static char *shell_argv[] = {"sh", "-c", NULL, NULL};
static char *environment[] = {"A=1", NULL};

static struct process_plan shell(char *script, const int *fds, size_t count)
{
    shell_argv[2] = script;
    return (struct process_plan){.program = "/bin/sh",
                                 .argv = shell_argv,
                                 .env = environment,
                                 .fds = fds,
                                 .fd_count = count,
                                 .death_signal = SIGKILL};
}

// The program's output.
static void run(const struct process_plan *plan, int from, char *to, size_t room)
{
    pid_t pid;
    int status;
    struct fault fault;
    assert_int_equal(process_start(plan, &pid, &fault), FAIL_NONE);
    assert_true(process_wait(pid, 5000, &status));
    assert_int_equal(status, 0);
    ssize_t n = read(from, to, room - 1);
    to[n > 0 ? n : 0] = '\0';
}

static void test_descriptors_take_their_places(void **state)
{
    int p[2], extra[2];
    char out[2048];
    assert_int_equal(pipe(p), 0);
    assert_int_equal(pipe(extra), 0); // without close-on-exec: must still not come through
    // sources that lie on targets: 1 is p[1], 3 and 4 swap what may be there
    struct process_plan plan =
        shell("ls /proc/self/fd | tr '\\n' ' '; echo; env | grep -v ^PWD=; pwd; ulimit -c; umask; "
              "grep NoNewPrivs /proc/self/status; readlink /proc/self/fd/0; echo four >&4",
              (int[]){-1, p[1], 2, p[1], p[1]}, 5);
    run(&plan, p[0], out, sizeof out);
    assert_non_null(strstr(out, "0 1 2 3 4 5 \n")); // 5 is ls's own
    assert_non_null(strstr(out, "A=1\n/\n0\n0077\nNoNewPrivs:\t1\n/dev/null\nfour\n"));
    for (int i = 0; i != 2; ++i) {
        close(p[i]);
        close(extra[i]);
    }
}

// What such a process says of its place in the queues.
static void told_place(bool is_expendable, bool comes_last, char *to, size_t room)
{
    int p[2];
    assert_int_equal(pipe(p), 0);
    struct process_plan plan =
        shell("nice; cat /proc/self/oom_score_adj; cut -d' ' -f6 /proc/self/stat; "
              "grep -so 'nice.*' /proc/self/autogroup; true",
              (int[]){-1, p[1], 2}, 3);
    plan.is_expendable = is_expendable;
    plan.comes_last = comes_last;
    run(&plan, p[0], to, room);
    close(p[0]);
    close(p[1]);
}

static void test_some_come_last(void **state)
{
    char ordinary[128], expendable[128], last[128], wanted[128];
    int nice, score, session, group;
    told_place(false, false, ordinary, sizeof ordinary);
    told_place(true, false, expendable, sizeof expendable);
    told_place(false, true, last, sizeof last);
    // the fourth line is there where the machine groups its sessions
    int lines = sscanf(ordinary, "%d %d %d nice %d", &nice, &score, &session, &group);
    assert_in_range(lines, 3, 4);
    assert_in_range(nice, 0, 9);
    assert_int_not_equal(session, getsid(0));
    assert_true(lines == 3 || group == 0);
    // the expendable stay in our session, and weigh what that weighs
    int n = snprintf(wanted, sizeof wanted, "%d\n1000\n%d\n", nice + 10, (int)getsid(0));
    assert_memory_equal(expendable, wanted, n);
    assert_int_equal(sscanf(last, "%d %d %d nice %d", &nice, &score, &session, &group), lines);
    assert_int_not_equal(session, getsid(0));
    assert_int_not_equal(score, 1000);
    assert_true(lines == 3 || group == 5);
}

static void test_root_is_given_up(void **state)
{
    const struct passwd *nobody = getpwnam("nobody");
    if (geteuid() != 0 || nobody == NULL)
        skip();
    int p[2];
    char out[2048], wanted[256];
    assert_int_equal(setgroups(2, (gid_t[]){1, 2}), 0); // which must not come through
    assert_int_equal(pipe(p), 0);
    struct process_plan plan =
        shell("grep -E '^(Uid|Gid|Groups|Cap(Prm|Eff|Inh|Amb)):' /proc/self/status",
              (int[]){-1, p[1], p[1]}, 3);
    plan.uid = nobody->pw_uid;
    plan.gid = nobody->pw_gid;
    run(&plan, p[0], out, sizeof out);
    unsigned u = nobody->pw_uid, g = nobody->pw_gid;
    snprintf(wanted, sizeof wanted, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\nGroups:\t \n", u,
             u, u, u, g, g, g, g);
    assert_non_null(strstr(out, wanted));
    static const char *const sets[] = {"CapInh", "CapPrm", "CapEff", "CapAmb"};
    for (int i = 0; i != 4; ++i) {
        snprintf(wanted, sizeof wanted, "%s:\t0000000000000000\n", sets[i]);
        assert_non_null(strstr(out, wanted));
    }
    assert_int_equal(setgroups(0, NULL), 0);
    close(p[0]);
    close(p[1]);
}

// As a checkout in root's own home is.
static void test_program_below_a_closed_folder(void **state)
{
    int p[2];
    char folder[] = "/tmp/stoa-test-XXXXXX", program[64], command[160], said[32];
    if (geteuid() != 0)
        skip();
    assert_non_null(mkdtemp(folder)); // 0700
    snprintf(program, sizeof program, "%s/shell", folder);
    snprintf(command, sizeof command, "cp /bin/sh %s && chmod 755 %s", program, program);
    assert_int_equal(system(command), 0);
    assert_int_equal(pipe(p), 0);
    struct process_plan plan = shell("id -u", (int[]){-1, p[1], p[1]}, 3);
    plan.program = program;
    plan.uid = plan.gid = 65534;
    run(&plan, p[0], said, sizeof said);
    assert_string_equal(said, "65534\n");
    close(p[0]);
    close(p[1]);
    unlink(program);
    rmdir(folder);
}

static void test_exec_failure_is_told(void **state)
{
    struct process_plan plan = shell("true", (int[]){-1, -1, -1}, 3);
    struct fault fault;
    pid_t pid;
    plan.program = "/nonexistent/program";
    assert_int_equal(process_start(&plan, &pid, &fault), FAIL_INTERNAL);
    assert_string_equal(fault.public_text, "/nonexistent/program could not be started: executing "
                                           "it: No such file or directory.");
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); // nothing is left to reap
}

static void test_it_dies_with_its_parent(void **state)
{
    int p[2];
    char pid_text[32] = "";
    assert_int_equal(pipe(p), 0);
    pid_t parent = fork();
    if (parent == 0) {
        struct process_plan plan =
            shell("echo $$; sleep 60 >/dev/null 2>&1", (int[]){-1, p[1], p[1]}, 3);
        pid_t child;
        if (process_start(&plan, &child, NULL) != FAIL_NONE)
            _exit(1);
        pause();
    }
    assert_true(read(p[0], pid_text, sizeof pid_text - 1) > 0);
    pid_t child = atoi(pid_text);
    kill(parent, SIGKILL);
    waitpid(parent, NULL, 0);
    bool is_gone = false;
    for (int i = 0; i != 200 && !is_gone; ++i) {
        char path[64], text[512] = "";
        snprintf(path, sizeof path, "/proc/%d/stat", (int)child);
        int fd = open(path, O_RDONLY);
        is_gone = fd < 0 || read(fd, text, sizeof text - 1) <= 0 || strstr(text, ") Z ") != NULL;
        if (fd >= 0)
            close(fd);
        usleep(10000);
    }
    assert_true(is_gone);
    close(p[0]);
    close(p[1]);
}

static void test_files_are_opened_as_another_user(void **state)
{
    if (geteuid() != 0)
        skip();
    char path[] = "/tmp/stoa-files-XXXXXX";
    int fd = mkstemp(path);
    close(fd);
    process_files_as(65534, 65534);
    assert_int_equal(open(path, O_RDONLY), -1);
    process_files_as_ourselves();
    fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    close(fd);
    unlink(path);
}

static void test_directory_of_another_is_refused(void **state)
{
    char root[] = "/tmp/stoa-directory-XXXXXX", path[64], link[64];
    struct stat st;
    struct fault fault;
    assert_non_null(mkdtemp(root));
    snprintf(path, sizeof path, "%s/a", root);
    snprintf(link, sizeof link, "%s/b", root);
    assert_int_equal(directory_make(path, 0750, geteuid(), getegid(), &fault), FAIL_NONE);
    assert_int_equal(directory_make(path, 0700, geteuid(), getegid(), &fault), FAIL_NONE);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(symlink(path, link), 0);
    assert_int_equal(directory_make(link, 0700, geteuid(), getegid(), &fault), FAIL_INTERNAL);
    if (geteuid() == 0) {
        assert_int_equal(chown(path, 65534, 65534), 0);
        assert_int_equal(directory_make(path, 0700, 0, 0, &fault), FAIL_DENIED);
        assert_int_equal(directory_make(path, 02710, 65534, 0, &fault), FAIL_NONE);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 02710);
        assert_int_equal(st.st_uid, 65534);
        assert_int_equal(st.st_gid, 0);
    }
    unlink(link);
    rmdir(path);
    rmdir(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_descriptors_take_their_places),
        cmocka_unit_test(test_some_come_last),
        cmocka_unit_test(test_root_is_given_up),
        cmocka_unit_test(test_program_below_a_closed_folder),
        cmocka_unit_test(test_exec_failure_is_told),
        cmocka_unit_test(test_it_dies_with_its_parent),
        cmocka_unit_test(test_files_are_opened_as_another_user),
        cmocka_unit_test(test_directory_of_another_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
