// Fetching for strangers, against servers of the test's own. `open_server` and `other` may be
// connected to (the setting for tests), `closed` may not, as nothing on loopback may.
#include "edge/loop/h2o.h"
#include "edge/base/clock.h"
#include "edge/client/fetch.h"
#include "web_server.h"
#include <dirent.h>
#include <dlfcn.h>
#include <inttypes.h>
#include <netdb.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

static h2o_globalconf_t config;
static struct web_server open_server, other, closed, secure, distrusted, six;

// --- names ---

// In place of the C library's, for libcurl too. `rebound.example` leads to `open_server`'s address
// the first time and to another of loopback's later on, as an attacker's name server would have it;
// `slow.example` is not answered while the test says so.
static _Atomic unsigned rebound_lookups;
static _Atomic bool is_slow;

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (name != NULL && strcmp(name, "rebound.example") == 0)
        name = rebound_lookups++ == 0 ? "127.0.0.1" : "127.0.0.2";
    if (name != NULL && strcmp(name, "slow.example") == 0) {
        while (is_slow)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        return EAI_AGAIN;
    }
    return real(name, service, hints, ret);
}

// --- a fetch as a test sees it ---

struct seen {
    struct loop_message message;
    struct fetch_request request;
    struct fetch *fetch;
    enum fail fail;
    char code[32], message_text[200];
    unsigned status, times;
    char *body;
    size_t body_n;
    bool is_truncated;
    char headers[8192];
    size_t header_count;
    uint32_t ms;
    _Atomic bool is_done;
};

static void on_done(void *arg, const struct fetch_answer *a)
{
    struct seen *s = arg;
    s->fail = a->fail;
    snprintf(s->code, sizeof s->code, "%s", a->code);
    snprintf(s->message_text, sizeof s->message_text, "%s", a->message);
    s->status = a->status;
    s->body = str_dup(a->body);
    s->body_n = a->body.n;
    s->is_truncated = a->is_truncated;
    s->ms = a->ms;
    s->header_count = a->header_count;
    size_t n = 0;
    for (size_t i = 0; i != a->header_count && n < sizeof s->headers; ++i)
        n += (size_t)snprintf(s->headers + n, sizeof s->headers - n, "%.*s: %.*s\n",
                              STR_FMT(a->headers[i].name), STR_FMT(a->headers[i].value));
    ++s->times;
    s->is_done = true;
}

static void start_here(struct loop_message *m)
{
    struct seen *s = (struct seen *)m;
    s->fetch = fetch_start(&s->request, on_done, s);
}

static void fill(struct seen *s)
{
    struct fetch_request *r = &s->request;
    if (r->project_id.p == NULL)
        r->project_id = STR("project");
    if (r->method.p == NULL)
        r->method = STR("GET");
    if (r->timeout_ms == 0)
        r->timeout_ms = 10000;
    if (r->body_max == 0)
        r->body_max = 1 << 20;
}

static void begin(struct seen *s)
{
    fill(s);
    s->message.run = start_here;
    loop_post(loop_at(0), &s->message);
}

static void wait_until(_Atomic bool *done)
{
    for (uint64_t until = clock_monotonic_ms() + 60000; !*done;) {
        nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
        assert_true(clock_monotonic_ms() < until);
    }
}

static void forget(struct seen *s)
{
    free(s->body);
    *s = (struct seen){.times = 0};
}

static struct seen seen;

static void get_with(struct fetch_request r)
{
    forget(&seen);
    seen.request = r;
    begin(&seen);
    wait_until(&seen.is_done);
    assert_int_equal(seen.times, 1);
}

static str url_of(const struct web_server *s, const char *path)
{
    static char urls[4][4096];
    static unsigned next;
    char *to = urls[next++ % 4];
    snprintf(to, sizeof urls[0], "%s%s", s->origin, path);
    return str_from(to);
}

static void get(const struct web_server *s, const char *path)
{
    get_with((struct fetch_request){.url = url_of(s, path), .redirects = 5});
}

static void expect_failure(enum fail fail, const char *code)
{
    if (seen.fail != fail || strcmp(seen.code, code) != 0)
        fail_msg("%d %s: %s", seen.fail, seen.code, seen.message_text);
    assert_int_equal(seen.status, 0);
    assert_int_equal(seen.body_n, 0);
    assert_int_equal(seen.header_count, 0);
    assert_true(strlen(seen.message_text) > 10);
}

static void expect_answer(unsigned status)
{
    if (seen.fail != FAIL_NONE)
        fail_msg("%s: %s", seen.code, seen.message_text);
    assert_int_equal(seen.status, status);
    assert_string_equal(seen.code, "");
}

// --- what is asked, what comes ---

static void sends_what_was_asked(void **state)
{
    const struct fetch_header headers[] = {{STR("X-Custom"), STR(" value ")},
                                           {STR("X-Empty"), {0}},
                                           {STR("Content-Type"), STR("application/json")}};
    get_with((struct fetch_request){.url = url_of(&open_server, "/echo?q=1#part"),
                                    .method = STR("POST"),
                                    .headers = headers,
                                    .header_count = 3,
                                    .body = STR("{\"a\":1}")});
    expect_answer(200);
    assert_non_null(strstr(seen.body, "POST /echo?q=1 HTTP/1.1\r\n"));
    assert_non_null(strstr(seen.body, "\r\nX-Custom: value\r\n"));
    assert_non_null(strstr(seen.body, "\r\nX-Empty:\r\n"));
    assert_non_null(strstr(seen.body, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(seen.body, "\r\nCDN-Loop: stoa-test\r\n"));
    assert_non_null(strstr(seen.body, "\r\nUser-Agent: stoa/"));
    assert_non_null(strstr(seen.body, "\r\n\r\n{\"a\":1}"));
    assert_null(strcasestr(seen.body, "Expect:"));
    assert_non_null(strstr(seen.headers, "x-one: 1\n"));
    assert_non_null(strstr(seen.headers, "x-many: a, b\n"));
}

static void every_method_goes_out(void **state)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "DELETE", "PATCH"};
    for (size_t i = 0; i != 5; ++i) {
        char want[64];
        get_with((struct fetch_request){.url = url_of(&open_server, "/echo"),
                                        .method = str_from(methods[i])});
        expect_answer(200);
        snprintf(want, sizeof want, "%s /echo HTTP/1.1\r\n", methods[i]);
        assert_int_equal(strncmp(seen.body, want, strlen(want)), 0);
        assert_null(strcasestr(seen.body, "content-type"));
    }
    get_with(
        (struct fetch_request){.url = url_of(&open_server, "/status/204"), .method = STR("HEAD")});
    expect_answer(204);
    get_with((struct fetch_request){
        .url = url_of(&open_server, "/echo"), .method = STR("PUT"), .body = STR("text")});
    assert_non_null(strstr(seen.body, "\r\nContent-Type: text/plain;charset=UTF-8\r\n"));
}

static void any_status_is_an_answer(void **state)
{
    get(&open_server, "/status/404");
    expect_answer(404);
    assert_string_equal(seen.body, "status");
    get(&open_server, "/status/503");
    expect_answer(503);
}

static void early_answers_and_trailers_leave_no_trace(void **state)
{
    get(&open_server, "/early");
    expect_answer(200);
    assert_string_equal(seen.body, "hello");
    assert_non_null(strstr(seen.headers, "x-late: 1\n"));
    assert_null(strstr(seen.headers, "x-early"));
    assert_null(strstr(seen.headers, "x-trailer"));
}

static void the_connections_own_headers_are_ours(void **state)
{
    static const char *const names[] = {"Host",     "connection",      "Content-Length",     "te",
                                        "CDN-Loop", "Accept-Encoding", "Proxy-Authorization"};
    struct fetch_header headers[7];
    for (size_t i = 0; i != 7; ++i)
        headers[i] = (struct fetch_header){str_from(names[i]), STR("forged")};
    get_with((struct fetch_request){
        .url = url_of(&open_server, "/echo"), .headers = headers, .header_count = 7});
    expect_answer(200);
    assert_null(strstr(seen.body, "forged"));
}

// --- what is refused before anything is sent ---

static void malformed_requests_are_refused(void **state)
{
    const struct {
        str name, value;
    } bad[] = {{STR("X-A"), STR("a\r\nX-B: b")},
               {STR("X-A"), STR("a\nb")},
               {STR("X A"), STR("a")},
               {STR("X-A:"), STR("a")},
               {STR(""), STR("a")},
               {STR("X-A\r\nX-B"), STR("a")},
               {STR("X-A"), str_of("a\0b", 3)},
               {STR("X-A"), STR("\xc3\xa4")},
               {STR("X\0A"), STR("a")}};
    unsigned before = open_server.requests;
    for (size_t i = 0; i != sizeof bad / sizeof *bad; ++i) {
        struct fetch_header h = {bad[i].name, bad[i].value};
        get_with((struct fetch_request){
            .url = url_of(&open_server, "/echo"), .headers = &h, .header_count = 1});
        expect_failure(FAIL_BAD_INPUT, "bad_header");
    }
    get_with((struct fetch_request){.url = url_of(&open_server, "/echo"), .method = STR("TRACE")});
    expect_failure(FAIL_BAD_INPUT, "bad_method");
    get_with((struct fetch_request){.url = url_of(&open_server, "/echo"), .method = STR("get")});
    expect_failure(FAIL_BAD_INPUT, "bad_method");
    get_with((struct fetch_request){.url = url_of(&open_server, "/echo"), .body = STR("x")});
    expect_failure(FAIL_BAD_INPUT, "bad_body");
    assert_int_equal(open_server.requests, before);
}

static void too_many_headers_are_refused(void **state)
{
    static char large[FETCH_HEADER_BYTES_MAX];
    struct fetch_header many[FETCH_HEADERS_MAX + 1];
    for (size_t i = 0; i != FETCH_HEADERS_MAX + 1; ++i)
        many[i] = (struct fetch_header){STR("X-A"), STR("a")};
    get_with((struct fetch_request){.url = url_of(&open_server, "/echo"),
                                    .headers = many,
                                    .header_count = FETCH_HEADERS_MAX + 1});
    expect_failure(FAIL_BAD_INPUT, "bad_header");
    memset(large, 'a', sizeof large);
    many[0].value = str_of(large, sizeof large);
    get_with((struct fetch_request){
        .url = url_of(&open_server, "/echo"), .headers = many, .header_count = 1});
    expect_failure(FAIL_BAD_INPUT, "bad_header");
}

static void only_web_urls_are_taken(void **state)
{
    static const char *const bad[] = {
        "",
        "/relative",
        "file:///etc/passwd",
        "ftp://ftp.example/",
        "gopher://127.0.0.1:25/_HELO",
        "dict://127.0.0.1:6379/info",
        "http://",
        "javascript:alert(1)",
        "http://user@8.8.8.8/",
        "http://user:word@8.8.8.8/",
        "http://8.8.8.8:99999/",
        "http://[::1",
        "http://a b.example/",
        "http://8.8.8.8/\r\nX-A: b",
        "unix:///run/postgresql/.s.PGSQL.5432",
    };
    for (size_t i = 0; i != sizeof bad / sizeof *bad; ++i) {
        get_with((struct fetch_request){.url = str_from(bad[i])});
        expect_failure(FAIL_BAD_INPUT, "bad_url");
    }
    get_with((struct fetch_request){.url = str_of("http://8.8.8.8/\0x", 17)});
    expect_failure(FAIL_BAD_INPUT, "bad_url");
    static char large[FETCH_URL_MAX + 2] = "http://8.8.8.8/";
    memset(large + 15, 'a', sizeof large - 16);
    get_with((struct fetch_request){.url = str_from(large)});
    expect_failure(FAIL_BAD_INPUT, "bad_url");
}

static void urls_are_encoded_as_browsers_do(void **state)
{
    get(&open_server, "/echo/\xc3\xbc b?q=\xc3\xbc");
    expect_answer(200);
    assert_non_null(strstr(seen.body, "GET /echo/%c3%bc%20b?q=%c3%bc HTTP/1.1\r\n"));
}

// --- addresses ---

// However loopback, private and link-local hosts are spelled.
static void no_private_address_is_connected_to(void **state)
{
    static const char *const hosts[] = {"127.0.0.1",
                                        "127.1",
                                        "2130706433",
                                        "0x7f000001",
                                        "0x7f.1",
                                        "0177.0.0.1",
                                        "0",
                                        "0.0.0.0",
                                        "localhost",
                                        "a.localhost",
                                        "LOCALHOST",
                                        "[::1]",
                                        "[::]",
                                        "[::ffff:127.0.0.1]",
                                        "[::ffff:7f00:1]",
                                        "[::127.0.0.1]",
                                        "[64:ff9b::7f00:1]",
                                        "[2002:7f00:1::]",
                                        "[0:0:0:0:0:0:0:1]",
                                        "10.0.0.1",
                                        "169.254.169.254",
                                        "[fd00:ec2::254]",
                                        "[fe80::1%25lo]",
                                        "192.168.0.1",
                                        "100.100.100.200",
                                        "168.63.129.16",
                                        "224.0.0.1",
                                        "255.255.255.255",
                                        "%31%32%37.0.0.1"};
    unsigned before = closed.connections;
    char url[128];
    for (size_t i = 0; i != sizeof hosts / sizeof *hosts; ++i) {
        snprintf(url, sizeof url, "http://%s:%u/echo", hosts[i], closed.port);
        get_with((struct fetch_request){.url = str_from(url)});
        if (strcmp(seen.code, "blocked_address") != 0)
            fail_msg("%s: %s %s %u", hosts[i], seen.code, seen.message_text, seen.status);
        expect_failure(FAIL_DENIED, "blocked_address");
    }
    snprintf(url, sizeof url, "http://127.0.0.1.:%u/echo", closed.port); // a name, to libcurl
    get_with((struct fetch_request){.url = str_from(url)});
    assert_true(seen.fail == FAIL_DENIED || seen.fail == FAIL_UPSTREAM);
    assert_int_equal(closed.connections, before);
}

static void this_machines_own_addresses_are_refused(void **state)
{
    char host[200], url[256];
    assert_int_equal(gethostname(host, sizeof host), 0);
    snprintf(url, sizeof url, "http://%s:%u/echo", host, closed.port);
    get_with((struct fetch_request){.url = str_from(url)});
    if (strcmp(seen.code, "unreachable") == 0)
        skip(); // the machine does not know its own name
    expect_failure(FAIL_DENIED, "blocked_address");
}

// What counts is the address connected to, whatever the name led to before.
static void a_name_that_changes_its_mind_is_refused(void **state)
{
    char url[128], path[256];
    snprintf(url, sizeof url, "http://rebound.example:%u/echo", open_server.port);
    get_with((struct fetch_request){.url = str_from(url), .project_id = STR("first")});
    expect_answer(200);
    get_with((struct fetch_request){.url = str_from(url), .project_id = STR("second")});
    expect_failure(FAIL_DENIED, "blocked_address");
    assert_null(strstr(seen.message_text, "127.")); // no answer names an address of ours
    // and by way of a redirect, after a hop that was allowed
    snprintf(path, sizeof path, "/redirect?302%%20%s", url);
    get(&open_server, path);
    expect_failure(FAIL_DENIED, "blocked_address");
    assert_true(rebound_lookups >= 3);
}

static void a_redirect_to_a_private_address_is_refused(void **state)
{
    static const unsigned statuses[] = {301, 302, 303, 307, 308};
    unsigned before = closed.connections;
    for (size_t i = 0; i != 5; ++i) {
        char path[256];
        snprintf(path, sizeof path, "/redirect?%u%%20%s/echo", statuses[i], closed.origin);
        get(&open_server, path);
        expect_failure(FAIL_DENIED, "blocked_address");
    }
    get(&open_server, "/redirect?302%20file:///etc/passwd");
    expect_failure(FAIL_UPSTREAM, "bad_answer");
    get(&open_server, "/redirect?302%20http://user:word@8.8.8.8/");
    expect_failure(FAIL_UPSTREAM, "bad_answer");
    assert_int_equal(closed.connections, before);
}

static void the_environment_has_no_say(void **state)
{
    // set before the thread began: see main
    get(&open_server, "/echo");
    expect_answer(200);
    assert_null(strcasestr(seen.body, "proxy"));
}

static void ipv6_is_spoken(void **state)
{
    get(&six, "/echo");
    expect_answer(200);
}

// --- redirects ---

static void redirects_are_followed_to_their_end(void **state)
{
    char path[512];
    snprintf(path, sizeof path, "/redirect?302%%20/redirect?307%%20%s/echo", other.origin);
    get(&open_server, path);
    expect_answer(200);
    assert_non_null(strstr(seen.body, "GET /echo HTTP/1.1\r\n"));
    get_with((struct fetch_request){.url = url_of(&open_server, path), .redirects = 0});
    expect_answer(302); // none is followed: the redirect is the answer
    assert_string_equal(seen.body, "moved");
    assert_non_null(strstr(seen.headers, "location: /redirect?307"));
}

static void redirects_come_to_an_end(void **state)
{
    get_with((struct fetch_request){
        .url = url_of(&open_server, "/redirect?302%20/redirect?302%20/echo"), .redirects = 1});
    expect_failure(FAIL_UPSTREAM, "too_many_redirects");
}

static void a_post_becomes_a_get_where_it_must(void **state)
{
    static const struct {
        unsigned status;
        const char *method, *then;
    } rows[] = {{301, "POST", "GET"},  {302, "POST", "GET"},   {303, "POST", "GET"},
                {307, "POST", "POST"}, {308, "POST", "POST"},  {302, "PUT", "PUT"},
                {303, "PUT", "GET"},   {303, "DELETE", "GET"}, {308, "PATCH", "PATCH"}};
    const struct fetch_header type = {STR("Content-Type"), STR("text/x")};
    for (size_t i = 0; i != sizeof rows / sizeof *rows; ++i) {
        char path[64], want[32];
        snprintf(path, sizeof path, "/redirect?%u%%20/echo", rows[i].status);
        get_with((struct fetch_request){.url = url_of(&open_server, path),
                                        .method = str_from(rows[i].method),
                                        .headers = &type,
                                        .header_count = 1,
                                        .body = STR("payload"),
                                        .redirects = 1});
        expect_answer(200);
        snprintf(want, sizeof want, "%s /echo", rows[i].then);
        assert_int_equal(strncmp(seen.body, want, strlen(want)), 0);
        bool keeps_body = strcmp(rows[i].then, "GET") != 0;
        assert_int_equal(strstr(seen.body, "payload") != NULL, keeps_body);
        assert_int_equal(strcasestr(seen.body, "content-type") != NULL, keeps_body);
    }
}

static void credentials_stay_with_their_origin(void **state)
{
    const struct fetch_header headers[] = {{STR("Authorization"), STR("Bearer s3cret")},
                                           {STR("cookie"), STR("id=s3cret")},
                                           {STR("X-Api-Key"), STR("s3cret")},
                                           {STR("Accept"), STR("application/json")}};
    char path[256];
    struct fetch_request r = {.headers = headers, .header_count = 4, .redirects = 5};
    r.url = url_of(&open_server, "/redirect?302%20/echo");
    get_with(r);
    expect_answer(200);
    assert_non_null(strstr(seen.body, "Authorization: Bearer s3cret"));
    assert_non_null(strstr(seen.body, "cookie: id=s3cret"));
    snprintf(path, sizeof path, "/redirect?302%%20%s/echo", other.origin); // another port
    r.url = url_of(&open_server, path);
    get_with(r);
    expect_answer(200);
    assert_null(strstr(seen.body, "s3cret"));
    assert_non_null(strstr(seen.body, "Accept: application/json"));
    // and not again when a later hop leads home
    snprintf(path, sizeof path, "/redirect?302%%20%s/redirect?302%%20%s/echo", other.origin,
             open_server.origin);
    r.url = url_of(&open_server, path);
    get_with(r);
    expect_answer(200);
    assert_null(strstr(seen.body, "s3cret"));
}

// --- bodies ---

static void a_body_is_cut_at_its_limit(void **state)
{
    get_with((struct fetch_request){.url = url_of(&open_server, "/bytes/1000"), .body_max = 1000});
    expect_answer(200);
    assert_int_equal(seen.body_n, 1000);
    assert_false(seen.is_truncated);
    get_with((struct fetch_request){.url = url_of(&open_server, "/bytes/1001"), .body_max = 1000});
    expect_answer(200);
    assert_int_equal(seen.body_n, 1000);
    assert_true(seen.is_truncated);
    get_with((struct fetch_request){.url = url_of(&open_server, "/endless"), .body_max = 300000});
    expect_answer(200);
    assert_int_equal(seen.body_n, 300000);
    assert_true(seen.is_truncated);
}

static void a_compressed_body_is_counted_unpacked(void **state)
{
    get(&open_server, "/gzip/5000");
    expect_answer(200);
    assert_int_equal(seen.body_n, 5000);
    get_with(
        (struct fetch_request){.url = url_of(&open_server, "/gzip/50000000"), .body_max = 1 << 20});
    expect_answer(200);
    assert_int_equal(seen.body_n, 1 << 20);
    assert_true(seen.is_truncated);
}

static void a_body_is_unpacked_once(void **state)
{
    static const char *const paths[] = {"/twice/list", "/twice/lines", "/twice/early",
                                        "/twice/transfer"};
    get(&open_server, "/twice/once");
    expect_answer(200);
    assert_int_equal(seen.body_n, 5);
    for (size_t i = 0; i != sizeof paths / sizeof paths[0]; ++i) {
        get(&open_server, paths[i]);
        expect_failure(FAIL_UPSTREAM, "bad_answer");
        assert_non_null(strstr(seen.message_text, "more than once"));
    }
}

static void a_head_without_end_is_no_answer(void **state)
{
    get(&open_server, "/headers/100");
    expect_answer(200);
    assert_int_equal(seen.header_count, 101);
    get(&open_server, "/headers/129");
    expect_failure(FAIL_UPSTREAM, "bad_answer");
    get(&open_server, "/headers/2000");
    expect_failure(FAIL_UPSTREAM, "bad_answer");
}

static void a_broken_answer_is_none(void **state)
{
    static const char *const paths[] = {"/cut", "/close", "/garbage"};
    for (size_t i = 0; i != 3; ++i) {
        get(&open_server, paths[i]);
        expect_failure(FAIL_UPSTREAM, "bad_answer");
    }
}

// --- TLS ---

static void tls_is_verified(void **state)
{
    char url[128];
    snprintf(url, sizeof url, "https://localhost:%u/echo", secure.port);
    get_with((struct fetch_request){.url = str_from(url)});
    expect_answer(200);
    get(&secure, "/echo"); // by its address: the certificate is for the name
    expect_failure(FAIL_UPSTREAM, "tls_failed");
    snprintf(url, sizeof url, "https://localhost:%u/echo", distrusted.port);
    get_with((struct fetch_request){.url = str_from(url)});
    expect_failure(FAIL_UPSTREAM, "tls_failed");
}

// --- connections ---

static unsigned connection_of(str project)
{
    get_with(
        (struct fetch_request){.url = url_of(&open_server, "/connection"), .project_id = project});
    expect_answer(200);
    return (unsigned)atoi(seen.body);
}

static void connections_are_a_projects_own(void **state)
{
    unsigned first = connection_of(STR("one"));
    assert_int_equal(connection_of(STR("one")), first); // kept
    unsigned second = connection_of(STR("two"));
    assert_int_not_equal(second, first);
    assert_int_equal(connection_of(STR("two")), second);
    assert_int_equal(connection_of(STR("one")), first);
}

static size_t open_descriptors(void)
{
    size_t n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d) != NULL)
        ++n;
    closedir(d);
    return n;
}

static void many_projects_leave_few_connections(void **state)
{
    size_t before = open_descriptors();
    char name[16];
    for (unsigned i = 0; i != 150; ++i) {
        int n = snprintf(name, sizeof name, "many%u", i);
        connection_of(str_of(name, (size_t)n));
    }
    assert_in_range(open_descriptors(), before, before + 2 * 66); // both ends are ours
    for (uint64_t until = clock_monotonic_ms() + 20000;
         open_descriptors() > before && clock_monotonic_ms() < until;)
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    assert_in_range(open_descriptors(), 1, before); // and none when nobody asks any more
}

// --- time and turns ---

static void a_silent_server_is_given_up(void **state)
{
    get_with((struct fetch_request){.url = url_of(&open_server, "/silent"), .timeout_ms = 200});
    expect_failure(FAIL_TIMEOUT, "timeout");
    assert_in_range(seen.ms, 190, 3000);
    get_with((struct fetch_request){
        .url = url_of(&open_server, "/endless"), .body_max = 1 << 30, .timeout_ms = 300});
    assert_true(strcmp(seen.code, "timeout") == 0 || strcmp(seen.code, "busy") == 0);
}

static void a_port_without_a_listener_is_unreachable(void **state)
{
    char url[128];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", 1u); // allowed, see main
    get_with((struct fetch_request){.url = str_from(url)});
    expect_failure(FAIL_UPSTREAM, "unreachable");
    get_with((struct fetch_request){.url = STR("http://no-such-name.invalid/")});
    expect_failure(FAIL_UPSTREAM, "unreachable");
}

static void wait_until_idle(void)
{
    for (uint64_t until = clock_monotonic_ms() + 20000; clock_monotonic_ms() < until;) {
        struct fetch_counters c = fetch_counters();
        if (c.running + c.waiting == 0)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    fail_msg("something is still under way");
}

enum { FLOOD = 120, LINE = 64 };
static struct seen flood[FLOOD], after;

static void forget_flood(void)
{
    for (size_t i = 0; i != FLOOD; ++i)
        forget(&flood[i]);
    forget(&after);
}

// One project's flood of fetches that hang; another's goes through at once.
static void projects_take_turns(void **state)
{
    forget_flood();
    str silent = url_of(&open_server, "/silent");
    for (size_t i = 0; i != FLOOD; ++i) {
        flood[i].request =
            (struct fetch_request){.url = silent, .project_id = STR("flood"), .timeout_ms = 2500};
        begin(&flood[i]);
    }
    after.request =
        (struct fetch_request){.url = url_of(&open_server, "/echo"), .project_id = STR("patient")};
    begin(&after);
    wait_until(&after.is_done);
    assert_int_equal(after.status, 200);
    assert_in_range(after.ms, 0, 2000);
    unsigned busy = 0, late = 0;
    for (size_t i = 0; i != FLOOD; ++i) {
        wait_until(&flood[i].is_done);
        busy += strcmp(flood[i].code, "busy") == 0;
        late += strcmp(flood[i].code, "timeout") == 0;
    }
    assert_int_equal(busy + late, FLOOD);
    assert_true(busy >= FLOOD - LINE - 16); // the line has an end
    wait_until_idle();
}

static struct seen dropped;
static struct loop_timer drop_timer;
static unsigned drop_after_ms;
static _Atomic bool is_dropped;

static void on_drop_time(struct loop_timer *t)
{
    if (!dropped.is_done)
        fetch_cancel(dropped.fetch);
    is_dropped = true;
}

static void start_and_drop(struct loop_message *m)
{
    start_here(m);
    drop_timer.run = on_drop_time;
    if (drop_after_ms == 0)
        on_drop_time(&drop_timer);
    else
        loop_timer_start(&drop_timer, drop_after_ms);
}

static void what_is_cancelled_is_not_heard_of(void **state)
{
    static const unsigned pauses[] = {0, 1, 3, 20};
    for (size_t i = 0; i != 4; ++i) {
        forget(&dropped);
        is_dropped = false;
        drop_after_ms = pauses[i];
        dropped.request = (struct fetch_request){.url = url_of(&open_server, "/silent")};
        fill(&dropped);
        dropped.message.run = start_and_drop;
        loop_post(loop_at(0), &dropped.message);
        wait_until(&is_dropped);
        wait_until_idle();
        get(&open_server, "/echo"); // its loop has turned since
        assert_int_equal(dropped.times, 0);
    }
}

// A name lookup cannot be given up: it counts until it ends, and nobody waits for it.
static void a_slow_name_server_holds_up_nobody(void **state)
{
    is_slow = true;
    get_with((struct fetch_request){.url = STR("http://slow.example/"), .timeout_ms = 100});
    expect_failure(FAIL_TIMEOUT, "timeout");
    assert_in_range(seen.ms, 90, 10000);
    forget(&dropped);
    is_dropped = false;
    drop_after_ms = 400; // under a sanitizer, beside others, a lookup has begun by then
    dropped.request = (struct fetch_request){.url = STR("http://slow.example/")};
    fill(&dropped);
    dropped.message.run = start_and_drop;
    loop_post(loop_at(0), &dropped.message);
    wait_until(&is_dropped);
    get(&open_server, "/echo");
    expect_answer(200);
    assert_int_equal(fetch_counters().running, 2);
    is_slow = false;
    wait_until_idle();
    assert_int_equal(dropped.times, 0);
}

// Answers are held within bounds: several that would pass them are told so.
static void bodies_together_have_a_limit(void **state)
{
    forget_flood();
    str endless = url_of(&open_server, "/endless");
    for (size_t i = 0; i != 12; ++i) {
        flood[i].request = (struct fetch_request){
            .url = endless, .project_id = STR("greedy"), .body_max = 10 << 20, .timeout_ms = 20000};
        begin(&flood[i]);
    }
    unsigned busy = 0, cut = 0;
    for (size_t i = 0; i != 12; ++i) {
        wait_until(&flood[i].is_done);
        busy += strcmp(flood[i].code, "busy") == 0;
        cut += flood[i].is_truncated;
    }
    assert_int_equal(busy + cut, 12);
    assert_true(cut >= 1);
    wait_until_idle();
    get(&open_server, "/bytes/1000"); // all of it was given back
    expect_answer(200);
}

// --- the whole ---

static void on_loop_start(struct loop *loop)
{
}

static int setup(void **state)
{
    static char allow[512];
    signal(SIGPIPE, SIG_IGN);
    setenv("http_proxy", "http://127.0.0.1:9", 1); // for the_environment_has_no_say
    setenv("ALL_PROXY", "http://127.0.0.1:9", 1);
    web_server_start(&open_server, "127.0.0.1", false);
    web_server_start(&other, "127.0.0.1", false);
    web_server_start(&closed, "0.0.0.0", false);
    web_server_start(&secure, "127.0.0.1", true);
    web_server_start(&distrusted, "127.0.0.1", true);
    web_server_start(&six, "::1", false);
    snprintf(closed.origin, sizeof closed.origin, "http://127.0.0.1:%u", closed.port);
    snprintf(allow, sizeof allow, "%s,%s, %s,%s,%s,127.0.0.1:1", open_server.address, other.address,
             secure.address, distrusted.address, six.address);
    h2o_config_init(&config);
    h2o_config_register_host(&config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    loops_start(2, &config, on_loop_start);
    static struct fetch_options options;
    options = (struct fetch_options){.cdn_loop = "stoa-test",
                                     .own_listeners = "",
                                     .allow = allow,
                                     .ca_file = secure.ca_file,
                                     .queued_per_project = LINE,
                                     .memory = 40 << 20,
                                     .memory_per_project = 30 << 20};
    fetch_init(&options);
    return 0;
}

static int teardown(void **state)
{
    forget(&seen);
    forget(&dropped);
    forget_flood();
    loops_stop();
    fetch_stop();
    unlink(secure.ca_file);
    unlink(distrusted.ca_file);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sends_what_was_asked),
        cmocka_unit_test(every_method_goes_out),
        cmocka_unit_test(any_status_is_an_answer),
        cmocka_unit_test(early_answers_and_trailers_leave_no_trace),
        cmocka_unit_test(the_connections_own_headers_are_ours),
        cmocka_unit_test(malformed_requests_are_refused),
        cmocka_unit_test(too_many_headers_are_refused),
        cmocka_unit_test(only_web_urls_are_taken),
        cmocka_unit_test(urls_are_encoded_as_browsers_do),
        cmocka_unit_test(no_private_address_is_connected_to),
        cmocka_unit_test(this_machines_own_addresses_are_refused),
        cmocka_unit_test(a_name_that_changes_its_mind_is_refused),
        cmocka_unit_test(a_redirect_to_a_private_address_is_refused),
        cmocka_unit_test(the_environment_has_no_say),
        cmocka_unit_test(ipv6_is_spoken),
        cmocka_unit_test(redirects_are_followed_to_their_end),
        cmocka_unit_test(redirects_come_to_an_end),
        cmocka_unit_test(a_post_becomes_a_get_where_it_must),
        cmocka_unit_test(credentials_stay_with_their_origin),
        cmocka_unit_test(a_body_is_cut_at_its_limit),
        cmocka_unit_test(a_compressed_body_is_counted_unpacked),
        cmocka_unit_test(a_body_is_unpacked_once),
        cmocka_unit_test(a_head_without_end_is_no_answer),
        cmocka_unit_test(a_broken_answer_is_none),
        cmocka_unit_test(tls_is_verified),
        cmocka_unit_test(connections_are_a_projects_own),
        cmocka_unit_test(many_projects_leave_few_connections),
        cmocka_unit_test(a_silent_server_is_given_up),
        cmocka_unit_test(a_port_without_a_listener_is_unreachable),
        cmocka_unit_test(projects_take_turns),
        cmocka_unit_test(what_is_cancelled_is_not_heard_of),
        cmocka_unit_test(a_slow_name_server_holds_up_nobody),
        cmocka_unit_test(bodies_together_have_a_limit),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
