// Retention: visitors' files older than the server keeps them, or than their instance's owner does,
// or did until it went, and what the last discards left. Small batches: none holds a quota's row for
// long.
#include "uploads/internal.h"
#include <stdlib.h>
#include "edge/base/log.h"
#include "edge/loop/pool.h"

enum { DELETE_AT_ONCE = 200 };

static enum fail delete_old(struct db *db, const char *instance_id, uint32_t days, size_t *total,
                            struct fault *fault)
{
    size_t n = 0;
    enum fail fail = FAIL_NONE;
    do {
        fail = file_delete_old(db, instance_id, days, DELETE_AT_ONCE, &n, fault);
        if (fail == FAIL_NONE)
            *total += n;
    } while (fail == FAIL_NONE && n != 0);
    return fail;
}

static enum fail delete_outlived(struct db *db, size_t *total, struct fault *fault)
{
    size_t n = 0;
    enum fail fail = FAIL_NONE;
    do {
        fail = file_delete_outlived(db, DELETE_AT_ONCE, &n, fault);
        if (fail == FAIL_NONE)
            *total += n;
    } while (fail == FAIL_NONE && n != 0);
    return fail == FAIL_NONE ? file_retentions_prune(db, fault) : fail;
}

enum fail uploads_promise_days(struct db *db, const char *instance_id, struct fault *fault)
{
    const struct uploads_options *o = uploads_options;
    uint32_t days = o->keep_days_of != NULL ? o->keep_days_of(db, instance_id) : 0;
    return days != 0 ? file_retention_keep(db, instance_id, days, fault) : FAIL_NONE;
}

enum fail uploads_collect_old(struct db *db, size_t *ret_count, struct fault *fault)
{
    const struct uploads_options *o = uploads_options;
    char at[CATALOG_ID_ROOM] = "", next[CATALOG_ID_ROOM];
    *ret_count = 0;
    enum fail fail =
        o->keep_days != 0 ? delete_old(db, NULL, o->keep_days, ret_count, fault) : FAIL_NONE;
    while (fail == FAIL_NONE && o->keep_days_of != NULL) {
        fail = file_next_instance(db, at, next, fault);
        if (fail != FAIL_NONE || next[0] == '\0')
            break;
        memcpy(at, next, sizeof at);
        uint32_t days = o->keep_days_of(db, at);
        if (days != 0)
            fail = delete_old(db, at, days, ret_count, fault);
    }
    return fail == FAIL_NONE ? delete_outlived(db, ret_count, fault) : fail;
}

static void on_collect(struct job *job)
{
    struct fault fault = {0};
    size_t gone = 0;
    struct db *db = db_of_thread();
    upload_discard_all(db);
    if (uploads_collect_old(db, &gone, &fault) != FAIL_NONE)
        log_warn("old files were not all deleted", "reason=%s", LOG_STR(str_from(fault.log_text)));
    if (gone != 0)
        log_info("old files were deleted", "count=%zu", gone);
    upload_count_deleted(gone);
}

static void on_done(struct job *job)
{
    free(job);
}

void uploads_collect(void)
{
    struct job *job = calloc(1, sizeof *job);
    if (job == NULL)
        abort();
    *job = (struct job){.run = on_collect, .done = on_done};
    if (pool_post(LANE_INGEST, job) != FAIL_NONE) // the next time, then
        free(job);
}
