// From libh2o's request to ours. What is decided here is decided once: which authority counts (RFC
// 9112 §3.2, RFC 9113 §8.3.1), where the query begins, and what the visitor's address is.
#include "edge/http/request.h"
#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include "edge/base/clock.h"
#include "edge/http/h2o.h"
#include "edge/http/internal.h"

struct listener_handler {
    h2o_handler_t super;
    enum site_kind site;
    void (*on_request)(struct request *r);
};

static const struct {
    const char *name;
    enum method method;
} methods[] = {{"GET", METHOD_GET},        {"HEAD", METHOD_HEAD},   {"POST", METHOD_POST},
               {"PUT", METHOD_PUT},        {"PATCH", METHOD_PATCH}, {"DELETE", METHOD_DELETE},
               {"OPTIONS", METHOD_OPTIONS}};

static enum method method_of(str name)
{
    for (size_t i = 0; i != sizeof methods / sizeof methods[0]; ++i)
        if (str_eq(name, str_from(methods[i].name)))
            return methods[i].method;
    return METHOD_OTHER;
}

static const struct http_proxies *trusted;
static str cdn_loop;

void http_trust_proxies(const struct http_proxies *proxies)
{
    trusted = proxies != NULL && proxies->count != 0 ? proxies : NULL;
}

void http_set_cdn_loop(const char *name)
{
    cdn_loop = str_from(name);
}

bool http_is_trusted_proxy(const struct sockaddr *sa)
{
    struct ip a = ip_of_socket(sa);
    return trusted != NULL && http_proxies_contain(trusted, &a);
}

// The last lines of the proxies' header, in the order they came.
static size_t find_forwarded(const h2o_req_t *req, str to[static HTTP_FORWARDED_LINES])
{
    str name = str_from(trusted->header);
    size_t n = 0, at = req->headers.size;
    while (at-- != 0 && n != HTTP_FORWARDED_LINES) {
        const h2o_header_t *f = &req->headers.entries[at];
        if (str_eq(str_of(f->name->base, f->name->len), name))
            to[HTTP_FORWARDED_LINES - ++n] = str_of(f->value.base, f->value.len);
    }
    return n;
}

// As its header or its socket has it.
static struct ip peer_of(h2o_req_t *req)
{
    struct sockaddr_storage sa;
    struct ip peer = {.n = 0};
    if (req->conn->callbacks->get_peername(req->conn, (struct sockaddr *)&sa) != 0)
        peer = ip_of_socket((struct sockaddr *)&sa);
    if (trusted != NULL) {
        str lines[HTTP_FORWARDED_LINES];
        size_t n = find_forwarded(req, lines);
        peer = http_forwarded_visitor(trusted, &peer, lines + HTTP_FORWARDED_LINES - n, n);
    }
    return peer;
}

enum forwarded_proto http_proto_of(const h2o_req_t *req)
{
    struct sockaddr_storage sa;
    str lines[HTTP_FORWARDED_LINES];
    if (trusted == NULL ||
        req->conn->callbacks->get_peername(req->conn, (struct sockaddr *)&sa) == 0)
        return FORWARDED_UNSAID;
    struct ip peer = ip_of_socket((struct sockaddr *)&sa);
    size_t n = find_forwarded(req, lines);
    return http_forwarded_proto(trusted, &peer, lines + HTTP_FORWARDED_LINES - n, n);
}

struct ip http_visitor_of(h2o_req_t *req)
{
    struct ip peer = peer_of(req);
    return ip_normalise(&peer);
}

str http_authorization_of(const h2o_req_t *req)
{
    ssize_t at = h2o_find_header(&req->headers, H2O_TOKEN_AUTHORIZATION, -1);
    if (at == -1 || h2o_find_header(&req->headers, H2O_TOKEN_AUTHORIZATION, at) != -1)
        return STR("");
    const h2o_iovec_t *v = &req->headers.entries[at].value;
    return str_of(v->base, v->len);
}

static void set_peer(struct request *r, h2o_req_t *req)
{
    struct ip peer = peer_of(req);
    r->visitor = ip_normalise(&peer);
    peer = ip_unmap(&peer);
    ip_text(&peer, r->peer);
}

str http_host_of(str authority, uint16_t *ret_port)
{
    str host = authority;
    size_t colon = SIZE_MAX;
    if (host.n != 0 && host.p[0] == '[') {
        size_t end = str_find(host, ']');
        if (end != SIZE_MAX && end + 1 < host.n && host.p[end + 1] == ':')
            colon = end + 1;
    } else {
        colon = str_find(host, ':');
    }
    uint64_t port = 0;
    if (colon != SIZE_MAX && str_to_u64(str_skip(host, colon + 1), 65535, &port))
        host.n = colon;
    *ret_port = (uint16_t)port;
    if (host.n > 1 && host.p[host.n - 1] == '.')
        --host.n;
    return host;
}

static void set_authority(struct request *r, str authority)
{
    r->authority = authority;
    str host = http_host_of(authority, &r->port);
    bool is_lower = true;
    for (size_t i = 0; i != host.n && is_lower; ++i)
        is_lower = host.p[i] < 'A' || host.p[i] > 'Z';
    if (!is_lower) {
        char *copy = request_alloc(r, host.n);
        for (size_t i = 0; i != host.n; ++i)
            copy[i] = host.p[i] >= 'A' && host.p[i] <= 'Z' ? (char)(host.p[i] | 0x20) : host.p[i];
        host.p = copy;
    }
    r->host = host;
}

// An absolute-form target (RFC 9112 §3.2.2) names the authority itself, and it wins over Host.
static str target_of(struct request *r, h2o_req_t *req)
{
    str target = str_of(req->input.path.base, req->input.path.len),
        authority = str_of(req->input.authority.base, req->input.authority.len);
    if (req->version < 0x200 && target.n > 7 && target.p[0] != '/') {
        size_t scheme = str_caseeq(str_of(target.p, 7), STR("http://"))                    ? 7
                        : target.n > 8 && str_caseeq(str_of(target.p, 8), STR("https://")) ? 8
                                                                                           : 0;
        if (scheme != 0) {
            str rest = str_skip(target, scheme);
            size_t n = 0;
            while (n != rest.n && rest.p[n] != '/' && rest.p[n] != '?')
                ++n;
            authority = str_of(rest.p, n);
            target = str_skip(rest, n);
            if (target.n == 0)
                target = STR("/");
        }
    }
    set_authority(r, authority);
    return target;
}

static void on_request_gone(void *p)
{
    struct http_request *r = *(struct http_request **)p;
    access_log_request(r);
    shared_unref(r->owner);
}

// What the connection and the head say. `memory` is zeroed.
static struct request *read_head(struct http_request *memory, h2o_req_t *req, enum site_kind site)
{
    struct request *s = &memory->super;
    s->_h2o = req;
    s->loop = loop_self();
    s->method_name = str_of(req->input.method.base, req->input.method.len);
    s->method = method_of(s->method_name);
    s->version = (unsigned)req->version;
    s->is_tls = req->input.scheme == &H2O_URL_SCHEME_HTTPS;
    s->site = site;
    s->route = s->encoding = s->cache = "";
    memory->began_us = clock_monotonic_us();
    set_peer(s, req);
    str target = target_of(s, req);
    size_t mark = str_find(target, '?');
    s->path = str_of(target.p, mark != SIZE_MAX ? mark : target.n);
    if (mark != SIZE_MAX)
        s->query = str_skip(target, mark + 1);
    return s;
}

static int on_h2o_request(h2o_handler_t *self, h2o_req_t *req)
{
    struct listener_handler *handler = (struct listener_handler *)self;
    // its notice is an allocation of its own, so kept small: with many streams open malloc has no
    // spare for a large one at hand, while the pool has a chunk open anyway
    struct http_request *r = h2o_mem_alloc_pool(&req->pool, sizeof *r), **notice;
    memset(r, 0, sizeof *r);
    notice = h2o_mem_alloc_shared(&req->pool, sizeof *notice, on_request_gone);
    *notice = r;
    struct request *s = read_head(r, req, handler->site);
    s->body = str_of(req->entity.base, req->entity.len);
    token_request_id(s->id);
    handler->on_request(s);
    return 0;
}

enum site_kind http_listener_of(const h2o_req_t *req)
{
    return ((struct listener_handler *)req->conn->hosts[0]->fallback_path.handlers.entries[0])
        ->site;
}

void http_log_refused(h2o_req_t *req, const char *id, int status, uint64_t bytes)
{
    if (loop_self() == NULL)
        return;
    if (req == NULL) {
        access_log_answer(loop_self(), NULL, status, bytes);
        return;
    }
    struct http_request r = {0};
    struct request *s = read_head(&r, req, http_listener_of(req));
    s->route = "refused";
    snprintf(s->id, sizeof s->id, "%s", id);
    access_log_answer(s->loop, &r, status, bytes);
}

h2o_hostconf_t **http_register_listener(h2o_globalconf_t *config, const char *name,
                                        enum site_kind site, void (*on_request)(struct request *r))
{
    h2o_hostconf_t *host =
        h2o_config_register_host(config, h2o_iovec_init(name, strlen(name)), 65535);
    host->http2.push_preload = 0;
    struct listener_handler *handler =
        (struct listener_handler *)h2o_create_handler(&host->fallback_path, sizeof *handler);
    handler->super.on_req = on_h2o_request;
    handler->site = site;
    handler->on_request = on_request;
    h2o_hostconf_t **list = h2o_mem_alloc(2 * sizeof *list);
    list[0] = host;
    list[1] = NULL;
    return list;
}

static const char *const header_names[HEADERS] = {
    [HEADER_ACCEPT] = "accept",
    [HEADER_ACCEPT_ENCODING] = "accept-encoding",
    [HEADER_ACCESS_CONTROL_REQUEST_HEADERS] = "access-control-request-headers",
    [HEADER_ACCESS_CONTROL_REQUEST_METHOD] = "access-control-request-method",
    [HEADER_AUTHORIZATION] = "authorization",
    [HEADER_CDN_LOOP] = "cdn-loop",
    [HEADER_CONTENT_ENCODING] = "content-encoding",
    [HEADER_CONTENT_TYPE] = "content-type",
    [HEADER_HOST] = "host",
    [HEADER_IF_MATCH] = "if-match",
    [HEADER_IF_MODIFIED_SINCE] = "if-modified-since",
    [HEADER_IF_NONE_MATCH] = "if-none-match",
    [HEADER_IF_RANGE] = "if-range",
    [HEADER_IF_UNMODIFIED_SINCE] = "if-unmodified-since",
    [HEADER_LAST_EVENT_ID] = "last-event-id",
    [HEADER_ORIGIN] = "origin",
    [HEADER_RANGE] = "range",
    [HEADER_REFERER] = "referer",
    [HEADER_SEC_FETCH_DEST] = "sec-fetch-dest",
    [HEADER_SEC_FETCH_MODE] = "sec-fetch-mode",
    [HEADER_SERVICE_WORKER] = "service-worker",
    [HEADER_USER_AGENT] = "user-agent",
};

static str find_joined(struct request *r, enum header h)
{
    const char *name = header_names[h];
    h2o_req_t *req = h2o_of(r);
    size_t name_length = strlen(name), count = 0, total = 0;
    str first = {0};
    for (size_t i = 0; i != req->headers.size; ++i) {
        const h2o_header_t *f = &req->headers.entries[i];
        if (f->name->len != name_length || memcmp(f->name->base, name, name_length) != 0)
            continue;
        if (count++ == 0)
            first = str_of(f->value.base, f->value.len);
        total += f->value.len + 2;
    }
    if (count < 2)
        return first;
    char *joined = request_alloc(r, total), *to = joined;
    for (size_t i = 0; i != req->headers.size; ++i) {
        const h2o_header_t *f = &req->headers.entries[i];
        if (f->name->len != name_length || memcmp(f->name->base, name, name_length) != 0)
            continue;
        if (to != joined) {
            *to++ = ',';
            *to++ = ' ';
        }
        memcpy(to, f->value.base, f->value.len);
        to += f->value.len;
    }
    return str_of(joined, (size_t)(to - joined));
}

str request_header(struct request *r, enum header h)
{
    assert(h < HEADERS);
    struct http_request *own = (struct http_request *)r;
    if ((own->asked & 1u << h) == 0) {
        own->asked |= 1u << h;
        own->headers[h] = h == HEADER_HOST ? r->authority : find_joined(r, h);
    }
    return own->headers[h];
}

bool request_is_encoded(struct request *r)
{
    str coding = request_header(r, HEADER_CONTENT_ENCODING);
    return r->body.n != 0 && coding.n != 0 && !str_caseeq(str_trim(coding), STR("identity"));
}

bool request_is_looped(struct request *r)
{
    str rest = request_header(r, HEADER_CDN_LOOP);
    while (cdn_loop.n != 0 && rest.n != 0) {
        str info = str_cut(&rest, ',');
        if (str_caseeq(str_trim(str_cut(&info, ';')), cdn_loop))
            return true;
    }
    return false;
}

void *request_alloc(struct request *r, size_t n)
{
    return h2o_mem_alloc_pool(&h2o_of(r)->pool, n);
}

void *request_holder(struct request *r, size_t n, void (*on_gone)(void *holder))
{
    void *holder = h2o_mem_alloc_shared(&h2o_of(r)->pool, n, on_gone);
    memset(holder, 0, n);
    return holder;
}

bool request_wants_html(struct request *r)
{
    if (r->method != METHOD_GET && r->method != METHOD_HEAD)
        return false;
    str mode = request_header(r, HEADER_SEC_FETCH_MODE);
    if (mode.p != NULL)
        return str_eq(mode, STR("navigate"));
    return str_find_str(request_header(r, HEADER_ACCEPT), STR("text/html")) != SIZE_MAX;
}
