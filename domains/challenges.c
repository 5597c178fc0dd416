// What a certificate authority asks of us (RFC 8555 §8.3), on every authority and every node. The
// answer is in the database; which tokens are there to be asked for is known beforehand, by NOTIFY,
// so that no flood of strangers' tokens reaches it. Only after listening was interrupted, when some
// may have been missed, is any token asked for, for a few minutes and so often for each visitor.
#include <pthread.h>
#include <stdlib.h>
#include "domains/certificates.h"
#include "edge/base/clock.h"
#include "edge/http/reply.h"
#include "edge/limits/limits.h"
#include "edge/loop/pool.h"

enum { OPEN_MAX = 128, OPEN_MS = 5 * 60 * 1000, ASKED_EVERY_US = 1000 * 1000, ASKED_BURST = 10 };
#define PREFIX STR("/.well-known/acme-challenge/")

static struct {
    pthread_mutex_t lock; // guards all of this
    struct {
        char token[ACME_TOKEN_ROOM];
        uint64_t until;
    } open[OPEN_MAX];
    uint64_t any_until; // tokens may be there that we were not told of
} known = {.lock = PTHREAD_MUTEX_INITIALIZER};

// --- which are open ---

static bool is_token(str s)
{
    for (size_t i = 0; i != s.n; ++i) {
        char c = s.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_'))
            return false;
    }
    return s.n != 0 && s.n < ACME_TOKEN_ROOM;
}

void challenges_open(str token)
{
    uint64_t now = clock_monotonic_ms();
    size_t at = OPEN_MAX;
    if (!is_token(token))
        return;
    pthread_mutex_lock(&known.lock);
    for (size_t i = OPEN_MAX; i-- != 0;)
        if (known.open[i].until <= now || str_eq(str_from(known.open[i].token), token))
            at = i;
    if (at == OPEN_MAX) {
        known.any_until = now + OPEN_MS;
    } else {
        memcpy(known.open[at].token, token.p, token.n);
        known.open[at].token[token.n] = '\0';
        known.open[at].until = now + OPEN_MS;
    }
    pthread_mutex_unlock(&known.lock);
}

void challenges_on_notice(str payload)
{
    challenges_open(payload);
}

void challenges_on_listener_back(void)
{
    pthread_mutex_lock(&known.lock);
    known.any_until = clock_monotonic_ms() + OPEN_MS;
    pthread_mutex_unlock(&known.lock);
}

// *ret_is_told: this very one.
static bool may_be_open(str token, bool *ret_is_told)
{
    uint64_t now = clock_monotonic_ms();
    pthread_mutex_lock(&known.lock);
    bool may = known.any_until > now;
    *ret_is_told = false;
    for (size_t i = 0; i != OPEN_MAX && !*ret_is_told; ++i)
        *ret_is_told = known.open[i].until > now && str_eq(str_from(known.open[i].token), token);
    pthread_mutex_unlock(&known.lock);
    return may || *ret_is_told;
}

static bool may_ask(const struct request *r)
{
    uint64_t wait;
    str parts[] = {STR("challenges"), limits_visitor(&r->visitor)};
    return limits_conforms(limits_key_of(LIMIT_OTHER, parts, 2), ASKED_EVERY_US, ASKED_BURST,
                           &wait);
}

// --- answering ---

struct ask {
    struct job job; // first
    struct request *request;
    struct ask **holder;
    char token[ACME_TOKEN_ROOM];
    char *answer;
    enum fail fail;
};

static void reply_none(struct request *r)
{
    reply_error(r, 404, "not_found", "There is no such challenge.", NULL, 0);
}

static void reply_answer(struct request *r, const char *answer)
{
    str text = str_from(answer);
    char *body = request_alloc(r, text.n);
    memcpy(body, text.p, text.n);
    reply_add(r, "content-type", STR("application/octet-stream"));
    reply_add(r, "x-content-type-options", STR("nosniff"));
    reply_add(r, "cache-control", STR("no-store"));
    reply_bytes(r, 200, NULL, str_of(body, text.n), NULL);
}

static void on_ask(struct job *j)
{
    struct ask *a = (struct ask *)j;
    struct fault fault = {0};
    a->fail = acme_query_challenge(db_of_thread(), str_from(a->token), &a->answer, &fault);
}

static void on_asked(struct job *j)
{
    struct ask *a = (struct ask *)j;
    struct request *r = a->request;
    if (r != NULL) {
        *a->holder = NULL;
        if (a->fail != FAIL_NONE)
            reply_error(r, 503, "busy", "The challenge cannot be looked up right now.", NULL, 2);
        else if (a->answer == NULL)
            reply_none(r);
        else
            reply_answer(r, a->answer);
    }
    free(a->answer);
    free(a);
}

static void on_gone(void *p)
{
    struct ask **holder = p;
    if (*holder != NULL)
        (*holder)->request = NULL;
}

static void ask(struct request *r, str token)
{
    struct ask *a = calloc(1, sizeof *a);
    if (a == NULL)
        abort();
    memcpy(a->token, token.p, token.n);
    a->job.run = on_ask;
    a->job.done = on_asked;
    a->request = r;
    a->holder = request_holder(r, sizeof *a->holder, on_gone);
    *a->holder = a;
    if (pool_post(LANE_LOAD, &a->job) == FAIL_NONE)
        return;
    *a->holder = NULL;
    free(a);
    reply_error(r, 503, "busy", "The challenge cannot be looked up right now.", NULL, 2);
}

bool challenges_answer(struct request *r)
{
    bool is_told;
    if (!str_starts(r->path, PREFIX) || (r->method != METHOD_GET && r->method != METHOD_HEAD))
        return false;
    str token = str_skip(r->path, PREFIX.n);
    if (!is_token(token) || !may_be_open(token, &is_told) || (!is_told && !may_ask(r)))
        return false;
    ask(r, token);
    return true;
}
