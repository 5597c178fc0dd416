// Whether a handler's code can be loaded: tried in a blank worker, which then goes. Blocking.
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"
#include "public-actions/plugin/internal.h"

// Loading is declaring: who needs longer than this would keep the others' deploys waiting.
enum { READY_MS = 10000, LOAD_MS = 3000 };
enum { HEAD = sizeof(struct worker_frame_head), BODY_MAX = 1024 * 1024 };

struct talk {
    int fd;
    uint64_t deadline; // monotonic ms
    bool is_late;
};

// False when the time is over.
static bool wait_for(struct talk *t, short events)
{
    struct pollfd p = {.fd = t->fd, .events = events};
    for (;;) {
        uint64_t now = clock_monotonic_ms();
        int n = now < t->deadline ? poll(&p, 1, (int)(t->deadline - now)) : 0;
        t->is_late = n == 0;
        if (n >= 0 || errno != EINTR)
            return n > 0;
    }
}

static bool send_all(struct talk *t, const void *p, size_t n)
{
    while (n != 0) {
        ssize_t done = send(t->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (done < 0 && errno != EINTR && errno != EAGAIN)
            return false;
        if (done < 0 && !wait_for(t, POLLOUT))
            return false;
        p = (const char *)p + (done > 0 ? done : 0);
        n -= done > 0 ? (size_t)done : 0;
    }
    return true;
}

static bool receive_all(struct talk *t, void *p, size_t n)
{
    while (n != 0) {
        if (!wait_for(t, POLLIN))
            return false;
        ssize_t done = recv(t->fd, p, n, MSG_DONTWAIT);
        if (done == 0 || (done < 0 && errno != EINTR && errno != EAGAIN))
            return false;
        p = (char *)p + (done > 0 ? done : 0);
        n -= done > 0 ? (size_t)done : 0;
    }
    return true;
}

// The next frame of that type; what is printed meanwhile is passed over. `body` has BODY_MAX bytes.
static bool receive_frame(struct talk *t, enum worker_frame type, struct worker_frame_head *head,
                          char *body)
{
    do {
        if (!receive_all(t, head, HEAD) || head->size > BODY_MAX ||
            worker_frame_max(head->type) == SIZE_MAX || !receive_all(t, body, head->size))
            return false;
    } while (head->type == WORKER_LOG);
    return head->type == type;
}

static unsigned number(const json_t *error, const char *name)
{
    json_int_t n = json_integer_value(json_object_get(error, name));
    return n > 0 && n < 1000000 ? (unsigned)n : 0;
}

static enum fail refuse(struct fault *fault)
{
    return fault_set(fault, FAIL_REFUSED, "invalid_handler", "The handler cannot be loaded.");
}

// What the worker says is bytes of a stranger's.
static enum fail add_problem(str body, unsigned first_line, struct problems *problems,
                             struct fault *fault)
{
    json_auto_t *error = jsonx_is_valid(body, 8) ? jsonx_parse_theirs(body, 100) : NULL;
    str name = jsonx_str(error, "name"), message = jsonx_str(error, "message");
    unsigned line = number(error, "line"), column = line != 0 ? number(error, "column") : 0;
    char words[256];
    problem_quote(words, sizeof words, message);
    problems_add(problems, line != 0 ? line : first_line, column, "handler",
                 "The handler cannot be loaded: %s: %s.",
                 name.p != NULL &&
                         str_find_str(STR("TypeError SyntaxError ReferenceError RangeError "
                                          "URIError EvalError Error"),
                                      name) != SIZE_MAX
                     ? json_string_value(json_object_get(error, "name"))
                     : "Error",
                 words);
    return refuse(fault);
}

static uint64_t load_ms(void)
{
    return plugin_options.busy_ms < LOAD_MS ? plugin_options.busy_ms : LOAD_MS;
}

static enum fail no_answer(const struct talk *t, unsigned first_line, struct problems *problems,
                           struct fault *fault)
{
    if (t->is_late)
        problems_add(problems, first_line, 0, "handler",
                     "The handler's code did not finish loading within %g s.",
                     (double)load_ms() / 1000);
    else
        problems_add(problems, first_line, 0, "handler",
                     "The handler's code ended the process that loaded it: it takes too much "
                     "memory, or breaks the engine.");
    return refuse(fault);
}

static enum fail busy(struct fault *fault)
{
    return fault_set(fault, FAIL_BUSY, "busy",
                     "The handler cannot be checked now. Try again in a minute.");
}

static enum fail load(struct talk *t, str code, char *body, unsigned first_line,
                      struct problems *problems, struct fault *fault)
{
    struct worker_frame_head head = {.size = (uint32_t)code.n,
                                     .type = WORKER_LOAD,
                                     .id = first_line},
                             answer;
    if (!receive_frame(t, WORKER_READY, &answer, body))
        return busy(fault);
    t->deadline = clock_monotonic_ms() + load_ms();
    if (!send_all(t, &head, HEAD) || !send_all(t, code.p, code.n) ||
        !receive_frame(t, WORKER_LOADED, &answer, body))
        return no_answer(t, first_line, problems, fault);
    return (answer.flags & WORKER_FAILED) != 0
               ? add_problem(str_of(body, answer.size), first_line, problems, fault)
               : FAIL_NONE;
}

enum fail plugin_check(str code, unsigned first_line, struct problems *problems,
                       struct fault *fault)
{
    struct cage_worker worker;
    if (code.n > WORKER_TO_MAX)
        return fault_set(fault, FAIL_TOO_LARGE, "handler_too_large", "The handler is too large.");
    if (spares_take(&worker, NULL) != FAIL_NONE)
        return busy(fault);
    struct talk t = {.fd = worker.fd, .deadline = clock_monotonic_ms() + READY_MS};
    char *body = malloc(BODY_MAX);
    if (body == NULL)
        abort();
    enum fail fail = load(&t, code, body, first_line, problems, fault);
    free(body);
    spares_end(&worker);
    return fail;
}
