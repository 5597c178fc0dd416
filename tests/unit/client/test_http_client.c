// The client against a peer that says exactly what a test wants it to: a forked process that reads
// one request, records it in a pipe, and writes fixed bytes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "edge/client/http_client.h"
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct peer {
    char url[64];
    pid_t pid;
    int seen; // what it read
};

static bool is_whole(const char *request, size_t n)
{
    const char *end = memmem(request, n, "\r\n\r\n", 4);
    const char *length = end != NULL ? strcasestr(request, "content-length:") : NULL;
    size_t body = length != NULL && length < end ? strtoul(length + 15, NULL, 10) : 0;
    return end != NULL && n >= (size_t)(end - request) + 4 + body;
}

static void serve(int listener, int seen, const char *answer, bool read_body)
{
    static char request[65536];
    size_t n = 0;
    int fd = accept(listener, NULL, NULL);
    while (n < sizeof request - 1) {
        ssize_t got = read(fd, request + n, sizeof request - 1 - n);
        if (got <= 0)
            break;
        n += (size_t)got;
        request[n] = '\0';
        if (read_body ? is_whole(request, n) : memmem(request, n, "\r\n\r\n", 4) != NULL)
            break;
    }
    if (write(seen, request, n) < 0 || write(fd, answer, strlen(answer)) < 0)
        _exit(1);
    close(seen);
    shutdown(fd, SHUT_WR);
    while (read(fd, request, sizeof request) > 0)
        ;
    _exit(0);
}

static struct peer start(const char *answer, bool read_body)
{
    struct peer peer;
    int pipe_ends[2];
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &length), 0);
    assert_int_equal(pipe(pipe_ends), 0);
    snprintf(peer.url, sizeof peer.url, "http://127.0.0.1:%u/path?q=1", ntohs(at.sin_port));
    peer.pid = fork();
    if (peer.pid == 0)
        serve(listener, pipe_ends[1], answer, read_body);
    close(listener);
    close(pipe_ends[1]);
    peer.seen = pipe_ends[0];
    return peer;
}

static const char *stop(struct peer *peer)
{
    static char seen[65536];
    size_t n = 0;
    ssize_t got;
    kill(peer->pid, SIGKILL); // what it saw is in the pipe already
    waitpid(peer->pid, NULL, 0);
    while ((got = read(peer->seen, seen + n, sizeof seen - 1 - n)) > 0)
        n += (size_t)got;
    seen[n] = '\0';
    close(peer->seen);
    return seen;
}

static struct http_client *client(void)
{
    return http_client_create(
        &(struct http_client_options){.user_agent = "test/1", .stall_timeout_s = 2});
}

static void a_request_says_who_asks_and_what(void **state)
{
    struct peer peer =
        start("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Request-Id: r7\r\n"
              "Retry-After: 3\r\nContent-Length: 2\r\n\r\n{}",
              true);
    struct http_client *c = client();
    struct http_request request = HTTP_REQUEST("DELETE", peer.url);
    struct http_response response;
    struct fault fault;
    request.token = "stoa_x";
    setenv("http_proxy", "http://127.0.0.1:9", 1); // loopback is asked directly all the same
    assert_int_equal(http_client_do(c, &request, &response, &fault), FAIL_NONE);
    unsetenv("http_proxy");
    assert_int_equal(response.status, 200);
    assert_string_equal(response.content_type, "application/json");
    assert_string_equal(response.request_id, "r7");
    assert_int_equal(response.retry_after_s, 3);
    assert_true(str_eq(buf_str(&response.body), STR("{}")));
    http_response_fini(&response);
    const char *seen = stop(&peer);
    assert_non_null(strstr(seen, "DELETE /path?q=1 HTTP/1.1\r\n"));
    assert_non_null(strstr(seen, "Authorization: Bearer stoa_x\r\n"));
    assert_non_null(strstr(seen, "User-Agent: test/1\r\n"));
    assert_non_null(strstr(seen, "Accept: application/json\r\n"));
    assert_null(strcasestr(seen, "Content-Type"));
    http_client_destroy(c);
}

static void a_body_comes_from_memory_or_from_a_file(void **state)
{
    for (int from_file = 0; from_file != 2; ++from_file) {
        struct peer peer = start("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", true);
        struct http_client *c = client();
        struct http_request request = HTTP_REQUEST("POST", peer.url);
        struct http_response response;
        FILE *file = tmpfile();
        fputs("hello body", file);
        fflush(file);
        request.content_type = "text/plain";
        request.body = STR("hello body");
        if (from_file) {
            request.body_fd = fileno(file);
            request.body_length = 10;
        }
        assert_int_equal(http_client_do(c, &request, &response, NULL), FAIL_NONE);
        assert_int_equal(response.status, 201);
        http_response_fini(&response);
        const char *seen = stop(&peer);
        assert_non_null(strstr(seen, "Content-Type: text/plain\r\n"));
        assert_non_null(strstr(seen, "Content-Length: 10\r\n"));
        assert_non_null(strstr(seen, "\r\n\r\nhello body"));
        fclose(file);
        http_client_destroy(c);
    }
}

static void a_redirect_is_told_and_not_followed(void **state)
{
    struct peer peer = start("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n"
                             "Content-Length: 0\r\n\r\n",
                             true);
    struct http_client *c = client();
    struct http_request request = HTTP_REQUEST("GET", peer.url);
    struct http_response response;
    assert_int_equal(http_client_do(c, &request, &response, NULL), FAIL_NONE);
    assert_int_equal(response.status, 302);
    assert_string_equal(response.location, "http://127.0.0.1:1/");
    http_response_fini(&response);
    stop(&peer);
    http_client_destroy(c);
}

static void an_answer_has_a_limit(void **state)
{
    struct peer peer = start("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789", true);
    struct http_client *c = client();
    struct http_request request = HTTP_REQUEST("GET", peer.url);
    struct http_response response;
    request.response_max = 9;
    assert_int_equal(http_client_do(c, &request, &response, NULL), FAIL_TOO_LARGE);
    http_response_fini(&response);
    stop(&peer);
    http_client_destroy(c);
}

static void only_a_success_goes_to_the_file(void **state)
{
    for (int ok = 0; ok != 2; ++ok) {
        struct peer peer = start(ok ? "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfile"
                                    : "HTTP/1.1 404 No\r\nContent-Length: 4\r\n\r\nnope",
                                 true);
        struct http_client *c = client();
        struct http_request request = HTTP_REQUEST("GET", peer.url);
        struct http_response response;
        FILE *file = tmpfile();
        request.response_fd = fileno(file);
        assert_int_equal(http_client_do(c, &request, &response, NULL), FAIL_NONE);
        assert_int_equal(response.body_length, 4);
        assert_true(str_eq(buf_str(&response.body), ok ? STR("") : STR("nope")));
        assert_int_equal(lseek(fileno(file), 0, SEEK_END), ok ? 4 : 0);
        http_response_fini(&response);
        stop(&peer);
        fclose(file);
        http_client_destroy(c);
    }
}

static void a_refusal_before_the_body_is_the_answer(void **state)
{
    struct peer peer = start("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n"
                             "\r\nbig",
                             false);
    struct http_client *c = client();
    struct http_request request = HTTP_REQUEST("POST", peer.url);
    struct http_response response;
    FILE *file = tmpfile();
    assert_int_equal(ftruncate(fileno(file), 8 << 20), 0);
    request.body_fd = fileno(file);
    request.body_length = 8 << 20;
    assert_int_equal(http_client_do(c, &request, &response, NULL), FAIL_NONE);
    assert_int_equal(response.status, 413);
    assert_true(str_eq(buf_str(&response.body), STR("big")));
    http_response_fini(&response);
    stop(&peer);
    fclose(file);
    http_client_destroy(c);
}

static bool interrupt(void *arg, uint64_t sent, uint64_t send_total, uint64_t received,
                      uint64_t receive_total)
{
    return true;
}

static void failures_have_codes(void **state)
{
    struct http_client *c = client();
    struct http_response response;
    struct fault fault;
    struct http_request request = HTTP_REQUEST("GET", "http://127.0.0.1:1/");
    assert_int_equal(http_client_do(c, &request, &response, &fault), FAIL_UPSTREAM);
    assert_string_equal(fault.code, "unreachable");
    http_response_fini(&response);

    request.url = "file:///etc/passwd";
    assert_int_equal(http_client_do(c, &request, &response, &fault), FAIL_BAD_INPUT);
    http_response_fini(&response);

    struct peer peer = start("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", true);
    request.url = peer.url; // closes after half of it: not an answer
    assert_int_equal(http_client_do(c, &request, &response, &fault), FAIL_UPSTREAM);
    http_response_fini(&response);
    stop(&peer);

    peer = start("", true);
    request.url = peer.url;
    request.on_progress = interrupt;
    assert_int_equal(http_client_do(c, &request, &response, &fault), FAIL_INTERNAL);
    assert_string_equal(fault.code, "interrupted");
    http_response_fini(&response);
    stop(&peer);
    http_client_destroy(c);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_says_who_asks_and_what),
        cmocka_unit_test(a_body_comes_from_memory_or_from_a_file),
        cmocka_unit_test(a_redirect_is_told_and_not_followed),
        cmocka_unit_test(an_answer_has_a_limit),
        cmocka_unit_test(only_a_success_goes_to_the_file),
        cmocka_unit_test(a_refusal_before_the_body_is_the_answer),
        cmocka_unit_test(failures_have_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
