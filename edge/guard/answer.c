// What the guard says when it refuses. A head that cannot be trusted gets a whole response as
// bytes, in place of the constant that libh2o would write; where the head is known, an ordinary
// answer to the request, in place of libh2o's own plain-text errors.
#include <stdlib.h>
#include "edge/base/clock.h"
#include "edge/guard/internal.h"

enum { BODY_ROOM = 16 * 1024, ANSWER_ROOM = BODY_ROOM + 1024 };

const struct guard_refusal guard_bad_request = {
    400, "Bad Request", "bad_request", "The request is malformed.", 0, false};
const struct guard_refusal guard_bad_body = {
    400, "Bad Request", "bad_request", "The framing of the request's body is malformed.", 0, false};
const struct guard_refusal guard_target_too_long = {
    414, "URI Too Long", "target_too_long", "The address is too long.", 0, false};
const struct guard_refusal guard_headers_too_large = {
    431,
    "Request Header Fields Too Large",
    "headers_too_large",
    "The request's headers are too large. Clearing this site's cookies may help.",
    0,
    true};
const struct guard_refusal guard_body_too_large = {
    413,
    "Content Too Large",
    "body_too_large",
    "The request's body is larger than is allowed here.",
    0,
    false};
const struct guard_refusal guard_busy = {
    503,    "Service Unavailable",
    "busy", "The server is receiving too many uploads at this moment. Try again shortly.",
    5,      false};
const struct guard_refusal guard_busy_for_you = {
    503,
    "Service Unavailable",
    "busy",
    "Too many large uploads are coming in from your address at this moment. Try again shortly.",
    5,
    false};
const struct guard_refusal guard_disk_full = {
    507,         "Insufficient Storage",
    "disk_full", "The server has no room on its disk for an upload of this size.",
    0,           false};
const struct guard_refusal guard_request_timeout = {
    408, "Request Timeout", "request_timeout", "The request came in too slowly.", 0, false};

// What libh2o answers by itself.
static const struct guard_refusal of_library[] = {
    {404, "Not Found", "not_found", "There is nothing here.", 0, false},
    {405, "Method Not Allowed", "method_not_allowed", "This method is not allowed here.", 0, false},
    {417, "Expectation Failed", "expectation_failed",
     "The request expects what this server does not do.", 0, false},
    {500, "Internal Server Error", "internal", "Something went wrong on our side.", 0, false},
};

static const struct guard_refusal *of_status(int status)
{
    if (status == 413)
        return &guard_body_too_large;
    if (status == 503)
        return &guard_busy;
    for (size_t i = 0; i < sizeof(of_library) / sizeof(of_library[0]); ++i)
        if (of_library[i].status == status)
            return &of_library[i];
    return status >= 400 && status < 500 ? &guard_bad_request : &of_library[3];
}

static const char *write_body(h2o_req_t *req, const struct guard_refusal *why, struct buf *to)
{
    if (guard_policy.error_body != NULL)
        return guard_policy.error_body(guard_policy.ctx, req, why, to);
    buf_addf(to, "{\"error\":true,\"code\":\"%s\",\"message\":\"%s\"}", why->code, why->message);
    return "application/json";
}

static void write_head(const h2o_req_t *req, const struct guard_refusal *why, const char *type,
                       size_t length, struct buf *to)
{
    char date[CLOCK_HTTP_ROOM];
    clock_http_date((time_t)(clock_real_ms() / 1000), date);
    buf_addf(to,
             "HTTP/1.1 %d %s\r\nDate: %s\r\nConnection: close\r\nContent-Length: %zu\r\n"
             "Content-Type: %s\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n",
             why->status, why->reason, date, length, type);
    if (why->retry_after != 0)
        buf_addf(to, "Retry-After: %u\r\n", why->retry_after);
    if (why->clears_cookies)
        buf_addf(to, "Clear-Site-Data: \"cookies\"\r\n");
    for (size_t i = 0; req != NULL && i != req->res.headers.size; ++i) { // of error_body
        const h2o_header_t *h = &req->res.headers.entries[i];
        buf_addf(to, "%.*s: %.*s\r\n", (int)h->name->len, h->name->base, (int)h->value.len,
                 h->value.base);
    }
    buf_addf(to, "\r\n");
}

h2o_iovec_t guard_raw_answer(struct guard_conn *c, const struct guard_refusal *why)
{
    struct buf body, all;
    buf_init(&body, BODY_ROOM);
    buf_init(&all, ANSWER_ROOM);
    h2o_req_t *req = c->in_body ? c->req : NULL; // its head has come whole
    if (req != NULL)
        memset(&req->res.headers, 0, sizeof(req->res.headers));
    const char *type = write_body(req, why, &body);
    write_head(req, why, type, body.n, &all);
    buf_add(&all, buf_str(&body));
    size_t length = all.n;
    free(c->answer);
    c->answer = buf_take(&all);
    buf_fini(&body);
    buf_fini(&all);
    return h2o_iovec_init(c->answer, length);
}

// What h2o_process_request does before it looks for a handler; the loggers want it.
static void prepare(h2o_req_t *req)
{
    h2o_hostconf_t *host = req->conn->hosts[0];
    if (req->pathconf != NULL)
        return;
    h2o_get_timestamp(req->conn->ctx, &req->pool, &req->processed_at);
    if (req->input.authority.base == NULL)
        req->input.authority = host->authority.hostport;
    size_t query = str_find(str_of(req->input.path.base, req->input.path.len), '?');
    req->scheme = req->input.scheme;
    req->method = req->input.method;
    req->authority = req->input.authority;
    req->path = req->input.path;
    req->query_at = req->input.query_at = query;
    req->path_normalized =
        h2o_iovec_init(req->path.base, query != SIZE_MAX ? query : req->path.len);
    h2o_req_bind_conf(req, host, &host->fallback_path);
}

static void add(h2o_req_t *req, const h2o_token_t *name, const char *value)
{
    h2o_add_header(&req->pool, &req->res.headers, name, NULL, value, strlen(value));
}

static void add_other(h2o_req_t *req, const char *name, const char *value)
{
    h2o_add_header_by_str(&req->pool, &req->res.headers, name, strlen(name), 0, NULL, value,
                          strlen(value));
}

static void add_headers(h2o_req_t *req, const struct guard_refusal *why, const char *type)
{
    add(req, H2O_TOKEN_CONTENT_TYPE, type);
    add(req, H2O_TOKEN_CACHE_CONTROL, "no-store");
    add_other(req, "x-content-type-options", "nosniff");
    if (why->retry_after != 0) {
        char *seconds = h2o_mem_alloc_pool(&req->pool, 16);
        snprintf(seconds, 16, "%u", why->retry_after);
        add_other(req, "retry-after", seconds);
    }
    if (why->clears_cookies)
        add_other(req, "clear-site-data", "\"cookies\"");
}

void guard_answer(h2o_req_t *req, const struct guard_refusal *why)
{
    static h2o_generator_t all_at_once;
    struct buf body;

    prepare(req);
    req->res.status = why->status;
    req->res.reason = why->reason;
    memset(&req->res.headers, 0, sizeof(req->res.headers));
    buf_init(&body, BODY_ROOM);
    const char *type = write_body(req, why, &body);
    add_headers(req, why, type);
    req->res.content_length = body.n;
    h2o_iovec_t bytes = h2o_strdup(&req->pool, body.p, body.n);
    buf_fini(&body);
    bool is_head = h2o_memis(req->input.method.base, req->input.method.len, H2O_STRLIT("HEAD"));
    h2o_start_response(req, &all_at_once);
    h2o_send(req, &bytes, is_head ? 0 : 1, H2O_SEND_STATE_FINAL);
}

// Over HTTP/2 the rest of a body that nobody will read may still be under way.
static void refuse_rest_of_body(struct guard_conn *c, h2o_req_t *req)
{
    h2o_http2_stream_t *stream = H2O_STRUCT_FROM_MEMBER(h2o_http2_stream_t, req, req);
    if (stream->_req_body != NULL && req->entity.base == NULL)
        guard_refuse_stream(c, stream->stream_id);
}

void h2o_send_error_generic(h2o_req_t *req, int status, const char *reason, const char *body,
                            int flags)
{
    struct guard_conn *c = guard_conn_of_request(req);
    const struct guard_refusal *why = of_status(status);
    GUARD_SEES(h2o_send_error_generic);
    if (c == NULL) {
        guard_real.h2o_send_error_generic(req, status, reason, body, flags);
        return;
    }
    if (c->why != NULL && c->why_req == req)
        why = c->why;
    c->why = NULL;
    if (c->kind == GUARD_H2) {
        refuse_rest_of_body(c, req);
    } else if ((flags & H2O_SEND_ERROR_HTTP1_CLOSE_CONNECTION) != 0) {
        req->http1_is_persistent = 0;
        c->linger = true;
    }
    guard_answer(req, why);
}
