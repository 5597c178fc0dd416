// One easy handle from its first hop to its answer. Redirects are followed here and not by libcurl,
// so that each hop is looked at as the first one was: its URL, which headers it may have, and, as at
// every connection, the address.
#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
#include "edge/base/clock.h"
#include "edge/client/fetch_internal.h"

enum { LINE_ROOM = FETCH_HEADER_BYTES_MAX + 8, HOLD_STEP = 64 << 10 };

// --- the wire ---

static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
    struct fetch_transfer *t = arg;
    t->is_resolving = false;
    if (t->fetch == NULL) // given up while the name was looked up
        return CURL_SOCKET_BAD;
    if (purpose != CURLSOCKTYPE_IPCXN || (to->family != AF_INET && to->family != AF_INET6) ||
        !fetch_address_is_allowed(&to->addr)) {
        t->is_blocked = true;
        return CURL_SOCKET_BAD;
    }
    int fd = socket(to->family, to->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, to->protocol);
    if (fd < 0)
        return CURL_SOCKET_BAD;
    ++fetch_connections_opened;
    return fd;
}

static int on_resolver_start(void *resolver, void *reserved, void *arg)
{
    ((struct fetch_transfer *)arg)->is_resolving = true;
    return 0;
}

// The connection stands, new or used before: once more, whom it leads to.
static int on_connected(void *arg, char *peer, char *local, int peer_port, int local_port)
{
    struct fetch_transfer *t = arg;
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)peer_port)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)peer_port)};
    t->is_resolving = false;
    t->connect_by_ms = 0;
    if (t->fetch == NULL)
        return CURL_PREREQFUNC_ABORT;
    bool is_allowed = inet_pton(AF_INET, peer, &four.sin_addr) == 1
                          ? fetch_address_is_allowed((struct sockaddr *)&four)
                          : inet_pton(AF_INET6, peer, &six.sin6_addr) == 1 &&
                                fetch_address_is_allowed((struct sockaddr *)&six);
    t->is_blocked = t->is_blocked || !is_allowed;
    return is_allowed ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

// --- the answer ---

static bool hold(struct fetch_transfer *t, size_t want)
{
    if (want <= t->held)
        return true;
    size_t more = want - t->held > HOLD_STEP ? want - t->held : HOLD_STEP;
    if (!fetch_memory_take(t->project, more))
        return false;
    t->held += more;
    return true;
}

static void drop_body(struct fetch_transfer *t)
{
    if (t->fetch == NULL)
        return;
    t->is_out_of_memory = true;
    buf_fini(&t->fetch->body);
    fetch_memory_give(t->project, t->held);
    t->held = 0;
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct fetch_transfer *t = arg;
    struct fetch *f = t->fetch;
    size_t length = size * n, room = f != NULL ? t->order->body_max - f->body.n : 0;
    t->has_body_begun = true;
    size_t kept = length < room ? length : room;
    if (f == NULL || !hold(t, f->body.n + kept)) {
        drop_body(t); // at once: there may be room for others then
        return CURL_WRITEFUNC_ERROR;
    }
    buf_add(&f->body, str_of(p, kept));
    f->answer.is_truncated = kept != length;
    return kept == length ? length : CURL_WRITEFUNC_ERROR; // enough: no more is read
}

static struct fetch_header *header_of(struct fetch *f, str name)
{
    for (size_t i = 0; i != f->answer.header_count; ++i)
        if (str_caseeq(f->headers[i].name, name))
            return &f->headers[i];
    return NULL;
}

// The text buffer is one allocation of its full size, so that views into it stay.
static str keep(struct fetch *f, str s, bool in_lower_case)
{
    char *to = f->text.p + f->text.n;
    buf_add(&f->text, s);
    for (size_t i = 0; i != s.n && in_lower_case; ++i)
        to[i] = (char)tolower((unsigned char)to[i]);
    return str_of(to, s.n);
}

static bool add_header(struct fetch *f, str name, str value)
{
    struct fetch_header *old = header_of(f, name);
    if (f->answer.header_count == sizeof f->headers / sizeof f->headers[0] && old == NULL)
        return false;
    if (f->text.n + name.n + value.n + 2 + (old != NULL ? old->value.n : 0) >
        4 * FETCH_HEADER_BYTES_MAX)
        return false;
    if (old == NULL) {
        struct fetch_header *h = &f->headers[f->answer.header_count++];
        h->name = keep(f, name, true);
        h->value = keep(f, value, false);
        return true;
    }
    str first = keep(f, old->value, false);
    keep(f, STR(", "), false);
    keep(f, value, false);
    old->value = str_of(first.p, first.n + 2 + value.n);
    return true;
}

static str without_line_end(str s)
{
    while (s.n != 0 && (s.p[s.n - 1] == '\r' || s.p[s.n - 1] == '\n'))
        --s.n;
    return s;
}

// Unpacked once, a body is counted as it grows (on_body). What is packed twice has text between the
// two that nobody counts, and that need never end: 40 KB of zstd in zstd in gzip kept this thread,
// which is everybody's, inside one call of libcurl's for as long as was waited. What a 1xx names counts too.
static bool is_packed_twice(struct fetch_transfer *t, str name, str value)
{
    if (!str_caseeq(name, STR("content-encoding")) && !str_caseeq(name, STR("transfer-encoding")))
        return false;
    while (value.n != 0) {
        str coding = str_trim(str_cut(&value, ','));
        t->codings += coding.n != 0 && !str_caseeq(coding, STR("identity")) &&
                      !str_caseeq(coding, STR("chunked"));
    }
    return t->codings > 1;
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    struct fetch_transfer *t = arg;
    struct fetch *f = t->fetch;
    str line = without_line_end(str_of(p, size * n));
    if (f == NULL || t->has_body_begun) // trailers are nobody's business
        return size * n;
    if (str_starts(line, STR("HTTP/"))) { // also after a 1xx
        f->answer.header_count = 0;
        buf_clear(&f->text);
        return size * n;
    }
    str rest = line;
    str name = str_cut(&rest, ':');
    if (name.n == 0 || name.n == line.n)
        return size * n;
    t->is_packed_twice = is_packed_twice(t, name, rest);
    t->is_overfull = !add_header(f, name, str_trim(rest));
    return t->is_packed_twice || t->is_overfull ? CURL_WRITEFUNC_ERROR : size * n;
}

// --- the request ---

static void append(struct curl_slist **list, const char *line)
{
    struct curl_slist *more = curl_slist_append(*list, line);
    if (more == NULL)
        abort();
    *list = more;
}

static bool order_has(const struct fetch_order *o, str name)
{
    for (size_t i = 0; i != o->header_count; ++i)
        if (str_caseeq(o->headers[i].name, name))
            return true;
    return false;
}

static void set_headers(struct fetch_transfer *t)
{
    const struct fetch_order *o = t->order;
    AUTOFREE char *line = malloc(LINE_ROOM);
    if (line == NULL)
        abort();
    curl_slist_free_all(t->headers);
    t->headers = NULL;
    for (size_t i = 0; i != o->header_count; ++i) {
        // "Name;" is libcurl's way to write an empty value.
        const struct fetch_header *h = &o->headers[i];
        snprintf(line, LINE_ROOM, "%.*s%s%.*s", STR_FMT(h->name), h->value.n != 0 ? ": " : ";",
                 STR_FMT(h->value));
        append(&t->headers, line);
    }
    if (o->body.p != NULL && !order_has(o, STR("content-type")))
        append(&t->headers, "Content-Type: text/plain;charset=UTF-8");
    else if (o->body.p == NULL && !order_has(o, STR("content-type")))
        append(&t->headers, "Content-Type:"); // none of libcurl's
    append(&t->headers, "Expect:");
    snprintf(line, LINE_ROOM, "CDN-Loop: %s", fetch_settings.cdn_loop);
    append(&t->headers, line);
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
}

static void set_body(struct fetch_transfer *t)
{
    const struct fetch_order *o = t->order;
    curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, NULL);
    curl_easy_setopt(t->easy, CURLOPT_HTTPGET, 1L);
    if (strcmp(o->method, "HEAD") == 0) {
        curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
        return;
    }
    if (o->body.p != NULL || strcmp(o->method, "POST") == 0 || strcmp(o->method, "PUT") == 0 ||
        strcmp(o->method, "PATCH") == 0) {
        curl_easy_setopt(t->easy, CURLOPT_POST, 1L);
        curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)o->body.n);
        curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, o->body.n != 0 ? o->body.p : "");
    }
    curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, o->method);
}

static void set_hop(struct fetch_transfer *t)
{
    t->is_resolving = t->is_blocked = t->is_overfull = t->is_packed_twice = t->has_body_begun =
        false;
    t->codings = 0;
    t->connect_by_ms = clock_monotonic_ms() + fetch_settings.connect_timeout_ms;
    curl_easy_setopt(t->easy, CURLOPT_URL, t->order->url);
    set_headers(t);
    set_body(t);
}

// What holds for every hop: the profile for strangers.
static void set_profile(CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); // a stuck name lookup is left behind at the end
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, ""); // all that libcurl can undo
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "stoa/" STOA_VERSION);
    // Longer than any of ours, which leave name lookups their time (struct fetch_transfer).
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, 120000L);
    if (fetch_settings.ca_file != NULL)
        curl_easy_setopt(easy, CURLOPT_CAINFO, fetch_settings.ca_file);
}

static void set_callbacks(struct fetch_transfer *t)
{
    curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
    curl_easy_setopt(t->easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(t->easy, CURLOPT_OPENSOCKETDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_RESOLVER_START_FUNCTION, on_resolver_start);
    curl_easy_setopt(t->easy, CURLOPT_RESOLVER_START_DATA, t);
    curl_easy_setopt(t->easy, CURLOPT_PREREQFUNCTION, on_connected);
    curl_easy_setopt(t->easy, CURLOPT_PREREQDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
}

struct fetch_transfer *fetch_transfer_create(struct fetch *f, CURLSH *share)
{
    struct fetch_transfer *t = calloc(1, sizeof *t);
    const char *why;
    if (t == NULL || (t->easy = curl_easy_init()) == NULL)
        abort();
    t->fetch = f;
    t->order = f->order;
    f->order = NULL;
    t->deadline_ms = f->started_ms + t->order->timeout_ms;
    free(fetch_url_normalise(str_from(t->order->url), t->host, sizeof t->host, &why));
    buf_init(&f->body, t->order->body_max + 1);
    buf_init(&f->text, 4 * FETCH_HEADER_BYTES_MAX);
    if (buf_reserve(&f->text, 4 * FETCH_HEADER_BYTES_MAX) == NULL)
        abort();
    set_profile(t->easy);
    set_callbacks(t);
    curl_easy_setopt(t->easy, CURLOPT_SHARE, share);
    set_hop(t);
    return t;
}

void fetch_transfer_destroy(struct fetch_transfer *t)
{
    fetch_memory_give(t->project, t->held);
    curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers);
    fetch_order_destroy(t->order);
    free(t);
}

// --- redirects ---

static bool is_redirect(long status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// The Fetch standard, "HTTP-redirect fetch": what may not be repeated becomes a GET.
static void change_method(struct fetch_order *o, long status)
{
    bool is_post = strcmp(o->method, "POST") == 0, is_head = strcmp(o->method, "HEAD") == 0;
    if (!((status == 301 || status == 302) && is_post) && !(status == 303 && !is_head))
        return;
    snprintf(o->method, sizeof o->method, "GET");
    o->body = (str){0};
    size_t n = 0;
    for (size_t i = 0; i != o->header_count; ++i)
        if (o->headers[i].name.n < 8 ||
            !str_caseeq(str_of(o->headers[i].name.p, 8), STR("content-")))
            o->headers[n++] = o->headers[i];
    o->header_count = n;
}

static void leave_secrets_behind(struct fetch_order *o)
{
    size_t n = 0;
    for (size_t i = 0; i != o->header_count; ++i)
        if (fetch_header_may_travel(o->headers[i].name))
            o->headers[n++] = o->headers[i];
    o->header_count = n;
}

// True when the handle is ready for another hop; false when the answer says why not.
static bool follow(struct fetch_transfer *t, long status, const char *to)
{
    struct fetch *f = t->fetch;
    const char *why;
    if (t->hops == t->order->redirects) {
        fetch_fail(&f->answer, FAIL_UPSTREAM, "too_many_redirects",
                   "%.100s redirected more than %u times.", t->host, t->order->redirects);
        return false;
    }
    char *url = fetch_url_normalise(str_from(to), t->host, sizeof t->host, &why);
    if (url == NULL) {
        fetch_fail(&f->answer, FAIL_UPSTREAM, "bad_answer", "A redirect leads nowhere: %s", why);
        return false;
    }
    ++t->hops;
    if (!fetch_url_same_origin(t->order->url, url))
        leave_secrets_behind(t->order);
    change_method(t->order, status);
    free(t->order->url);
    t->order->url = url;
    buf_clear(&f->body);
    f->answer.header_count = 0;
    f->answer.is_truncated = false;
    buf_clear(&f->text);
    set_hop(t);
    return true;
}

// --- the end ---

static void tell_failure(struct fetch_transfer *t, CURLcode code)
{
    struct fetch_answer *a = &t->fetch->answer;
    const char *host = t->host;
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        fetch_fail(a, FAIL_UPSTREAM, "unreachable", "The name %.100s could not be found.", host);
        break;
    case CURLE_COULDNT_CONNECT:
        fetch_fail(a, FAIL_UPSTREAM, "unreachable", "%.100s could not be connected to.", host);
        break;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
        fetch_fail(a, FAIL_UPSTREAM, "tls_failed", "No secure connection to %.100s: %.60s.", host,
                   curl_easy_strerror(code));
        break;
    case CURLE_OPERATION_TIMEDOUT:
        fetch_fail(a, FAIL_TIMEOUT, "timeout", "%.100s did not answer in time.", host);
        break;
    case CURLE_URL_MALFORMAT:
    case CURLE_LOGIN_DENIED:
        fetch_fail(a, FAIL_BAD_INPUT, "bad_url", "The URL cannot be read.");
        break;
    default:
        fetch_fail(a, FAIL_UPSTREAM, "bad_answer", "%.100s broke off, or sent what is no answer.",
                   host);
    }
}

static bool has_answer(const struct fetch_transfer *t, CURLcode code)
{
    return code == CURLE_OK || (code == CURLE_WRITE_ERROR && t->fetch->answer.is_truncated);
}

enum fetch_outcome fetch_transfer_hop_ended(struct fetch_transfer *t, CURLcode code)
{
    struct fetch *f = t->fetch;
    long status = 0;
    char *to = NULL;
    if (f == NULL)
        return FETCH_FINISHED;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &to);
    if (t->is_blocked && !has_answer(t, code)) {
        fetch_fail(&f->answer, FAIL_DENIED, "blocked_address",
                   "%.100s is not at a public address; only those can be fetched from.", t->host);
    } else if (t->is_out_of_memory) {
        fetch_fail(&f->answer, FAIL_BUSY, "busy", "Too much is being fetched at the moment.");
    } else if (t->is_packed_twice) {
        fetch_fail(&f->answer, FAIL_UPSTREAM, "bad_answer",
                   "%.100s sent an answer that is compressed more than once.", t->host);
    } else if (t->is_overfull) {
        fetch_fail(&f->answer, FAIL_UPSTREAM, "bad_answer", "%.100s sent too many headers.",
                   t->host);
    } else if (!has_answer(t, code)) {
        tell_failure(t, code);
    } else if (is_redirect(status) && to != NULL && t->order->redirects != 0) {
        return follow(t, status, to) ? FETCH_NEXT_HOP : FETCH_FINISHED;
    } else {
        f->answer.status = (unsigned)status;
    }
    return FETCH_FINISHED;
}

void fetch_transfer_timed_out(struct fetch_transfer *t)
{
    tell_failure(t, CURLE_OPERATION_TIMEDOUT);
}
