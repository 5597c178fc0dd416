// Retention: what is older than the days to keep, what is over an instance's number of rows, and
// what belongs to an instance or a subscription that has gone. A deleted instance's runs go here.
#include "public-actions/runs/internal.h"
#include <stdlib.h>
#include "edge/base/log.h"
#include "edge/loop/pool.h"

enum { REMOVE_AT_ONCE = 2000 };

static enum fail remove_old(struct db *db, const char *instance_id, uint64_t days, size_t *total,
                            struct fault *fault)
{
    size_t n = 0;
    enum fail f = FAIL_NONE;
    do {
        f = runs_query_remove_old(db, instance_id, days, REMOVE_AT_ONCE, &n, fault);
        *total += n;
    } while (f == FAIL_NONE && n != 0);
    return f;
}

static enum fail remove_over(struct db *db, const char *instance_id, uint64_t keep, size_t *total,
                             struct fault *fault)
{
    size_t n = 0;
    enum fail f = FAIL_NONE;
    do {
        f = runs_query_remove_over(db, instance_id, keep, REMOVE_AT_ONCE, &n, fault);
        *total += n;
    } while (f == FAIL_NONE && n != 0);
    return f;
}

static enum fail collect_instance(struct db *db, const char *instance_id, bool exists,
                                  size_t *total, struct fault *fault)
{
    const struct runs_options *o = &runs_options;
    uint64_t days = exists && o->keep_days_of != NULL ? o->keep_days_of(db, instance_id) : 0;
    enum fail f = FAIL_NONE;
    if (days != 0 && days < o->keep_days)
        f = remove_old(db, instance_id, days, total, fault);
    if (f == FAIL_NONE)
        f = remove_over(db, instance_id, exists ? o->keep_rows : 0, total, fault);
    return f;
}

static enum fail remove_orphans(struct db *db, size_t *total, struct fault *fault)
{
    size_t n = 0;
    enum fail f = FAIL_NONE;
    do {
        f = runs_query_remove_orphans(db, REMOVE_AT_ONCE, &n, fault);
        *total += n;
    } while (f == FAIL_NONE && n != 0);
    return f;
}

enum fail runs_collect_all(struct db *db, size_t *ret_removed, struct fault *fault)
{
    char at[CATALOG_ID_ROOM] = "", next[CATALOG_ID_ROOM] = "";
    *ret_removed = 0;
    enum fail f = remove_old(db, NULL, runs_options.keep_days, ret_removed, fault);
    while (f == FAIL_NONE) {
        bool exists = false;
        f = runs_query_next_instance(db, at, next, &exists, fault);
        if (f != FAIL_NONE || next[0] == '\0')
            break;
        memcpy(at, next, sizeof at);
        f = collect_instance(db, at, exists, ret_removed, fault);
    }
    return f == FAIL_NONE ? remove_orphans(db, ret_removed, fault) : f;
}

static void on_collect(struct job *job)
{
    struct fault fault = {0};
    size_t removed = 0;
    enum fail f = runs_collect_all(db_of_thread(), &removed, &fault);
    if (f != FAIL_NONE)
        log_warn("old runs were not all removed", "reason=%s", LOG_STR(str_from(fault.log_text)));
    else if (removed != 0)
        log_info("old runs were removed", "rows=%zu", removed);
}

static void on_reseal(struct job *job)
{
    struct fault fault = {0};
    size_t done = 0;
    if (runs_reseal(db_of_thread(), &done, &fault) != FAIL_NONE)
        log_warn("subscriptions' keys were not looked through", "reason=%s",
                 LOG_STR(str_from(fault.log_text)));
    else if (done != 0)
        log_info("subscriptions' keys were sealed under the newest master key", "count=%zu", done);
}

static void on_tend(struct job *job)
{
    on_collect(job);
    on_reseal(job);
}

static void on_collected(struct job *job)
{
    free(job);
}

void runs_collect(void)
{
    struct job *job = calloc(1, sizeof *job);
    if (job == NULL)
        abort();
    job->run = on_tend;
    job->done = on_collected;
    if (pool_post(LANE_INGEST, job) != FAIL_NONE) // the next time, then
        free(job);
}
