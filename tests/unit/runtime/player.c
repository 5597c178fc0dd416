#include "tests/unit/runtime/player.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

const char *player_program = HANDLER_PROGRAM;

static void become_worker(int fd)
{
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0);
    dup2(null, 1);
    dup2(null, 2);
    if (fd == 3)
        fcntl(fd, F_SETFD, 0);
    else
        dup2(fd, 3);
    char *argv[] = {"stoa-handler", NULL};
    char *env[] = {"LANG=C.UTF-8",
                   "TZ=UTC",
                   "JSC_useJIT=0",
                   "JSC_useWasm=0",
                   "JSC_useConcurrentGC=0",
                   "JSC_numberOfGCMarkers=1",
                   "JSC_useSharedArrayBuffer=0",
                   "GIGACAGE_ENABLED=no",
                   "Malloc=1",
                   "ASAN_OPTIONS=detect_leaks=0",
                   NULL};
    execve(player_program, argv, env);
    _exit(127);
}

void player_start(struct player *p)
{
    int pair[2];
    assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    pid_t pid = fork();
    assert(pid >= 0);
    if (pid == 0)
        become_worker(pair[1]);
    close(pair[1]);
    *p = (struct player){.pid = pid, .fd = pair[0]};
    player_expect(p, WORKER_READY);
}

int player_stop(struct player *p, bool is_killed)
{
    int status;
    if (is_killed)
        kill(p->pid, SIGKILL);
    close(p->fd);
    assert(waitpid(p->pid, &status, 0) == p->pid);
    free(p->body);
    *p = (struct player){.fd = -1};
    return status;
}

static void write_all(int fd, const char *from, size_t n)
{
    while (n != 0) {
        ssize_t done = send(fd, from, n, MSG_NOSIGNAL);
        if (done < 0 && errno == EPIPE)
            return; // it has died; who reads next sees it
        assert(done > 0);
        from += done;
        n -= (size_t)done;
    }
}

void player_send(struct player *p, enum worker_frame type, uint8_t flags, uint32_t id, uint32_t ref,
                 str body)
{
    struct worker_frame_head head = {
        .size = (uint32_t)body.n, .type = type, .flags = flags, .id = id, .ref = ref};
    write_all(p->fd, (const char *)&head, sizeof head);
    write_all(p->fd, body.p, body.n);
}

static bool read_all(int fd, char *to, size_t n)
{
    while (n != 0) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        assert(poll(&wait, 1, 60000) == 1 && "the worker has nothing to say");
        ssize_t got = read(fd, to, n);
        if (got <= 0)
            return false;
        to += got;
        n -= (size_t)got;
    }
    return true;
}

unsigned player_read(struct player *p)
{
    free(p->body);
    p->body = NULL;
    if (!read_all(p->fd, (char *)&p->head, sizeof p->head))
        return 0;
    assert(p->head.size <= WORKER_FROM_MAX && p->head.zero == 0);
    p->body = calloc(1, p->head.size + 1);
    assert(p->body != NULL);
    if (!read_all(p->fd, p->body, p->head.size))
        return 0;
    assert(str_is_utf8(str_of(p->body, p->head.size)));
    return p->head.type;
}

void player_expect(struct player *p, unsigned type)
{
    unsigned got = player_read(p);
    if (got != type)
        fprintf(stderr, "frame %u instead of %u: %s\n", got, type, p->body != NULL ? p->body : "");
    assert(got == type);
}

void player_skip_to(struct player *p, unsigned type)
{
    unsigned got;
    while ((got = player_read(p)) != type)
        assert(got != 0);
}

void player_load(struct player *p, const char *code, bool is_fresh)
{
    player_send(p, WORKER_LOAD, is_fresh ? WORKER_FRESH : 0, 0, 0, str_from(code));
    player_skip_to(p, WORKER_LOADED);
    if (p->head.flags & WORKER_FAILED)
        fprintf(stderr, "not loaded: %s\n", p->body);
    assert(!(p->head.flags & WORKER_FAILED));
}

void player_call(struct player *p, uint32_t run, const char *input_json)
{
    struct buf b;
    buf_init(&b, WORKER_TO_MAX);
    buf_addf(
        &b,
        "{\"export\":\"handler\",\"input\":%s,\"context\":{\"kind\":\"public\","
        "\"user\":{\"id\":\"u-1\",\"displayName\":\"Uma\"},\"secrets\":{\"KEY\":\"s3cret\"},"
        "\"userConfig\":{},\"publicApp\":{\"instanceId\":\"i-1\",\"visitorIp\":\"192.0.2.1\"}}}",
        input_json);
    player_send(p, WORKER_CALL, 0, run, 0, buf_str(&b));
    buf_fini(&b);
}

bool player_has_failed(const struct player *p)
{
    return (p->head.flags & WORKER_FAILED) != 0;
}

const char *player_data(const struct player *p)
{
    assert(p->head.type == WORKER_RESULT && p->head.ref <= p->head.size);
    return player_has_failed(p) ? p->body : p->body + p->head.ref;
}

static long status_of(const struct player *p, const char *field)
{
    char path[64], line[256];
    long n = -1;
    snprintf(path, sizeof path, "/proc/%d/status", (int)p->pid);
    FILE *f = fopen(path, "r");
    assert(f != NULL);
    while (n < 0 && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, field, strlen(field)) == 0)
            n = strtol(line + strlen(field), NULL, 10);
    fclose(f);
    return n;
}

long player_memory(const struct player *p)
{
    return status_of(p, "RssAnon:");
}

long player_threads(const struct player *p)
{
    return status_of(p, "Threads:");
}
