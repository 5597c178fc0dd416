// Streams: bytes made piece by piece on a pool thread and sent by the loop. One piece is made at a
// time, and the next one only when the client has taken the last: that is all the back-pressure
// there is, and all there need be.
#include <assert.h>
#include <stdlib.h>
#include "edge/base/log.h"
#include "edge/http/internal.h"

enum { STREAM_PIECE = 128 * 1024 };

struct stream_reply {
    h2o_generator_t generator;
    struct stream_job *job;
};

// Outlives the request when the client leaves while a piece is being made.
struct stream_job {
    struct job super;
    struct stream *stream;
    struct request *request; // NULL once the client has gone
    char *piece;
    size_t n;
    enum fail fail;
    bool is_running;
};

static void job_free(struct stream_job *j)
{
    j->stream->close(j->stream);
    free(j->piece);
    free(j);
}

static void on_pull(struct job *super)
{
    struct stream_job *j = (struct stream_job *)super;
    j->n = 0;
    j->fail = j->stream->pull(j->stream, j->piece, STREAM_PIECE, &j->n);
}

static void on_pulled(struct job *super)
{
    struct stream_job *j = (struct stream_job *)super;
    j->is_running = false;
    if (j->request == NULL) {
        job_free(j);
        return;
    }
    h2o_req_t *req = h2o_of(j->request);
    if (j->fail != FAIL_NONE) {
        log_warn("a stream ended early", "request=%s", j->request->id);
        h2o_send(req, NULL, 0,
                 H2O_SEND_STATE_ERROR); // the connection closes: the client sees that it was cut
        return;
    }
    h2o_iovec_t piece = h2o_iovec_init(j->piece, j->n);
    h2o_send(req, &piece, j->n != 0, j->n != 0 ? H2O_SEND_STATE_IN_PROGRESS : H2O_SEND_STATE_FINAL);
}

static void start_pull(struct stream_job *j)
{
    j->is_running = true;
    j->super.run = on_pull;
    j->super.done = on_pulled;
    if (pool_post(LANE_API, &j->super) != FAIL_NONE) {
        j->is_running = false;
        h2o_send(h2o_of(j->request), NULL, 0, H2O_SEND_STATE_ERROR);
    }
}

static void on_stream_proceed(h2o_generator_t *generator, h2o_req_t *req)
{
    start_pull(((struct stream_reply *)generator)->job);
}

static void on_reply_gone(void *p)
{
    struct stream_reply *s = p;
    s->job->request = NULL;
    if (!s->job->is_running)
        job_free(s->job);
}

void reply_stream(struct request *r, int status, const char *type, int64_t size,
                  struct stream *stream)
{
    struct stream_reply *s = request_holder(r, sizeof *s, on_reply_gone);
    struct stream_job *j = s->job = calloc(1, sizeof *j);
    if (j == NULL || (j->piece = malloc(STREAM_PIECE)) == NULL)
        abort();
    j->stream = stream;
    j->request = r;
    s->generator.proceed = on_stream_proceed;
    h2o_req_t *req = h2o_of(r);
    assert(!r->_started);
    reply_add(r, "content-type", str_from(type));
    reply_add(r, "x-content-type-options", STR("nosniff"));
    reply_add(r, "cache-control", STR("no-store"));
    reply_add(r, "x-request-id", str_of(r->id, sizeof r->id - 1));
    r->_started = true;
    req->res.status = status;
    req->res.reason = "OK";
    req->res.content_length = size >= 0 ? (size_t)size : SIZE_MAX;
    start_response(req, &s->generator);
    if (r->method == METHOD_HEAD)
        h2o_send(req, NULL, 0, H2O_SEND_STATE_FINAL);
    else
        start_pull(j);
}
