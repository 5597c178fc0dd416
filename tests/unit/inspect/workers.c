// Inspecting processes by fork.
#include "tests/unit/inspect/workers.h"
#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

const char *workers_program = INSPECT_ARCHIVES_PROGRAM,
           *workers_files_program = INSPECT_FILES_PROGRAM;
void (*workers_liar)(int fd);
size_t workers_started, workers_alive;
long workers_peak_kib;

static void become_worker(int fd, const char *program)
{
    if (workers_liar != NULL) {
        workers_liar(fd);
        _exit(0);
    }
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0);
    dup2(null, 1);
    dup2(null, 2);
    if (fd == 3)
        fcntl(fd, F_SETFD, 0);
    else
        dup2(fd, 3);
    char *argv[] = {"stoa-inspect", NULL}, *env[] = {"ASAN_OPTIONS=detect_leaks=0", NULL};
    execve(program, argv, env);
    _exit(127);
}

static enum fail start_program(const char *program, struct cage_worker *ret)
{
    int pair[2];
    assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    pid_t pid = fork();
    assert(pid >= 0);
    if (pid == 0) {
        close(pair[0]);
        become_worker(pair[1], program);
    }
    close(pair[1]);
    ++workers_started;
    ++workers_alive;
    *ret = (struct cage_worker){.number = (uint32_t)pid, .fd = pair[0]};
    return FAIL_NONE;
}

static enum fail start(struct cage_worker *ret, struct fault *fault)
{
    return start_program(workers_program, ret);
}

static enum fail start_files(struct cage_worker *ret, struct fault *fault)
{
    return start_program(workers_files_program, ret);
}

static void end(const struct cage_worker *worker)
{
    struct rusage usage;
    kill((pid_t)worker->number, SIGKILL);
    assert(wait4((pid_t)worker->number, NULL, 0, &usage) == (pid_t)worker->number);
    if (usage.ru_maxrss > workers_peak_kib)
        workers_peak_kib = usage.ru_maxrss;
    --workers_alive;
}

const struct inspect_source workers_source = {.start = start, .kill = end};
const struct inspect_source workers_source_of_files = {
    .start = start, .kill = end, .start_files = start_files};
