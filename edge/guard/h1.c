// HTTP/1 requests: the head, then the framing of the body. libh2o asks picohttpparser for both, and
// what that says is final, so a refusal is told to libh2o as a parse error, and the guard then
// replaces what libh2o answers:
// - a bad head: libh2o writes its constant 400, for which h2o_socket_write puts `raw`;
// - a good head whose body is not wanted: the framing field is made unreadable, so that libh2o
// sends an error to a request whose head it
//   knows, for which h2o_send_error_generic puts `why`.
#include "edge/guard/internal.h"

static int refuse_head(struct guard_conn *c, const struct guard_refusal *why)
{
    guard_count(why == &guard_bad_request ? &guard_totals.bad_heads : &guard_totals.large_heads);
    c->raw = why;
    return -1;
}

// libh2o itself turns to HTTP/2 when the parser fails on a connection preface (RFC 9113 §3.3).
static bool is_preface(const char *p, size_t n)
{
    return str_starts(str_of(p, n), STR("PRI * HTTP/2"));
}

static int refuse_unparsed(struct guard_conn *c, const char *p, size_t n, bool too_many)
{
    if (is_preface(p, n))
        return -1;
    return refuse_head(c, too_many ? &guard_headers_too_large : &guard_bad_request);
}

// Incomplete: it may already be too long. A request line without an end is a target, whatever it
// would become.
static int check_unfinished(struct guard_conn *c, const char *p, size_t n)
{
    enum { REST_OF_LINE = 64 }; // method, version, spaces
    size_t line = guard_policy.target_length + REST_OF_LINE;
    if (n > line && memchr(p, '\n', n) == NULL)
        return refuse_head(c, &guard_target_too_long);
    if (n >= guard_policy.header_bytes)
        return refuse_head(c, &guard_headers_too_large);
    return -2;
}

static const struct guard_refusal *judge_body(struct guard_conn *c, const struct head *h)
{
    c->body_limit = guard_body_limit(c->req, h->method, h->authority, h->target);
    if (!h->is_chunked && h->content_length > c->body_limit)
        return &guard_body_too_large;
    return guard_judge_length(c, h->is_chunked ? UINT64_MAX : h->content_length);
}

static void admit_body(struct guard_conn *c, const struct head *h)
{
    enum { A_READ = 4096 }; // libh2o wants that much room before it reads
    const struct guard_refusal *why = judge_body(c, h);
    c->in_body = true;
    c->body_most = h->is_chunked ? SIZE_MAX : h->n + h->content_length + A_READ;
    chunks_init(&c->chunks);
    if (why == NULL)
        return;
    guard_count_refusal(why);
    c->why = why;
    c->why_req = c->req;
    h->entity->value = "!";
    h->entity->value_len = 1;
}

static int admit(struct guard_conn *c, struct head *h)
{
    if (h->target.n > guard_policy.target_length)
        return refuse_head(c, &guard_target_too_long);
    if (h->n > guard_policy.header_bytes)
        return refuse_head(c, &guard_headers_too_large);
    if (!head_straighten(h))
        return refuse_head(c, &guard_bad_request);
    ++c->requests;
    c->why = NULL;
    c->in_body = false;
    if (h->entity != NULL && (h->is_chunked || h->content_length != 0))
        admit_body(c, h);
    return (int)h->n;
}

int phr_parse_request(const char *buf, size_t len, const char **method, size_t *method_len,
                      const char **path, size_t *path_len, int *minor_version,
                      struct phr_header *headers, size_t *num_headers, size_t last_len)
{
    // libh2o has the parser write straight into its request
    h2o_req_t *req = H2O_STRUCT_FROM_MEMBER(h2o_req_t, input.method.base, (char **)method);
    struct guard_conn *c = guard_conn_of_request(req);
    size_t most = *num_headers;
    GUARD_SEES(phr_parse_request);
    if (c != NULL && most > guard_policy.header_count)
        *num_headers = most = guard_policy.header_count;
    int ret = guard_real.phr_parse_request(buf, len, method, method_len, path, path_len,
                                           minor_version, headers, num_headers, last_len);
    if (c == NULL)
        return ret;
    c->req = req;
    if (ret == -1)
        return refuse_unparsed(c, buf, len, *num_headers == most);
    if (ret < 0)
        return check_unfinished(c, buf, len);
    struct head h = {
        .bytes = (char *)buf,
        .n = (size_t)ret,
        .method = str_of(*method, *method_len),
        .target = str_of(*path, *path_len),
        .minor_version = *minor_version,
        .fields = headers,
        .count = *num_headers,
    };
    ret = admit(c, &h);
    *path = h.target.p;
    *path_len = h.target.n;
    *num_headers = h.count;
    return ret;
}

static ssize_t refuse_chunks(struct guard_conn *c, const struct guard_refusal *why, size_t *bufsz)
{
    guard_count(why == &guard_bad_body ? &guard_totals.bad_heads : &guard_totals.large_bodies);
    c->why = why;
    c->why_req = c->req;
    *bufsz = 0;
    return -1;
}

ssize_t phr_decode_chunked(struct phr_chunked_decoder *decoder, char *buf, size_t *bufsz)
{
    struct guard_conn *c = guard_current;
    GUARD_SEES(phr_decode_chunked);
    if (c != NULL && c->kind == GUARD_H1) {
        enum chunks_verdict verdict = chunks_check(&c->chunks, buf, *bufsz, c->body_limit);
        if (verdict != CHUNKS_FINE)
            return refuse_chunks(
                c, verdict == CHUNKS_BROKEN ? &guard_bad_body : &guard_body_too_large, bufsz);
    }
    return guard_real.phr_decode_chunked(decoder, buf, bufsz);
}

// The whole request is there: what follows is the handler's time.
void h2o_process_request(h2o_req_t *req)
{
    struct guard_conn *c = guard_conn_of_request(req);
    GUARD_SEES(h2o_process_request);
    if (c != NULL)
        c->in_body = false;
    guard_real.h2o_process_request(req);
}
