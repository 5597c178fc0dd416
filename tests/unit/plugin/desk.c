// The desk's side of the played tests: runs, and what is told about them.
#include "edge/loop/h2o.h"
#include "tests/unit/plugin/played.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "edge/base/clock.h"
#include <cmocka.h>

static h2o_globalconf_t config;
static pthread_barrier_t rest_begins, rest_ends; // of desk_set

struct plugin_options desk_options(const struct plugin_source *source, uint64_t busy_ms)
{
    return (struct plugin_options){.worker_memory = 256 << 20,
                                   .workers_memory = UINT64_C(4) << 30,
                                   .busy_ms = busy_ms,
                                   .queue_runs = 400,
                                   .spares = 2,
                                   .source = source};
}

void desk_start(unsigned loops, const struct plugin_options *o)
{
    h2o_config_init(&config);
    h2o_config_register_host(&config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    pthread_barrier_init(&rest_begins, NULL, loops + 1);
    pthread_barrier_init(&rest_ends, NULL, loops + 1);
    plugin_init(o);
    loops_start(loops, &config, plugin_on_loop_start);
}

void desk_wait(_Atomic unsigned *value, unsigned at_least)
{
    for (uint64_t until = clock_monotonic_ms() + 60000;
         *value < at_least && clock_monotonic_ms() < until;)
        nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    if (*value < at_least)
        fail_msg("waited for %u of %u", *value, at_least);
}

void desk_stop(void)
{
    loops_stop();
}

static void free_handler(struct shared *s)
{
    struct handler *h = (struct handler *)s;
    free((char *)h->code.p);
    free(h);
}

struct handler *desk_handler(const char *instance, const char *plugin, const char *deployment,
                             const char *code)
{
    struct handler *h = calloc(1, sizeof *h);
    shared_init(&h->shared, free_handler);
    snprintf(h->instance_id, sizeof h->instance_id, "%s", instance);
    snprintf(h->plugin_id, sizeof h->plugin_id, "%s", plugin);
    snprintf(h->project_id, sizeof h->project_id, "prj");
    snprintf(h->deployment_id, sizeof h->deployment_id, "%s", deployment);
    h->code = str_of(str_dup(str_from(code)), strlen(code));
    return h;
}

struct handler *desk_new_handler(const char *plugin, const char *code)
{
    static unsigned serial;
    char id[24];
    snprintf(id, sizeof id, "ins_%u", ++serial);
    return desk_handler(id, plugin != NULL ? plugin : id, "dep_1", code);
}

void desk_drop(struct handler *h)
{
    shared_unref(&h->shared);
}

void desk_sleep(unsigned ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000},
              NULL);
}

// --- on the loop ---
static void on_later(struct loop_timer *t)
{
    struct played_run *r = (struct played_run *)((char *)t - offsetof(struct played_run, later));
    plugin_reply(&r->run, r->later_call, STR("\"later\""));
}

static void on_bridge(struct plugin_run *run, uint32_t call, str op, str args)
{
    struct played_run *r = (struct played_run *)run;
    snprintf(r->last_args, sizeof r->last_args, "%.*s", STR_FMT(args));
    if (call == 0) {
        ++r->one_ways;
    } else if (str_eq(op, STR("echo"))) {
        plugin_reply(run, call, args);
    } else if (str_eq(op, STR("fail"))) {
        plugin_reply_error(run, call, "why", STR("It \"failed\"."));
    } else if (str_eq(op, STR("fail at once")) || str_eq(op, STR("fetch"))) {
        plugin_reply_error(run, call, NULL, STR("Not here."));
    } else if ((str_eq(op, STR("keep")) || str_eq(op, STR("managedDb.query"))) &&
               r->open_count != BRIDGES_KEPT) {
        r->open_calls[r->open_count++] = call;
    } else if (str_eq(op, STR("later"))) {
        r->later.run = on_later;
        r->later_call = call;
        loop_timer_start(&r->later, 20);
    } else if (str_eq(op, STR("huge"))) {
        char *text = malloc(WORKER_TO_MAX);
        memset(text, '1', WORKER_TO_MAX);
        plugin_reply(run, call, str_of(text, WORKER_TO_MAX));
        free(text);
    }
    ++r->bridges;
}

static void on_log(struct plugin_run *run, str level, str text)
{
    struct played_run *r = (struct played_run *)run;
    size_t n = strlen(r->log);
    snprintf(r->log + n, sizeof r->log - n, "%.*s:%.*s\n", STR_FMT(level), STR_FMT(text));
    ++r->lines;
}

static void on_done(struct plugin_run *run, const struct plugin_answer *answer)
{
    struct played_run *r = (struct played_run *)run;
    loop_timer_stop(&r->later);
    r->answer = *answer;
    snprintf(r->meta, sizeof r->meta, "%.*s", STR_FMT(answer->meta));
    snprintf(r->data, sizeof r->data, "%.*s", STR_FMT(answer->data));
    ++r->done;
}

static const struct plugin_run_calls calls = {
    .on_bridge = on_bridge, .on_log = on_log, .on_done = on_done};

struct call_message {
    struct loop_message super;
    void (*fn)(void *arg);
    void *arg;
    _Atomic unsigned done;
};

static void on_call(struct loop_message *m)
{
    struct call_message *c = (struct call_message *)m;
    c->fn(c->arg);
    ++c->done;
}

void desk_call(struct handler *h, void (*fn)(void *arg), void *arg)
{
    struct call_message m = {.super.run = on_call, .fn = fn, .arg = arg};
    loop_post(plugin_owner_loop(h->project_id), &m.super);
    desk_wait(&m.done, 1);
}

static void on_rest(struct loop_message *m)
{
    pthread_barrier_wait(&rest_begins);
    pthread_barrier_wait(&rest_ends);
}

void desk_set(uint64_t *option, uint64_t value)
{
    struct loop_message rests[LOOPS_MAX];
    for (unsigned i = 0; i != loop_count(); ++i) {
        rests[i] = (struct loop_message){.run = on_rest};
        loop_post(loop_at(i), &rests[i]);
    }
    pthread_barrier_wait(&rest_begins);
    *option = value;
    pthread_barrier_wait(&rest_ends);
}

static void start(void *arg)
{
    struct played_run *r = arg;
    plugin_start(&r->run);
}

void run_start(struct played_run *r, struct handler *h, const char *body)
{
    uint32_t timeout = r->run.timeout_ms;
    bool is_retryable = r->run.is_retryable;
    memset(r, 0, sizeof *r);
    r->run.handler = h;
    r->run.calls = &calls;
    r->run.timeout_ms = timeout != 0 ? timeout : 10000;
    r->run.is_retryable = is_retryable;
    r->body = body;
    buf_init(&r->run.call, 2 << 20);
    buf_add(&r->run.call, str_from(body));
    desk_call(h, start, r);
}

static void release(void *arg)
{
    struct played_run *r = arg;
    unsigned n = r->open_count;
    r->open_count = 0;
    for (unsigned i = 0; i != n && r->done == 0; ++i)
        plugin_reply(&r->run, r->open_calls[i], STR("\"kept\""));
}

void run_release(struct played_run *r)
{
    desk_call(r->run.handler, release, r);
}

void run_wait(struct played_run *r)
{
    desk_wait(&r->done, 1);
}

struct played_run *run_one(struct handler *h, const char *body)
{
    struct played_run *r = calloc(1, sizeof *r);
    run_start(r, h, body);
    run_wait(r);
    return r;
}

void run_expect(struct handler *h, const char *body, enum plugin_outcome outcome, const char *data)
{
    struct played_run *r = run_one(h, body);
    if (r->answer.outcome != outcome || (data != NULL && strcmp(r->data, data) != 0))
        fail_msg("%s: outcome %d, data %s, meta %s", body, r->answer.outcome, r->data, r->meta);
    free(r);
}
