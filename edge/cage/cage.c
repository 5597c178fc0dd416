// The server's half. One thread reads the control socket. A caller of cage_start leaves a ticket in
// a list, sends its request and sleeps until the reader has filled the ticket in.
#include "edge/cage/cage.h"
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { START_TIMEOUT_S = 5 };

struct waiting {
    struct waiting *next;
    uint32_t ticket;
    bool is_answered;
    struct cage_worker worker;
    int status; // errno of the supervisor's; 0: started
};

static struct {
    int socket;
    void (*on_ended)(uint32_t number, int status);
    void (*on_control)(enum control_type type, int fd);

    pthread_mutex_t lock; // guards what follows
    pthread_cond_t answered;
    struct waiting *waiting; // on their callers' stacks
    uint32_t next_ticket;
    bool is_gone; // the supervisor
} cage = {.socket = -1, .lock = PTHREAD_MUTEX_INITIALIZER};

static struct waiting **find_waiting(uint32_t ticket)
{
    struct waiting **at = &cage.waiting;
    while (*at != NULL && (*at)->ticket != ticket)
        at = &(*at)->next;
    return at;
}

// An answer nobody waits for any more is a worker nobody would ever use.
static void on_started(const struct control_message *m, int fd)
{
    pthread_mutex_lock(&cage.lock);
    struct waiting *w = *find_waiting(m->ticket);
    if (w != NULL) {
        w->is_answered = true;
        w->worker = (struct cage_worker){.number = m->number, .pid = m->pid, .fd = fd};
        w->status = fd >= 0 ? m->status : m->status != 0 ? m->status : EPROTO;
        pthread_cond_broadcast(&cage.answered);
    }
    pthread_mutex_unlock(&cage.lock);
    if (w == NULL && fd >= 0) {
        close(fd);
        cage_kill(m->number);
    }
}

static void on_message(const struct control_message *m, int fd)
{
    switch (m->type) {
    case CONTROL_STARTED:
        on_started(m, fd);
        return;
    case CONTROL_ENDED:
        cage.on_ended(m->number, m->status);
        break;
    case CONTROL_RELOAD:
        if (fd >= 0)
            cage.on_control(CONTROL_RELOAD, fd);
        return;
    case CONTROL_STOP:
        cage.on_control(CONTROL_STOP, -1);
        break;
    default: // the rest only ever goes the other way
        break;
    }
    if (fd >= 0)
        close(fd);
}

static void *read_control(void *arg)
{
    struct control_message m;
    int fd;
    while (control_receive(cage.socket, &m, &fd) == FAIL_NONE)
        on_message(&m, fd);
    pthread_mutex_lock(&cage.lock);
    cage.is_gone = true;
    pthread_cond_broadcast(&cage.answered);
    pthread_mutex_unlock(&cage.lock);
    cage.on_control(CONTROL_STOP, -1);
    return NULL;
}

void cage_connect(int control_fd, void (*on_ended)(uint32_t number, int status),
                  void (*on_control)(enum control_type type, int fd))
{
    assert(cage.socket < 0);
    cage.socket = control_fd;
    cage.on_ended = on_ended;
    cage.on_control = on_control;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&cage.answered, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_t thread;
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&detached, 256 << 10);
    if (pthread_create(&thread, &detached, read_control, NULL) != 0)
        abort();
    pthread_attr_destroy(&detached);
}

static void add_waiting(struct waiting *w)
{
    pthread_mutex_lock(&cage.lock);
    w->ticket = ++cage.next_ticket;
    w->next = cage.waiting;
    cage.waiting = w;
    pthread_mutex_unlock(&cage.lock);
}

// Until answered, too late, or the supervisor is gone; takes the ticket out of the list.
static void await_answer(struct waiting *w)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += START_TIMEOUT_S;
    pthread_mutex_lock(&cage.lock);
    while (!w->is_answered && !cage.is_gone &&
           pthread_cond_timedwait(&cage.answered, &cage.lock, &until) != ETIMEDOUT)
        ;
    *find_waiting(w->ticket) = w->next;
    pthread_mutex_unlock(&cage.lock);
}

static void forget_waiting(struct waiting *w)
{
    pthread_mutex_lock(&cage.lock);
    *find_waiting(w->ticket) = w->next;
    pthread_mutex_unlock(&cage.lock);
}

static enum fail busy(struct fault *fault, const char *why)
{
    fault_set(fault, FAIL_BUSY, "helper_unavailable",
              "The file cannot be looked at right now. Try again in a moment.");
    fault_log(fault, "a caged process could not be started: %s", why);
    return FAIL_BUSY;
}

enum fail cage_start(enum cage_kind kind, struct cage_worker *ret, struct fault *fault)
{
    assert(cage.socket >= 0);
    struct waiting w = {.worker = {.fd = -1}};
    add_waiting(&w);
    struct control_message m = {.type = CONTROL_START, .kind = (uint8_t)kind, .ticket = w.ticket};
    if (control_send(cage.socket, &m, -1) != FAIL_NONE) {
        forget_waiting(&w);
        return busy(fault, "the supervisor is gone");
    }
    await_answer(&w);
    if (!w.is_answered)
        return busy(fault, "no answer from the supervisor");
    if (w.status != 0) {
        if (w.worker.fd >= 0)
            close(w.worker.fd);
        return busy(fault, strerror(w.status));
    }
    *ret = w.worker;
    return FAIL_NONE;
}

void cage_kill(uint32_t number)
{
    struct control_message m = {.type = CONTROL_KILL, .number = number};
    if (control_send(cage.socket, &m, -1) != FAIL_NONE)
        return; // the supervisor is gone, and took its workers along
}

enum fail cage_say(enum control_type type)
{
    struct control_message m = {.type = (uint8_t)type};
    return control_send(cage.socket, &m, -1);
}
