// Answering. One exit for every kind of reply: headers into the request's pool, a body that stays
// referenced until it is out.
#include "edge/http/reply.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/jsonx.h"
#include "edge/base/log.h"
#include "edge/base/mapped.h"
#include "edge/http/reply_head.h"

enum { TLS_SLICE = 64 * 1024 };

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {200, "OK"},
    {201, "Created"},
    {204, "No Content"},
    {206, "Partial Content"},
    {302, "Found"},
    {304, "Not Modified"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {507, "Insufficient Storage"},
    {508, "Loop Detected"},
};

static const char *reason_of(int status)
{
    for (size_t i = 0; i != sizeof reasons / sizeof reasons[0]; ++i)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}

// --- headers ---

// libh2o does not check response headers; a line break in one would be a second response
// (security-rules.md 15).
static bool is_field_value(str value)
{
    for (size_t i = 0; i != value.n; ++i) {
        unsigned char c = (unsigned char)value.p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

struct reply_headers *reply_headers_create(void)
{
    struct reply_headers *h = calloc(1, sizeof *h);
    if (h == NULL)
        abort();
    return h;
}

// Names that are no token of libh2o's: a small table of interned ones, so that a header block of
// ten thousand apps holds each name once.
static h2o_iovec_t *intern(const char *name)
{
    static h2o_iovec_t names[] = {
        {H2O_STRLIT("x-content-type-options")},
        {H2O_STRLIT("referrer-policy")},
        {H2O_STRLIT("x-request-id")},
        {H2O_STRLIT("x-robots-tag")},
        {H2O_STRLIT("content-security-policy")},
        {H2O_STRLIT("clear-site-data")},
        {H2O_STRLIT("cross-origin-resource-policy")},
        {H2O_STRLIT("cross-origin-opener-policy")},
        {H2O_STRLIT("x-frame-options")},
        {H2O_STRLIT("permissions-policy")},
        {H2O_STRLIT("access-control-allow-methods")},
        {H2O_STRLIT("access-control-allow-headers")},
        {H2O_STRLIT("access-control-max-age")},
        {H2O_STRLIT("access-control-expose-headers")},
        {H2O_STRLIT("ratelimit")},
        {H2O_STRLIT("ratelimit-policy")},
        {H2O_STRLIT("deprecation")},
        {H2O_STRLIT("sunset")},
    };
    size_t n = strlen(name);
    const h2o_token_t *token = h2o_lookup_token(name, n);
    if (token != NULL)
        return (h2o_iovec_t *)&token->buf;
    for (size_t i = 0; i != sizeof names / sizeof names[0]; ++i)
        if (names[i].len == n && memcmp(names[i].base, name, n) == 0)
            return &names[i];
    return NULL;
}

static void add_line(struct reply_headers *h, const h2o_iovec_t *name, str value)
{
    size_t n = name->len + value.n + 4;
    if (h->text_n + n > h->text_room) {
        h->text_room = h->text_n + n + 64;
        h->text = realloc(h->text, h->text_room);
        if (h->text == NULL)
            abort();
    }
    char *to = h->text + h->text_n;
    memcpy(to, name->base, name->len);
    memcpy(to + name->len, ": ", 2);
    memcpy(to + name->len + 2, value.p, value.n);
    memcpy(to + name->len + 2 + value.n, "\r\n", 2);
    h->text_n += n;
}

void reply_headers_add(struct reply_headers *h, const char *name, str value)
{
    assert(is_field_value(value));
    if (h->count == h->room) {
        h->room += 4; // ten thousand apps have some of these: no more room than fields
        h->list = realloc(h->list, h->room * sizeof *h->list);
        if (h->list == NULL)
            abort();
    }
    h2o_iovec_t *known = intern(name);
    assert(known != NULL); // add the name to the table above
    h->list[h->count++] = (h2o_header_t){.name = known, .value = iovec(value)};
    add_line(h, known, value);
}

void reply_headers_destroy(struct reply_headers *h)
{
    if (h == NULL)
        return;
    free(h->list);
    free(h->text);
    free(h);
}

static void add_borrowed(h2o_req_t *req, const char *name, str value)
{
    assert(is_field_value(value));
    h2o_iovec_t *known = intern(name);
    if (known == NULL) {
        known = h2o_mem_alloc_pool(&req->pool, sizeof *known);
        *known = h2o_iovec_init(name, strlen(name));
    }
    h2o_vector_reserve(&req->pool, &req->res.headers, req->res.headers.size + 1);
    req->res.headers.entries[req->res.headers.size++] =
        (h2o_header_t){.name = known, .value = iovec(value)};
}

void reply_add(struct request *r, const char *name, str value)
{
    h2o_req_t *req = h2o_of(r);
    add_borrowed(
        req, name,
        str_of(h2o_strdup(&req->pool, value.p != NULL ? value.p : "", value.n).base, value.n));
}

void reply_add_named(struct request *r, str name, str value)
{
    h2o_req_t *req = h2o_of(r);
    reply_add(r, h2o_strdup(&req->pool, name.p, name.n).base, value);
}

static void add_request_id(h2o_req_t *req, const struct request *r)
{
    static h2o_iovec_t name = {H2O_STRLIT("x-request-id")};
    h2o_vector_reserve(&req->pool, &req->res.headers, req->res.headers.size + 1);
    req->res.headers.entries[req->res.headers.size++] =
        (h2o_header_t){.name = &name, .value = {(char *)r->id, sizeof r->id - 1}};
}

// --- bodies ---

enum { PIECES_AT_ONCE = 32, FILE_LEAST = 48 * 1024 };

// The next pieces, at most `room` bytes; returns how many buffers they are.
static size_t gather(struct reply_body *b, size_t room, h2o_iovec_t bufs[PIECES_AT_ONCE])
{
    size_t n = 0;
    while (b->next != b->count && n != PIECES_AT_ONCE && room != 0) {
        str rest = str_skip(b->pieces[b->next], b->offset);
        size_t take = rest.n < room ? rest.n : room;
        if (take != 0)
            bufs[n++] = h2o_iovec_init(rest.p, take);
        room -= take;
        b->offset += take;
        if (b->offset == b->pieces[b->next].n) {
            ++b->next;
            b->offset = 0;
        }
    }
    return n;
}

static h2o_send_state_t state_of(const struct reply_body *b)
{
    return b->next == b->count ? H2O_SEND_STATE_FINAL : H2O_SEND_STATE_IN_PROGRESS;
}

// Whether the next slice of a mapped file is there.
static bool has_next(const struct reply_body *b)
{
    if (b->file.mapped == NULL || b->next == b->count)
        return true;
    str rest = str_skip(b->pieces[b->next], b->offset);
    return mapped_has(b->file.mapped, rest.p, rest.n < TLS_SLICE ? rest.n : TLS_SLICE);
}

static void on_proceed(h2o_generator_t *generator, h2o_req_t *req)
{
    struct reply_body *b = (struct reply_body *)generator;
    h2o_iovec_t bufs[PIECES_AT_ONCE];
    if (b->file.fd != -1) {
        reply_file_rest(H2O_STRUCT_FROM_MEMBER(struct http_request, body, b));
        return;
    }
    if (!has_next(b)) { // a shorter body than was announced: nobody takes it for whole
        h2o_send(req, NULL, 0, H2O_SEND_STATE_ERROR);
        return;
    }
    size_t n = gather(b, b->sliced ? TLS_SLICE : SIZE_MAX, bufs);
    h2o_send(req, bufs, n, state_of(b));
}

// HTTP/1: the head, and as much of the body as goes with it.
static void send_with_head(struct http_request *own, const struct reply_headers *h)
{
    struct reply_body *b = &own->body;
    h2o_iovec_t bufs[1 + PIECES_AT_ONCE];
    bufs[0] = reply_head_make(own, h, b->count != 0 ? b->pieces[0] : (str){0}, &b->offset);
    if (b->file.fd != -1)
        reply_file_begin(own);
    size_t room = b->file.fd != -1 ? 0 : b->sliced ? TLS_SLICE - b->offset : SIZE_MAX;
    size_t n = 1 + gather(b, room, bufs + 1);
    h2o_send(h2o_of(&own->super), bufs, n, state_of(b));
}

static void add_block(h2o_req_t *req, const struct request *r, const struct reply_headers *h)
{
    if (h != NULL) {
        h2o_vector_reserve(&req->pool, &req->res.headers, req->res.headers.size + h->count + 2);
        memcpy(req->res.headers.entries + req->res.headers.size, h->list,
               h->count * sizeof *h->list);
        req->res.headers.size += h->count;
    }
    add_request_id(req, r);
}

// With own->body made.
static void send_all(struct http_request *own, int status, const struct reply_headers *h,
                     size_t total, struct shared *owner)
{
    struct request *r = &own->super;
    h2o_req_t *req = h2o_of(r);
    assert(!r->_started);
    r->_started = true;
    if (owner != NULL) {
        shared_ref(owner);
        own->owner = owner;
    }
    bool has_body = status != 304 && status != 204, is_h1 = r->version < 0x200;
    req->res.status = status;
    req->res.reason = reason_of(status);
    req->res.content_length = has_body ? total : SIZE_MAX;
    own->body.super.proceed = on_proceed;
    bool may_break = own->body.file.mapped != NULL;
    own->body.sliced = ((r->is_tls && is_h1) || may_break) && total > TLS_SLICE;
    if (r->is_tls || !is_h1 || total < FILE_LEAST)
        own->body.file.fd = -1;
    if (!has_body || r->method == METHOD_HEAD)
        own->body.count = 0;
    if (!is_h1)
        add_block(req, r, h);
    start_response(req, &own->body.super);
    if (reply_head_is_ours(req))
        send_with_head(own, h);
    else
        on_proceed(&own->body.super, req);
}

void reply_pieces(struct request *r, int status, const struct reply_headers *h, const str *pieces,
                  size_t count, struct shared *owner)
{
    struct http_request *own = (struct http_request *)r;
    size_t total = 0;
    for (size_t i = 0; i != count; ++i)
        total += pieces[i].n;
    own->body = (struct reply_body){.pieces = pieces, .count = count, .file = {.fd = -1}};
    send_all(own, status, h, total, owner);
}

void reply_bytes_of(struct request *r, int status, const struct reply_headers *h, str body,
                    struct reply_file file, struct shared *owner)
{
    struct http_request *own = (struct http_request *)r;
    own->single = body;
    own->body = (struct reply_body){.pieces = &own->single, .count = 1, .file = file};
    send_all(own, status, h, body.n, owner);
}

void reply_bytes(struct request *r, int status, const struct reply_headers *h, str body,
                 struct shared *owner)
{
    reply_bytes_of(r, status, h, body, (struct reply_file){.fd = -1}, owner);
}

void reply_json(struct request *r, int status, json_t *value)
{
    size_t n;
    char *text = jsonx_dump(value, &n);
    json_decref(value);
    str body = str_of(h2o_strdup(&h2o_of(r)->pool, text, n).base, n);
    free(text);
    h2o_req_t *req = h2o_of(r);
    add_borrowed(req, "content-type", STR("application/json"));
    add_borrowed(req, "x-content-type-options", STR("nosniff"));
    if (r->site == SITE_CONSOLE || r->site == SITE_ADMIN || status >= 400)
        add_borrowed(req, "cache-control", STR("no-store"));
    reply_bytes(r, status, NULL, body, NULL);
}

// --- refusals ---

static const char page_head[] =
    "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
    "content=\"width=device-width,initial-scale=1\">"
    "<meta name=\"color-scheme\" content=\"light dark\"><title>";
static const char page_style[] =
    "</title><style>body{font:1.05rem/1.6 "
    "system-ui,sans-serif;margin:0;min-height:100vh;display:grid;place-items:center;"
    "background:Canvas;color:CanvasText}main{max-width:32rem;padding:2rem}h1{font-size:1.5rem;"
    "margin:0 0 .5rem}"
    "small{opacity:.65}</style></head><body><main><h1>";

static const char *headline_of(int status)
{
    return status == 404   ? "Not found"
           : status == 429 ? "Too many requests"
           : status == 503 ? "Just a moment"
           : status >= 500 ? "Something went wrong"
                           : "That did not work";
}

static void add_escaped(struct buf *to, const char *text)
{
    for (; *text != '\0'; ++text) {
        switch (*text) {
        case '<':
            buf_add(to, STR("&lt;"));
            break;
        case '>':
            buf_add(to, STR("&gt;"));
            break;
        case '&':
            buf_add(to, STR("&amp;"));
            break;
        case '"':
            buf_add(to, STR("&quot;"));
            break;
        default:
            buf_addc(to, *text);
        }
    }
}

// A small page without script, so that a person who followed a link reads a sentence. It names no
// tenant.
static void reply_page(struct request *r, int status, const char *message)
{
    struct buf page;
    buf_init(&page, 8192);
    buf_add(&page, str_from(page_head));
    buf_add(&page, str_from(headline_of(status)));
    buf_add(&page, str_from(page_style));
    buf_add(&page, str_from(headline_of(status)));
    buf_add(&page, STR("</h1><p>"));
    add_escaped(&page, message);
    buf_addf(&page, "</p><small>%d &middot; %s</small></main></body></html>\n", status, r->id);
    str body = str_of(h2o_strdup(&h2o_of(r)->pool, page.p, page.n).base, page.n);
    buf_fini(&page);
    h2o_req_t *req = h2o_of(r);
    add_borrowed(req, "content-type", STR("text/html; charset=utf-8"));
    add_borrowed(req, "content-security-policy",
                 STR("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"));
    if (r->site == SITE_CONSOLE)
        add_borrowed(req, "cross-origin-opener-policy", STR("same-origin"));
    add_borrowed(req, "x-content-type-options", STR("nosniff"));
    add_borrowed(req, "cache-control", STR("no-store"));
    reply_bytes(r, status, NULL, body, NULL);
}

static void add_retry_after(struct request *r, unsigned seconds)
{
    if (seconds == 0)
        return;
    char text[16];
    snprintf(text, sizeof text, "%u", seconds);
    reply_add(r, "retry-after", str_from(text));
}

void reply_error_json(struct request *r, int status, const char *code, const char *message,
                      json_t *details)
{
    json_t *body = json_object();
    json_object_set_new(body, "error", json_true());
    json_object_set_new(body, "code", json_string(code));
    json_object_set_new(body, "message", jsonx_string(str_from(message)));
    json_object_set_new(body, "requestId", json_string(r->id));
    if (details != NULL)
        json_object_set_new(body, "details", details);
    reply_json(r, status, body);
}

void reply_error(struct request *r, int status, const char *code, const char *message,
                 json_t *details, unsigned retry_after)
{
    add_retry_after(r, retry_after);
    if (r->method == METHOD_GET || r->method == METHOD_HEAD) // as request_wants_html looks
        add_borrowed(h2o_of(r), "vary", STR("accept, sec-fetch-mode"));
    if (request_wants_html(r)) {
        json_decref(details);
        reply_page(r, status, message);
        return;
    }
    reply_error_json(r, status, code, message, details);
}

int reply_status(enum fail fail)
{
    static const int table[] = {
        [FAIL_NONE] = 200,      [FAIL_BAD_INPUT] = 400, [FAIL_UNAUTHORISED] = 401,
        [FAIL_DENIED] = 403,    [FAIL_NOT_FOUND] = 404, [FAIL_CONFLICT] = 409,
        [FAIL_TOO_LARGE] = 413, [FAIL_BAD_TYPE] = 415,  [FAIL_REFUSED] = 422,
        [FAIL_TOO_MANY] = 429,  [FAIL_UPSTREAM] = 502,  [FAIL_BUSY] = 503,
        [FAIL_TIMEOUT] = 504,   [FAIL_QUOTA] = 507,     [FAIL_INTERNAL] = 500,
    };
    return table[fail];
}

void reply_fault(struct request *r, const struct fault *fault, json_t *details,
                 unsigned retry_after)
{
    int status = reply_status(fault->fail);
    if (fault->log_text[0] != '\0' || status == 500)
        log_write(status == 500 ? LOG_ERROR : LOG_WARN, "a request failed",
                  "request=%s route=%s code=%s reason=%s", r->id, LOG_STR(str_from(r->route)),
                  fault->code != NULL ? fault->code : "internal",
                  LOG_STR(str_from(fault->log_text)));
    if (status == 401)
        add_borrowed(h2o_of(r), "www-authenticate", STR("Bearer realm=\"stoa\""));
    if (retry_after == 0 && (status == 503 || status == 429))
        retry_after = 2;
    const char *text = fault->public_text[0] != '\0'
                           ? fault->public_text
                           : "Something went wrong on our side. Please try again.";
    reply_error(r, status, fault->code != NULL ? fault->code : "internal", text, details,
                retry_after);
}

void reply_method_not_allowed(struct request *r, const char *allow)
{
    add_borrowed(h2o_of(r), "allow", str_from(allow));
    reply_error(r, 405, "method_not_allowed", "This address does not take that method.", NULL, 0);
}

void reply_encoded_body(struct request *r)
{
    add_borrowed(h2o_of(r), "accept-encoding", STR("identity"));
    reply_error(r, 415, "unsupported_media_type",
                "Send the body as it is, without a Content-Encoding.", NULL, 0);
}

void reply_options(struct request *r, const char *allow)
{
    add_borrowed(h2o_of(r), "allow", str_from(allow));
    reply_bytes(r, 204, NULL, (str){0}, NULL);
}

void reply_redirect(struct request *r, int status, str location, const char *cache_control)
{
    reply_add(r, "location", location);
    if (cache_control != NULL)
        add_borrowed(h2o_of(r), "cache-control", str_from(cache_control));
    else if (status == 302)
        add_borrowed(h2o_of(r), "cache-control", STR("no-store"));
    reply_bytes(r, status, NULL, STR(""), NULL);
}
