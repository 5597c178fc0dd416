// A body either stays where it came in (a file that somebody keeps for us: edge/guard does, and main
// says so) or, being small, is copied. Nothing here knows libh2o's buffers: HTTP/1 shares one
// between head, body and the next request, HTTP/2 has one a stream.
#include "edge/http/body.h"
#include <stdlib.h>
#include "edge/http/h2o.h"
#include "edge/http/internal.h"

struct body {
    str bytes;
    void *kept; // NULL: the copy follows
    char copy[];
};

static http_keep_body_fn keep_body;
static void (*let_go)(void *kept);

void http_set_body_keeper(http_keep_body_fn keep, void (*release)(void *kept))
{
    keep_body = keep;
    let_go = release;
}

static struct body *body_create(size_t copied)
{
    struct body *b = malloc(sizeof *b + copied);
    if (b == NULL)
        abort();
    return b;
}

static struct body *copy_of(str bytes)
{
    struct body *b = body_create(bytes.n);
    *b = (struct body){.bytes = str_of(b->copy, bytes.n)};
    if (bytes.n != 0)
        memcpy(b->copy, bytes.p, bytes.n);
    return b;
}

struct body *body_take(struct request *r)
{
    const char *at = NULL;
    void *kept = keep_body != NULL && r->body.n != 0 ? keep_body(h2o_of(r), &at) : NULL;
    if (kept == NULL)
        return copy_of(r->body);
    struct body *b = body_create(0);
    *b = (struct body){.bytes = str_of(at, r->body.n), .kept = kept};
    return b;
}

str body_bytes(const struct body *b)
{
    return b->bytes;
}

size_t body_memory(const struct body *b)
{
    return b->kept == NULL ? b->bytes.n : 0;
}

void body_destroy(struct body *b)
{
    if (b == NULL)
        return;
    if (b->kept != NULL)
        let_go(b->kept);
    free(b);
}
