#include "tests/unit/plugin/forked.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

_Atomic unsigned forked_started;
_Atomic pid_t forked_pids[FORKED_KEPT];

static enum fail start(struct cage_worker *ret, struct fault *fault)
{
    struct fault own;
    const struct cage_program program = {.path = HANDLER_PROGRAM};
    pid_t pid;
    int fd;
    enum fail fail = cage_spawn(CAGE_HANDLER, &program, &pid, &fd, fault != NULL ? fault : &own);
    if (fail != FAIL_NONE)
        return fail;
    unsigned number = forked_started++; // runs and spares start workers on threads of their own
    if (number < FORKED_KEPT)
        forked_pids[number] = pid;
    *ret = (struct cage_worker){.number = (uint32_t)pid, .pid = pid, .fd = fd};
    return FAIL_NONE;
}

static void end(const struct cage_worker *worker)
{
    kill(worker->pid, SIGKILL);
}

static void *reap(void *arg)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, 0);
        if (pid > 0)
            plugin_on_worker_ended((uint32_t)pid, status);
        else
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return NULL;
}

void forked_init(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, reap, NULL) != 0)
        abort();
    pthread_detach(thread);
}

const struct plugin_source forked_source = {.start = start, .kill = end};
