// One easy handle, reset for every request; its connections and TLS sessions outlive the reset.
#include "edge/client/http_client.h"
#include "edge/client/origin.h"
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

struct http_client {
    CURL *easy;
    struct curl_slist *headers; // of the running request
    char *user_agent;
    char *ca_file;
    unsigned connect_timeout_s, stall_timeout_s;
};

// One request while it runs.
struct exchange {
    CURL *easy;
    const struct http_request *request;
    struct http_response *response;
    uint64_t sent;   // offset in body_fd
    int local_errno; // a file of ours failed
    bool interrupted;
    bool over_limit;
};

static void init_library(void)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        abort();
}

static unsigned or_default(unsigned value, unsigned fallback)
{
    return value != 0 ? value : fallback;
}

struct http_client *http_client_create(const struct http_client_options *options)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_library);
    struct http_client *client = calloc(1, sizeof *client);
    if (client == NULL || (client->easy = curl_easy_init()) == NULL)
        abort();
    client->user_agent = str_dup(str_from(options->user_agent));
    client->ca_file = options->ca_file != NULL ? str_dup(str_from(options->ca_file)) : NULL;
    client->connect_timeout_s = or_default(options->connect_timeout_s, 10);
    client->stall_timeout_s = or_default(options->stall_timeout_s, 60);
    return client;
}

void http_client_destroy(struct http_client *client)
{
    if (client == NULL)
        return;
    curl_easy_cleanup(client->easy);
    curl_slist_free_all(client->headers);
    free(client->user_agent);
    free(client->ca_file);
    free(client);
}

void http_response_fini(struct http_response *response)
{
    buf_fini(&response->body);
}

static size_t on_body_wanted(char *to, size_t size, size_t n, void *arg)
{
    struct exchange *x = arg;
    uint64_t left = x->request->body_length - x->sent;
    size_t room = size * n < left ? size * n : (size_t)left;
    if (room == 0)
        return 0;
    ssize_t got = pread(x->request->body_fd, to, room, (off_t)x->sent);
    if (got <= 0) {
        x->local_errno = got < 0 ? errno : EIO; // shorter than it was said to be
        return CURL_READFUNC_ABORT;
    }
    x->sent += (uint64_t)got;
    return (size_t)got;
}

// libcurl starts the body anew when a kept-alive connection turns out to be dead.
static int on_body_rewound(void *arg, curl_off_t offset, int origin)
{
    struct exchange *x = arg;
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > x->request->body_length)
        return CURL_SEEKFUNC_CANTSEEK;
    x->sent = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

static bool write_all(int fd, const char *p, size_t n)
{
    while (n != 0) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return false;
        p += done;
        n -= (size_t)done;
    }
    return true;
}

static size_t on_bytes(char *p, size_t size, size_t n, void *arg)
{
    struct exchange *x = arg;
    size_t length = size * n;
    long status = 0;
    curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
    x->response->body_length += length;
    if (x->request->response_fd >= 0 && status / 100 == 2) {
        if (write_all(x->request->response_fd, p, length))
            return length;
        x->local_errno = errno;
        return CURL_WRITEFUNC_ERROR;
    }
    if (x->request->on_body != NULL && status / 100 == 2) {
        x->interrupted = !x->request->on_body(x->request->body_arg, str_of(p, length));
        return x->interrupted ? CURL_WRITEFUNC_ERROR : length;
    }
    buf_add(&x->response->body, str_of(p, length));
    x->over_limit = x->response->body.full;
    return x->over_limit ? CURL_WRITEFUNC_ERROR : length;
}

static void keep(char *to, size_t room, str value)
{
    snprintf(to, room, "%.*s", STR_FMT(value));
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    struct http_response *response = ((struct exchange *)arg)->response;
    str rest = str_of(p, size * n);
    str name = str_cut(&rest, ':');
    str value = str_trim(rest);
    while (value.n != 0 && (value.p[value.n - 1] == '\r' || value.p[value.n - 1] == '\n'))
        value.n--;
    uint64_t seconds;
    if (value.n > 4096)
        return size * n;
    if (str_caseeq(name, STR("content-type")))
        keep(response->content_type, sizeof response->content_type, value);
    else if (str_caseeq(name, STR("x-request-id")))
        keep(response->request_id, sizeof response->request_id, value);
    else if (str_caseeq(name, STR("location")))
        keep(response->location, sizeof response->location, value);
    else if (str_caseeq(name, STR("replay-nonce")))
        keep(response->replay_nonce, sizeof response->replay_nonce, value);
    else if (str_caseeq(name, STR("retry-after")) && str_to_u64(value, 86400, &seconds))
        response->retry_after_s = (unsigned)seconds;
    return size * n;
}

static int on_transfer(void *arg, curl_off_t receive_total, curl_off_t received,
                       curl_off_t send_total, curl_off_t sent)
{
    struct exchange *x = arg;
    x->interrupted =
        x->request->on_progress(x->request->progress_arg, (uint64_t)sent, (uint64_t)send_total,
                                (uint64_t)received, (uint64_t)receive_total);
    return x->interrupted;
}

static void add_header(struct http_client *client, const char *name, const char *value)
{
    char line[1024];
    snprintf(line, sizeof line, "%s: %s", name, value);
    struct curl_slist *more = curl_slist_append(client->headers, line);
    if (more == NULL)
        abort();
    client->headers = more;
}

static void set_headers(struct http_client *client, const struct http_request *request)
{
    curl_slist_free_all(client->headers);
    client->headers = NULL;
    add_header(client, "Accept", request->accept != NULL ? request->accept : "application/json");
    // An empty value after the colon keeps libcurl from inventing a type of its own.
    add_header(client, "Content-Type", request->content_type != NULL ? request->content_type : "");
    if (request->host != NULL)
        add_header(client, "Host", request->host);
    if (request->last_event_id != NULL)
        add_header(client, "Last-Event-ID", request->last_event_id);
    curl_easy_setopt(client->easy, CURLOPT_HTTPHEADER, client->headers);
    if (request->token == NULL)
        return;
    // libcurl itself drops this one where it would leave the origin.
    curl_easy_setopt(client->easy, CURLOPT_XOAUTH2_BEARER, request->token);
    curl_easy_setopt(client->easy, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
}

static void set_body(struct http_client *client, struct exchange *x)
{
    const struct http_request *request = x->request;
    bool has_body = request->body_fd >= 0 || request->body.p != NULL;
    curl_easy_setopt(client->easy, CURLOPT_CUSTOMREQUEST, request->method);
    if (!has_body && strcmp(request->method, "POST") != 0 && strcmp(request->method, "PUT") != 0)
        return;
    curl_easy_setopt(client->easy, CURLOPT_POST, 1L);
    if (request->body_fd < 0) {
        curl_easy_setopt(client->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.n);
        curl_easy_setopt(client->easy, CURLOPT_POSTFIELDS, request->body.n ? request->body.p : "");
        return;
    }
    curl_easy_setopt(client->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
    curl_easy_setopt(client->easy, CURLOPT_READFUNCTION, on_body_wanted);
    curl_easy_setopt(client->easy, CURLOPT_READDATA, x);
    curl_easy_setopt(client->easy, CURLOPT_SEEKFUNCTION, on_body_rewound);
    curl_easy_setopt(client->easy, CURLOPT_SEEKDATA, x);
}

static void set_profile(struct http_client *client, bool is_loopback)
{
    CURL *easy = client->easy;
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, client->user_agent);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)client->connect_timeout_s);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)client->stall_timeout_s);
    if (client->ca_file != NULL)
        curl_easy_setopt(easy, CURLOPT_CAINFO, client->ca_file);
    if (is_loopback)
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
}

static bool url_is_loopback(const char *url)
{
    // origin_parse takes an origin only: cut the path off.
    char origin_text[ORIGIN_ROOM];
    struct origin origin;
    const char *host = strstr(url, "://");
    size_t n = host != NULL ? (size_t)(host - url) + 3 + strcspn(host + 3, "/?#") : 0;
    if (n == 0 || n >= sizeof origin_text)
        return false;
    memcpy(origin_text, url, n);
    origin_text[n] = '\0';
    return origin_parse(origin_text, &origin, NULL) == FAIL_NONE && origin.is_loopback;
}

static enum fail explain(const struct exchange *x, CURLcode code, const char *words,
                         struct fault *fault)
{
    const char *detail = words[0] != '\0' ? words : curl_easy_strerror(code);
    if (x->interrupted)
        return fault_set(fault, FAIL_INTERNAL, "interrupted", "Interrupted.");
    if (x->local_errno != 0)
        return fault_set(fault, FAIL_INTERNAL, "local_io",
                         "A file could not be read or written: %s.", strerror(x->local_errno));
    if (x->over_limit)
        return fault_set(fault, FAIL_TOO_LARGE, "answer_too_large",
                         "The answer is longer than this program is willing to keep.");
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return fault_set(fault, FAIL_TIMEOUT, "timeout", "The server took too long: %s.", detail);
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return fault_set(fault, FAIL_BAD_INPUT, "bad_url", "The URL cannot be used: %s.", detail);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
        return fault_set(fault, FAIL_UPSTREAM, "tls_failed",
                         "No trusted TLS connection could be made: %s.", detail);
    default:
        return fault_set(fault, FAIL_UPSTREAM, "unreachable", "The server cannot be reached: %s.",
                         detail);
    }
}

enum fail http_client_do(struct http_client *client, const struct http_request *request,
                         struct http_response *ret, struct fault *fault)
{
    char words[CURL_ERROR_SIZE] = "";
    *ret = (struct http_response){.status = 0};
    buf_init(&ret->body, request->response_max != 0 ? request->response_max : HTTP_CLIENT_BODY_MAX);
    struct exchange x = {.easy = client->easy, .request = request, .response = ret};
    curl_easy_reset(client->easy);
    set_profile(client, url_is_loopback(request->url));
    set_headers(client, request);
    set_body(client, &x);
    curl_easy_setopt(client->easy, CURLOPT_URL, request->url);
    curl_easy_setopt(client->easy, CURLOPT_ERRORBUFFER, words);
    curl_easy_setopt(client->easy, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(client->easy, CURLOPT_WRITEDATA, &x);
    curl_easy_setopt(client->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(client->easy, CURLOPT_HEADERDATA, &x);
    if (request->on_progress != NULL) {
        curl_easy_setopt(client->easy, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(client->easy, CURLOPT_XFERINFOFUNCTION, on_transfer);
        curl_easy_setopt(client->easy, CURLOPT_XFERINFODATA, &x);
    }
    CURLcode code = curl_easy_perform(client->easy);
    long status = 0;
    curl_easy_getinfo(client->easy, CURLINFO_RESPONSE_CODE, &status);
    ret->status = (unsigned)status;
    curl_easy_setopt(client->easy, CURLOPT_ERRORBUFFER, NULL); // it is on this stack
    if (code == CURLE_OK)
        return FAIL_NONE;
    // A server that refuses a body early may close before all of it was sent: its answer counts.
    if (code == CURLE_SEND_ERROR && status >= 400 && ret->body.n != 0)
        return FAIL_NONE;
    return explain(&x, code, words, fault);
}
