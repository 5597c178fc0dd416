// The table of caged processes.
#include "edge/workers.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "edge/base/log.h"
#include "edge/base/process.h"

enum fail workers_init(struct workers *w, const struct user users[CAGE_KINDS],
                       size_t handler_memory, struct fault *fault)
{
    *w = (struct workers){._handler_memory = handler_memory};
    for (int kind = 0; kind != CAGE_KINDS; ++kind) {
        const char *name = cage_kind_name((enum cage_kind)kind);
        w->_users[kind] = users[kind];
        if (!process_find_beside(name, w->_paths[kind], sizeof w->_paths[kind]))
            return fault_set(fault, FAIL_INTERNAL, "program_missing",
                             "%s is not beside this program, nor in ../lib/stoa of it. Install the "
                             "whole package, or build it: ./dev build.",
                             name);
    }
    return FAIL_NONE;
}

static struct worker *find(struct workers *w, pid_t pid)
{
    for (size_t i = 0; i != WORKERS_MAX; ++i)
        if (w->_list[i].pid == pid)
            return &w->_list[i];
    return NULL;
}

// 0 and a started worker, or an errno.
static int start(struct workers *w, enum cage_kind kind, struct worker **ret, int *ret_fd)
{
    struct worker *worker = find(w, 0);
    struct cage_program program = {.path = w->_paths[kind],
                                   .uid = w->_users[kind].uid,
                                   .gid = w->_users[kind].gid,
                                   .memory = kind == CAGE_HANDLER ? w->_handler_memory : 0};
    struct fault fault;
    if (worker == NULL)
        return EAGAIN;
    if (cage_spawn(kind, &program, &worker->pid, ret_fd, &fault) != FAIL_NONE) {
        worker->pid = 0;
        log_error("a caged process could not be started", "kind=%s reason=%s", cage_kind_name(kind),
                  LOG_STR(str_from(fault.public_text)));
        return ECHILD;
    }
    worker->number = ++w->_last_number;
    *ret = worker;
    return 0;
}

enum fail workers_start(struct workers *w, int control, const struct control_message *request)
{
    struct worker *worker = NULL;
    int fd = -1;
    struct control_message answer = {
        .type = CONTROL_STARTED, .kind = request->kind, .ticket = request->ticket};
    answer.status = start(w, (enum cage_kind)request->kind, &worker, &fd);
    answer.number = worker != NULL ? worker->number : 0;
    answer.pid = worker != NULL ? worker->pid : 0;
    enum fail fail = control_send(control, &answer, fd);
    if (fd >= 0)
        close(fd);
    return fail;
}

void workers_kill(struct workers *w, uint32_t number)
{
    for (size_t i = 0; i != WORKERS_MAX; ++i)
        if (w->_list[i].pid != 0 && w->_list[i].number == number)
            kill(w->_list[i].pid, SIGKILL);
}

bool workers_take(struct workers *w, pid_t pid, uint32_t *ret_number)
{
    struct worker *worker = find(w, pid);
    if (worker == NULL)
        return false;
    *ret_number = worker->number;
    worker->pid = 0;
    return true;
}

void workers_kill_all(struct workers *w)
{
    for (size_t i = 0; i != WORKERS_MAX; ++i) {
        if (w->_list[i].pid != 0)
            kill(w->_list[i].pid, SIGKILL);
        w->_list[i].pid = 0;
    }
}
