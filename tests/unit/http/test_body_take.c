// Bodies that are taken: over HTTP/1 and HTTP/2, of known and unknown length, after the client has
// left, beside the next request on the same connection; and what is said when there is no room.
// This takes libh2o's place as the server does: connections are pairs of sockets on one loop.
#include "edge/guard/guard.h"
#include "edge/http/body.h"
#include "edge/http/h2o.h"
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

enum { KIB = 1024, MIB = 1024 * 1024, TURN_MS = 2, TURNS = 500, PIECE = 100 * KIB, TAKEN_MAX = 4 };

static h2o_globalconf_t config;
static h2o_context_t ctx;
static h2o_accept_ctx_t accepting;
static struct guard_loop guard;
static struct guard_policy policy;
static char directory[] = "/tmp/stoa-test-body-XXXXXX";
static char pattern[4 * MIB];

static struct body *taken[TAKEN_MAX];
static size_t taken_count;

static int on_request(h2o_handler_t *self, h2o_req_t *req)
{
    static h2o_generator_t all_at_once;
    struct request r = {.body = str_of(req->entity.base, req->entity.len), ._h2o = req};
    if (r.body.n != 0 && taken_count != TAKEN_MAX)
        taken[taken_count++] = body_take(&r);
    req->res.status = 200;
    req->res.content_length = 0;
    h2o_start_response(req, &all_at_once);
    h2o_send(req, NULL, 0, H2O_SEND_STATE_FINAL);
    return 0;
}

static size_t body_limit(void *c, h2o_req_t *req, str method, str authority, str path)
{
    return 8 * MIB;
}

static uint64_t sender; // of all requests

static struct share_holder body_sender(void *c, h2o_req_t *req)
{
    return (struct share_holder){.holder = sender, .network = sender};
}

static int start(void **state)
{
    for (size_t i = 0; i != sizeof pattern; ++i)
        pattern[i] = (char)(i * 2654435761u >> 13);
    if (mkdtemp(directory) == NULL)
        return 1;
    guard_policy_defaults(&policy);
    policy.body_limit = body_limit;
    policy.body_sender = body_sender;
    policy.body_directory = directory;
    guard_start(&policy);
    http_set_body_keeper(guard_keep_body, guard_release_body);
    h2o_config_init(&config);
    h2o_hostconf_t *host = h2o_config_register_host(&config, h2o_iovec_init("x", 1), 65535);
    h2o_create_handler(&host->fallback_path, sizeof(h2o_handler_t))->on_req = on_request;
    guard_configure(&config);
    h2o_context_init(&ctx, h2o_evloop_create(), &config);
    accepting = (h2o_accept_ctx_t){.ctx = &ctx, .hosts = config.hosts};
    guard_loop_init(&guard, &ctx);
    return 0;
}

static int end(void **state)
{
    return rmdir(directory); // nothing lies in it
}

static void turn(void)
{
    h2o_evloop_run(ctx.loop, TURN_MS);
}

// ---- a client

struct client {
    int fd;
    char reply[8 * KIB];
    size_t reply_n;
};

static void client_open(struct client *c)
{
    int fds[2], room = MIB;
    c->reply_n = 0;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    h2o_socket_t *sock =
        h2o_evloop_socket_create(ctx.loop, fds[0], H2O_SOCKET_FLAG_IS_ACCEPTED_CONNECTION);
    guard_on_accept(&guard, sock, NULL, NULL);
    h2o_accept(&accepting, sock);
    c->fd = fds[1];
}

static void client_read(struct client *c)
{
    ssize_t n = recv(c->fd, c->reply + c->reply_n, sizeof c->reply - 1 - c->reply_n, MSG_DONTWAIT);
    if (n > 0)
        c->reply_n += (size_t)n;
    c->reply[c->reply_n] = '\0';
}

// In pieces of at most `piece`, with turns of the loop in between.
static void client_send(struct client *c, const void *p, size_t n, size_t piece)
{
    for (size_t at = 0; at != n;) {
        size_t want = n - at < piece ? n - at : piece;
        ssize_t sent = send(c->fd, (const char *)p + at, want, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0)
            at += (size_t)sent;
        else if (errno == EPIPE)
            return;
        turn();
        client_read(c);
    }
}

static void __attribute__((format(printf, 2, 3)))
client_say(struct client *c, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    client_send(c, text, (size_t)n, (size_t)n);
}

static void expect(struct client *c, const char *words)
{
    for (int i = 0; i != TURNS && strstr(c->reply, words) == NULL; ++i) {
        turn();
        client_read(c);
    }
    if (strstr(c->reply, words) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", words, c->reply);
}

static void client_close(struct client *c)
{
    close(c->fd);
    for (int i = 0; i != TURNS && guard_loop_connections(&guard) != 0; ++i)
        turn();
    assert_int_equal(guard_loop_connections(&guard), 0);
    assert_int_equal(guard_counters().buffered, 0);
}

// ---- what was taken

static void is_pattern(const struct body *b, size_t n)
{
    assert_int_equal(body_bytes(b).n, n);
    assert_memory_equal(body_bytes(b).p, pattern, n);
}

static void give_back(size_t count)
{
    assert_int_equal(taken_count, count);
    for (size_t i = 0; i != count; ++i)
        body_destroy(taken[i]);
    assert_int_equal(guard_counters().stored, 0);
}

static void announce(struct client *c, size_t n)
{
    client_say(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", n);
}

static void post(struct client *c, size_t n)
{
    announce(c, n);
    client_send(c, pattern, n, PIECE);
}

// ---- tests

// With an almost full disk the files that earlier tests left for the next bodies go.
static int fresh(void **state)
{
    struct client c;
    taken_count = 0;
    policy.body_file_from = 256 * KIB;
    policy.body_disk_total = 64 * MIB;
    policy.body_memory_per_connection = 32 * MIB;
    policy.body_memory_total = 512 * MIB;
    policy.body_disk_spare = UINT64_C(1) << 60;
    policy.body_directory = directory;
    guard_loop_reload(&guard, &policy);
    client_open(&c);
    announce(&c, MIB);
    expect(&c, "HTTP/1.1 507");
    client_close(&c);
    policy.body_disk_spare = 0;
    guard_loop_reload(&guard, &policy);
    return 0;
}

static void a_file_is_used_again(void **state)
{
    struct client c;
    for (int i = 0; i != 2; ++i) {
        taken_count = 0;
        client_open(&c);
        announce(&c, 2 * MIB);
        client_send(&c, pattern + i, 2 * MIB, PIECE);
        expect(&c, "HTTP/1.1 200");
        client_close(&c);
        assert_memory_equal(body_bytes(taken[0]).p, pattern + i, 2 * MIB);
        give_back(1);
    }
}

static void one_that_is_small_is_copied(void **state)
{
    struct client c;
    client_open(&c);
    post(&c, 1000);
    expect(&c, "HTTP/1.1 200");
    client_close(&c);
    is_pattern(taken[0], 1000);
    assert_int_equal(body_memory(taken[0]), 1000);
    give_back(1);
}

static void one_that_is_large_stands_in_a_file(void **state)
{
    struct client c;
    client_open(&c);
    post(&c, 3 * MIB);
    expect(&c, "HTTP/1.1 200");
    is_pattern(taken[0], 3 * MIB);
    assert_int_equal(body_memory(taken[0]), 0);
    size_t stored = guard_counters().stored;
    assert_in_range(stored, 3 * MIB, 3 * MIB + 16 * KIB); // its length was announced
    client_close(&c);
    is_pattern(taken[0], 3 * MIB);
    assert_int_equal(guard_counters().stored, stored);
    give_back(1);
}

static void one_without_a_length(void **state)
{
    struct client c;
    client_open(&c);
    client_say(&c, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (size_t at = 0; at != 3 * MIB; at += 64 * KIB) {
        client_say(&c, "%x\r\n", 64 * KIB);
        client_send(&c, pattern + at, 64 * KIB, PIECE);
        client_say(&c, "\r\n");
    }
    client_say(&c, "0\r\n\r\n");
    expect(&c, "HTTP/1.1 200");
    client_close(&c);
    is_pattern(taken[0], 3 * MIB);
    assert_int_equal(body_memory(taken[0]), 0);
    give_back(1);
}

static void one_that_comes_at_once_gets_a_file_when_it_is_taken(void **state)
{
    struct client c;
    policy.body_file_from = 64 * KIB;
    guard_loop_reload(&guard, &policy);
    client_open(&c);
    char all[128 * KIB];
    int head = sprintf(all, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", 100 * KIB);
    memcpy(all + head, pattern, 100 * KIB);
    client_send(&c, all, (size_t)head + 100 * KIB, sizeof all);
    expect(&c, "HTTP/1.1 200");
    client_close(&c);
    is_pattern(taken[0], 100 * KIB);
    assert_int_equal(body_memory(taken[0]), 0);
    give_back(1);
}

static void the_next_request_leaves_it_alone(void **state)
{
    struct client c;
    client_open(&c);
    // the second one's head comes with the first one's last bytes
    announce(&c, MIB);
    client_send(&c, pattern, MIB - 10, PIECE);
    char joint[200];
    memcpy(joint, pattern + MIB - 10, 10);
    int n = 10 + sprintf(joint + 10, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n",
                         2 * MIB);
    memcpy(joint + n, pattern, 20);
    client_send(&c, joint, (size_t)n + 20, sizeof joint);
    client_send(&c, pattern + 20, 2 * MIB - 20, PIECE);
    post(&c, 300 * KIB);
    for (int i = 0; i != TURNS && taken_count != 3; ++i)
        turn();
    client_close(&c);
    is_pattern(taken[0], MIB);
    is_pattern(taken[1], 2 * MIB);
    is_pattern(taken[2], 300 * KIB);
    give_back(3);
}

static void *destroy(void *body)
{
    body_destroy(body);
    return NULL;
}

static void any_thread_gives_it_back(void **state)
{
    struct client c;
    pthread_t thread;
    client_open(&c);
    post(&c, 2 * MIB);
    expect(&c, "HTTP/1.1 200");
    assert_int_equal(pthread_create(&thread, NULL, destroy, taken[0]), 0);
    client_close(&c); // which gives back libh2o's share meanwhile
    pthread_join(thread, NULL);
    assert_int_equal(guard_counters().stored, 0);
}

static void a_client_that_leaves_before_its_end_leaves_nothing(void **state)
{
    struct client c;
    client_open(&c);
    announce(&c, 3 * MIB);
    client_send(&c, pattern, 2 * MIB, PIECE);
    turn();
    assert_true(guard_counters().stored >= 2 * MIB);
    client_close(&c);
    give_back(0);
}

static void an_announcement_occupies_nothing(void **state)
{
    struct client c;
    client_open(&c);
    announce(&c, 8 * MIB);
    client_send(&c, pattern, 300 * KIB, PIECE);
    turn();
    assert_true(guard_counters().stored < MIB);
    client_close(&c);
    give_back(0);
}

// ---- HTTP/2

static void frame(struct client *c, unsigned type, unsigned flags, unsigned stream, const char *p,
                  size_t n)
{
    char head[9] = {(char)(n >> 16), (char)(n >> 8), (char)n, (char)type, (char)flags, 0, 0, 0,
                    (char)stream};
    client_send(c, head, sizeof head, sizeof head);
    client_send(c, p, n, PIECE);
}

static void post_h2(struct client *c, unsigned stream, size_t n)
{
    // :method POST, :scheme http, :path /, :authority x
    static const char head[] = "\x83\x86\x84\x41\1x";
    frame(c, 1, 4, stream, head, sizeof head - 1);
    for (size_t at = 0; at != n; at += 16 * KIB)
        frame(c, 0, at + 16 * KIB == n ? 1 : 0, stream, pattern + at, 16 * KIB);
}

static void open_h2(struct client *c)
{
    client_open(c);
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    client_send(c, preface, sizeof preface - 1, PIECE);
    frame(c, 4, 0, 0, "", 0);
}

static void over_http2(void **state)
{
    struct client c;
    open_h2(&c);
    post_h2(&c, 1, 2 * MIB);
    post_h2(&c, 3, 64 * KIB);
    post_h2(&c, 5, MIB);
    for (int i = 0; i != TURNS && taken_count != 3; ++i)
        turn();
    client_close(&c);
    is_pattern(taken[0], 2 * MIB);
    is_pattern(taken[1], 64 * KIB);
    is_pattern(taken[2], MIB);
    assert_int_equal(body_memory(taken[0]), 0);
    assert_int_equal(body_memory(taken[1]), 64 * KIB);
    give_back(3);
}

static void a_full_disk_over_http2_is_an_answer(void **state)
{
    struct client c;
    policy.body_disk_total = MIB;
    guard_loop_reload(&guard, &policy);
    open_h2(&c);
    post_h2(&c, 1, 2 * MIB);
    for (int i = 0; i != TURNS && memmem(c.reply, c.reply_n, "busy", 4) == NULL; ++i) {
        turn();
        client_read(&c);
    }
    assert_non_null(memmem(c.reply, c.reply_n, "\"code\":\"busy\"", 13));
    client_close(&c);
    give_back(0);
}

// ---- no room

static void too_many_files_are_told_at_the_head(void **state)
{
    struct client c;
    policy.body_disk_total = MIB;
    guard_loop_reload(&guard, &policy);
    client_open(&c);
    announce(&c, 2 * MIB);
    expect(&c, "HTTP/1.1 503");
    expect(&c, "retry-after");
    expect(&c, "\"code\":\"busy\"");
    client_close(&c);
    give_back(0);
}

static void a_full_disk_is_told_at_the_head(void **state)
{
    struct client c;
    policy.body_disk_spare = UINT64_C(1) << 60;
    guard_loop_reload(&guard, &policy);
    client_open(&c);
    announce(&c, 2 * MIB);
    expect(&c, "HTTP/1.1 507");
    expect(&c, "\"code\":\"disk_full\"");
    client_close(&c);
    give_back(0);
}

static void what_grows_too_large_on_its_way_is_answered(void **state)
{
    struct client c;
    policy.body_disk_total = MIB;
    guard_loop_reload(&guard, &policy);
    client_open(&c);
    client_say(&c, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n",
               2 * MIB);
    client_send(&c, pattern, 2 * MIB, PIECE);
    expect(&c, "HTTP/1.1 503");
    expect(&c, "Retry-After");
    client_close(&c);
    give_back(0);
}

// The disk takes no more than a megabyte of any file.
static void a_disk_that_is_full_on_the_way_is_answered(void **state)
{
    struct client c;
    struct rlimit before, narrow;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    narrow = before;
    narrow.rlim_cur = MIB;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &narrow), 0);
    client_open(&c);
    post(&c, 4 * MIB);
    expect(&c, "HTTP/1.1 507");
    expect(&c, "\"code\":\"disk_full\"");
    client_close(&c);
    client_open(&c);
    post(&c, 500 * KIB);
    expect(&c, "HTTP/1.1 200");
    client_close(&c);
    setrlimit(RLIMIT_FSIZE, &before);
    give_back(1);
}

static void a_directory_that_is_gone_is_answered(void **state)
{
    struct client c;
    policy.body_directory = "/nonexistent";
    guard_loop_reload(&guard, &policy);
    client_open(&c);
    post(&c, 2 * MIB);
    expect(&c, "HTTP/1.1 503");
    client_close(&c);
    give_back(0);
}

static void a_taken_body_counts_until_it_is_given_back(void **state)
{
    struct client c;
    policy.body_disk_total = 3 * MIB;
    guard_loop_reload(&guard, &policy);
    client_open(&c);
    post(&c, 2 * MIB);
    expect(&c, "HTTP/1.1 200");
    client_close(&c);
    client_open(&c);
    announce(&c, 2 * MIB);
    expect(&c, "HTTP/1.1 503");
    client_close(&c);
    give_back(1);
    taken_count = 0;
    client_open(&c);
    post(&c, 2 * MIB);
    expect(&c, "HTTP/1.1 200");
    client_close(&c);
    give_back(1);
}

// A body without a length grows on its way.
static void post_in_chunks(struct client *c, size_t bytes)
{
    client_say(c, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n", bytes);
    client_send(c, pattern, bytes, PIECE);
    client_say(c, "\r\n0\r\n\r\n");
}

static void a_sender_has_a_share(void **state)
{
    struct client c, other;
    policy.body_disk_total = 18 * MIB; // 13.5 for strangers
    policy.body_memory_per_connection = 6 * MIB;
    guard_loop_reload(&guard, &policy);
    sender = 7;
    client_open(&c);
    post_in_chunks(&c, 2 * MIB);
    expect(&c, "HTTP/1.1 200");
    client_close(&c);
    client_open(&c);
    post_in_chunks(&c, 4 * MIB);
    expect(&c, "HTTP/1.1 503");
    expect(&c, "from your address");
    client_close(&c);
    sender = 8;
    client_open(&other);
    post_in_chunks(&other, 2 * MIB);
    expect(&other, "HTTP/1.1 200");
    client_close(&other);
    sender = 7;
    give_back(2);
    taken_count = 0;
    client_open(&c);
    post_in_chunks(&c, 2 * MIB);
    expect(&c, "HTTP/1.1 200");
    client_close(&c);
    sender = 0;
    give_back(1);
}

// A hundred bodies that are small each are not.
static void a_sender_has_a_share_of_memory(void **state)
{
    struct client c[4];
    policy.body_memory_total = 1536 * KIB; // three quarters for strangers
    policy.body_memory_per_connection = 400 * KIB;
    policy.body_file_from = 300 * KIB;
    guard_loop_reload(&guard, &policy);
    for (size_t i = 0; i != 4; ++i) {
        sender = i < 3 ? 7 : 8;
        client_open(&c[i]);
        client_say(&c[i], "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", 250 * KIB);
        client_send(&c[i], pattern, 200 * KIB, PIECE);
        if (i == 2) {
            expect(&c[i], "HTTP/1.1 503");
            expect(&c[i], "from your address");
        } else {
            assert_int_equal(c[i].reply_n, 0);
        }
    }
    sender = 7;
    for (size_t i = 0; i != 4; ++i)
        close(c[i].fd);
    for (int i = 0; i != TURNS && guard_loop_connections(&guard) != 0; ++i)
        turn();
    assert_int_equal(guard_counters().buffered, 0);
    client_open(&c[0]);
    client_say(&c[0], "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", 250 * KIB);
    client_send(&c[0], pattern, 250 * KIB, PIECE);
    expect(&c[0], "HTTP/1.1 200");
    client_close(&c[0]);
    sender = 0;
    give_back(1);
}

static void what_lay_in_the_directory_is_taken_away(void **state)
{
    char path[sizeof directory + 16];
    snprintf(path, sizeof path, "%s/body-leftover", directory);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fclose(f);
    guard_start(&policy);
    assert_int_not_equal(access(path, F_OK), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, fresh)
    const struct CMUnitTest tests[] = {
        TEST(one_that_is_small_is_copied),
        TEST(one_that_is_large_stands_in_a_file),
        TEST(one_without_a_length),
        TEST(one_that_comes_at_once_gets_a_file_when_it_is_taken),
        TEST(the_next_request_leaves_it_alone),
        TEST(a_file_is_used_again),
        TEST(any_thread_gives_it_back),
        TEST(a_client_that_leaves_before_its_end_leaves_nothing),
        TEST(an_announcement_occupies_nothing),
        TEST(over_http2),
        TEST(a_full_disk_over_http2_is_an_answer),
        TEST(too_many_files_are_told_at_the_head),
        TEST(a_full_disk_is_told_at_the_head),
        TEST(what_grows_too_large_on_its_way_is_answered),
        TEST(a_disk_that_is_full_on_the_way_is_answered),
        TEST(a_directory_that_is_gone_is_answered),
        TEST(a_taken_body_counts_until_it_is_given_back),
        TEST(a_sender_has_a_share),
        TEST(a_sender_has_a_share_of_memory),
        TEST(what_lay_in_the_directory_is_taken_away),
    };
    return cmocka_run_group_tests(tests, start, end);
}
