// Played workers. Each is a thread that reads frames and does what the call's body names; without a
// word it knows, it answers with the body.
#include "tests/unit/plugin/played.h"
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

_Atomic unsigned played_started, played_killed, played_alive;
_Atomic bool played_none;

struct worker {
    int fd;
    uint32_t number, calls; // of the bridge
    int status;
    struct {
        uint32_t run, call; // a run that waits for a bridge call
        unsigned left;
    } waiting[64];
    bool is_over;
};

// False: the server is gone.
static bool write_all(int fd, const void *p, size_t n)
{
    while (n != 0) {
        ssize_t done = send(fd, p, n, MSG_NOSIGNAL);
        if (done <= 0)
            return false;
        p = (const char *)p + done;
        n -= (size_t)done;
    }
    return true;
}

static bool put(int fd, uint8_t type, uint8_t flags, uint32_t id, uint32_t ref, const char *body,
                size_t n)
{
    struct worker_frame_head head = {
        .size = (uint32_t)n, .type = type, .flags = flags, .id = id, .ref = ref};
    char *all = malloc(sizeof head + n);
    memcpy(all, &head, sizeof head);
    if (n != 0)
        memcpy(all + sizeof head, body, n);
    bool ok = write_all(fd, all, sizeof head + n);
    free(all);
    return ok;
}

void played_send(int fd, uint8_t type, uint8_t flags, uint32_t id, uint32_t ref, const char *body,
                 size_t n)
{
    put(fd, type, flags, id, ref, body, n);
}

static void say(struct worker *w, uint8_t type, uint8_t flags, uint32_t id, uint32_t ref,
                const char *body)
{
    put(w->fd, type, flags, id, ref, body, strlen(body));
}

static void result(struct worker *w, uint32_t run, const char *meta, const char *data)
{
    char *body = malloc(strlen(meta) + strlen(data) + 1);
    size_t n = (size_t)sprintf(body, "%s%s", meta, data);
    put(w->fd, WORKER_RESULT, 0, run, (uint32_t)strlen(meta), body, n);
    free(body);
}

// As a loop in the handler does: nothing is read any more, until the server hangs up.
static void spin(struct worker *w)
{
    struct pollfd p = {.fd = w->fd};
    while (poll(&p, 1, -1) < 0 || (p.revents & (POLLHUP | POLLERR)) == 0)
        ;
    w->is_over = true;
}

static void bridge(struct worker *w, uint32_t run, const char *body)
{
    say(w, WORKER_BRIDGE, 0, ++w->calls, run, body);
}

// Calls `body` and ends the run with the answer of the `left`th.
static void ask(struct worker *w, uint32_t run, const char *body, unsigned left)
{
    size_t i = 0;
    while (w->waiting[i].left != 0)
        ++i;
    bridge(w, run, body);
    w->waiting[i].run = run;
    w->waiting[i].call = w->calls;
    w->waiting[i].left = left;
}

static void die(struct worker *w, int status)
{
    w->status = status;
    w->is_over = true;
}

static void fill(struct worker *w, uint8_t type, uint32_t run, size_t n, char with)
{
    char *body = malloc(n);
    memset(body, with, n);
    body[0] = body[n - 1] = '"';
    put(w->fd, type, 0, run, 0, body, n);
    free(body);
}

static void claim(struct worker *w, uint8_t type, uint32_t size, uint32_t id)
{
    struct worker_frame_head head = {.size = size, .type = type, .id = id};
    write_all(w->fd, &head, sizeof head);
}

static void write_slowly(struct worker *w, uint32_t run)
{
    static const char body[] = "{\"responded\":false}\"slow\"";
    struct worker_frame_head head = {
        .size = sizeof body - 1, .type = WORKER_RESULT, .id = run, .ref = 19};
    char all[sizeof head + sizeof body - 1];
    memcpy(all, &head, sizeof head);
    memcpy(all + sizeof head, body, sizeof body - 1);
    for (size_t i = 0; i != sizeof all; ++i) {
        write_all(w->fd, all + i, 1);
        nanosleep(&(struct timespec){.tv_nsec = 300000}, NULL);
    }
}

static void flood(struct worker *w, uint32_t run, const char *body, unsigned n)
{
    while (n-- != 0)
        bridge(w, run, body);
}

static void on_call(struct worker *w, uint32_t run, char *body)
{
#define DOES(word) (strstr(body, "\"" word "\"") != NULL)
    static const char fine[] = "{\"responded\":false}";
    if (DOES("silent"))
        return;
    if (DOES("unstarted result")) {
        result(w, run, fine, "1");
        return;
    }
    if (DOES("die unstarted")) {
        die(w, SIGKILL);
        return;
    }
    say(w, WORKER_STARTED, 0, run, 0, "");
    if (DOES("spin"))
        spin(w);
    else if (DOES("log and spin")) {
        say(w, WORKER_LOG, 0, 0, run, "[\"log\",\"x\"]");
        spin(w);
    } else if (DOES("compute")) { // ["compute",ms]
        unsigned ms = (unsigned)atoi(strchr(body, ',') + 1);
        nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
        result(w, run, fine, "1");
    } else if (DOES("wait"))
        ; // answers nothing of its own, but reads on
    else if (DOES("die"))
        die(w, SIGSEGV);
    else if (DOES("exit 66"))
        die(w, WORKER_EXIT_MEMORY << 8);
    else if (DOES("throw"))
        put(w->fd, WORKER_RESULT, WORKER_FAILED, run, 31, "{\"error\":{\"message\":\"thrown\"}}  ",
            31);
    else if (DOES("too large"))
        put(w->fd, WORKER_RESULT, WORKER_FAILED | WORKER_TOO_LARGE, run, 2, "{}", 2);
    else if (DOES("nothing"))
        result(w, run, fine, "");
    else if (DOES("log")) {
        say(w, WORKER_LOG, 0, 0, run, "[\"info\",\"one \\\"two\\\" \\u00e4\"]");
        result(w, run, fine, "1");
    } else if (DOES("log flood")) {
        for (int i = 0; i != 3000; ++i)
            say(w, WORKER_LOG, 0, 0, run, "[\"log\",\"x\"]");
        result(w, run, fine, "1");
    } else if (DOES("echo"))
        ask(w, run, "[\"echo\",1,\"two\",{\"three\":[]}]", 1);
    else if (DOES("bare echo"))
        ask(w, run, "[\"echo\"]", 1);
    else if (DOES("fail"))
        ask(w, run, "[\"fail\"]", 1);
    else if (DOES("later"))
        ask(w, run, "[\"later\"]", 3);
    else if (DOES("keep"))
        ask(w, run, "[\"keep\"]", 1);
    else if (DOES("keep and spin")) {
        bridge(w, run, "[\"keep\"]");
        spin(w);
    } else if (DOES("timer"))
        ask(w, run, "[\"timer\",30]", 2);
    else if (DOES("many timers")) {
        flood(w, run, "[\"timer\",100000]", 1100);
        ask(w, run, "[\"timer\",50]", 1);
    } else if (DOES("one way")) {
        say(w, WORKER_BRIDGE, WORKER_ONE_WAY, ++w->calls, run, "[\"notify\",{}]");
        result(w, run, fine, "1");
    } else if (DOES("keep 64")) {
        flood(w, run, "[\"keep\"]", 64);
        say(w, WORKER_BRIDGE, WORKER_ONE_WAY, ++w->calls, run, "[\"notify\",{}]");
    } else if (DOES("keep 70"))
        flood(w, run, "[\"keep\"]", 70);
    else if (DOES("keep 70 and spin")) {
        flood(w, run, "[\"keep\"]", 70);
        spin(w);
    } else if (DOES("never read")) {
        flood(w, run, "[\"huge\"]", 8);
        spin(w);
    } else if (DOES("huge"))
        ask(w, run, "[\"huge\"]", 1);
    else if (DOES("slow"))
        write_slowly(w, run);
    else if (DOES("result then spin")) {
        result(w, run, fine, "1");
        spin(w);
    }
    // --- lies ---
    else if (DOES("garbage"))
        write_all(w->fd, "\x05\0\0\0garbage garbage garbage", 27);
    else if (DOES("half frame")) {
        write_all(w->fd, "\x05\0\0\0\x14", 5);
        die(w, SIGKILL);
    } else if (DOES("oversized"))
        claim(w, WORKER_BRIDGE, WORKER_FROM_MAX + 1, 1);
    else if (DOES("oversized pong"))
        claim(w, WORKER_PONG, 1, 1);
    else if (DOES("endless"))
        claim(w, WORKER_RESULT, UINT32_MAX, run);
    else if (DOES("server's type"))
        say(w, WORKER_CALL, 0, run, 0, "{}");
    else if (DOES("unknown type"))
        say(w, 99, 0, run, 0, "{}");
    else if (DOES("future id"))
        result(w, run + 64, fine, "1");
    else if (DOES("id 0"))
        result(w, 0, fine, "1");
    else if (DOES("double start"))
        say(w, WORKER_STARTED, 0, run, 0, "");
    else if (DOES("double result")) {
        result(w, run, fine, "1");
        result(w, run, fine, "2");
    } else if (DOES("call id twice")) {
        say(w, WORKER_BRIDGE, 0, 7, run, "[\"keep\"]");
        say(w, WORKER_BRIDGE, 0, 7, run, "[\"keep\"]");
    } else if (DOES("bad op"))
        bridge(w, run, "[\"a b\"]");
    else if (DOES("no array"))
        bridge(w, run, "{\"op\":1}");
    else if (DOES("bad args"))
        bridge(w, run, "[\"echo\",1");
    else if (DOES("bad meta"))
        result(w, run, "[1]", "1");
    else if (DOES("meta is two"))
        result(w, run, "{}{}", "1");
    else if (DOES("no meta"))
        result(w, run, "", "1");
    else if (DOES("meta behind the end"))
        put(w->fd, WORKER_RESULT, 0, run, 100, "{}", 2);
    else if (DOES("bad data"))
        result(w, run, fine, "{\"a\":}");
    else if (DOES("two data"))
        result(w, run, fine, "1 2");
    else if (DOES("bad utf8"))
        result(w, run, fine, "\"\xff\"");
    else if (DOES("failed with data"))
        put(w->fd, WORKER_RESULT, WORKER_FAILED, run, 2, "{}1", 3);
    else if (DOES("large data"))
        fill(w, WORKER_RESULT, run, WORKER_RESULT_MAX + 1, 'x');
    else if (DOES("bad log"))
        say(w, WORKER_LOG, 0, 0, run, "[\"shout\",\"x\"]");
    else if (DOES("log escape"))
        say(w, WORKER_LOG, 0, 0, run, "[\"log\",\"x\\\"]");
    else if (DOES("second ready"))
        say(w, WORKER_READY, 0, 0, 0, "{\"layers\":0}");
    else if (DOES("second load"))
        say(w, WORKER_LOADED, 0, 0, 0, "{\"exports\":[]}");
    else if (DOES("unasked pong"))
        say(w, WORKER_PONG, 0, 1, 0, "");
    else if (DOES("unasked stats"))
        say(w, WORKER_STATS, 0, 0, 0, "{}");
    else
        result(w, run, fine, body);
#undef DOES
}

static void on_reply(struct worker *w, const struct worker_frame_head *head, const char *body)
{
    for (size_t i = 0; i != 64; ++i) {
        if (w->waiting[i].left == 0 || w->waiting[i].call != head->id ||
            w->waiting[i].run != head->ref)
            continue;
        if (--w->waiting[i].left != 0) {
            bridge(w, head->ref, "[\"later\"]");
            w->waiting[i].call = w->calls;
        } else if (head->size > WORKER_RESULT_MAX) {
            result(w, head->ref, "{}", "\"huge\"");
        } else {
            result(w, head->ref, (head->flags & WORKER_FAILED) != 0 ? "{\"failed\":1}" : "{}",
                   body);
        }
        return;
    }
}

// Its error stands on the code's third line.
static void on_load(struct worker *w, uint32_t first_line, const char *code)
{
    char error[160];
    snprintf(error, sizeof error,
             "{\"name\":\"SyntaxError\",\"message\":\"Unexpected token\",\"line\":%u,"
             "\"column\":7}",
             first_line + 2);
    if (strstr(code, "load loop") != NULL)
        spin(w);
    else if (strstr(code, "load death") != NULL)
        die(w, SIGSEGV);
    else if (strstr(code, "load error") != NULL)
        say(w, WORKER_LOADED, WORKER_FAILED, 0, 0, error);
    else
        say(w, WORKER_LOADED, 0, 0, 0, "{\"exports\":[\"handler\"]}");
}

static void on_frame(struct worker *w, const struct worker_frame_head *head, char *body)
{
    switch (head->type) {
    case WORKER_LOAD:
        on_load(w, head->id, body);
        break;
    case WORKER_CALL:
        on_call(w, head->id, body);
        break;
    case WORKER_REPLY:
        on_reply(w, head, body);
        break;
    case WORKER_PING:
        say(w, WORKER_PONG, 0, head->id, 0, "");
        break;
    case WORKER_TIDY:
        say(w, WORKER_STATS, 0, 0, 0, "{\"heapSize\":1,\"heapCapacity\":2}");
        break;
    default:
        assert(head->type == WORKER_DROP);
    }
}

static bool read_all(int fd, void *p, size_t n)
{
    for (size_t done = 0; done != n;) {
        ssize_t got = read(fd, (char *)p + done, n - done);
        if (got <= 0)
            return false;
        done += (size_t)got;
    }
    return true;
}

static void *play(void *arg)
{
    struct worker *w = arg;
    struct worker_frame_head head;
    say(w, WORKER_READY, 0, 0, 0, "{\"layers\":31}");
    while (!w->is_over && read_all(w->fd, &head, sizeof head)) {
        char *body = calloc(1, head.size + 1);
        if (read_all(w->fd, body, head.size))
            on_frame(w, &head, body);
        else
            w->is_over = true;
        free(body);
    }
    close(w->fd);
    plugin_on_worker_ended(w->number, w->status);
    free(w);
    --played_alive;
    return NULL;
}

static enum fail start(struct cage_worker *ret, struct fault *fault)
{
    int pair[2];
    if (played_none)
        return FAIL_BUSY;
    assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    struct worker *w = calloc(1, sizeof *w);
    w->fd = pair[1];
    w->number = ++played_started;
    ++played_alive;
    *ret = (struct cage_worker){.number = w->number, .fd = pair[0]};
    pthread_t thread;
    assert(pthread_create(&thread, NULL, play, w) == 0);
    pthread_detach(thread);
    return FAIL_NONE;
}

static void end(const struct cage_worker *worker)
{
    ++played_killed;
}

const struct plugin_source played_source = {.start = start, .kill = end};
