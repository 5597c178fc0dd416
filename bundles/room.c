// Limits of what is kept are rows of the database, those of what is written are this process's own.
#include "bundles/room.h"
#include "edge/limits/limits.h"

enum { WRITES_PER_QUOTA = 2, WRITES_WINDOW_S = 60 * 60 };

// `own`: how many of them are the one in question.
static enum fail check_plugins(struct db *db, const struct room_question *q, unsigned own,
                               struct fault *fault)
{
    uint64_t count = 0;
    enum fail fail = catalog_plugin_count(db, q->project_id, &count, fault);
    if (fail != FAIL_NONE || count - own < q->limits->plugins_per_project)
        return fail;
    return fault_set(fault, FAIL_QUOTA, "quota_exceeded",
                     "This project has %llu plugins, as many as it may have. Delete one first.",
                     (unsigned long long)(count - own));
}

static enum fail no_room(const struct deployment_room *r, uint64_t quota, struct fault *fault)
{
    const double mib = 1024 * 1024;
    return fault_set(fault, FAIL_QUOTA, "quota_exceeded",
                     "The deployments of this project take %.1f of %.1f MiB, and this one would "
                     "take %.1f MiB more. Nothing was changed. Old deployments can be removed: "
                     "`stoa deployments APP --rm ID`.",
                     (double)r->used / mib, (double)quota / mib, (double)r->more / mib);
}

static enum fail check_bytes(struct db *db, const struct room_question *q, struct fault *fault)
{
    struct deployment_room r;
    uint64_t quota = q->limits->quota_bytes;
    if (quota == 0)
        return FAIL_NONE;
    enum fail fail = deployment_room(db, q->project_id, q->declaration, &r, fault);
    return fail != FAIL_NONE          ? fail
           : r.used + r.more <= quota ? FAIL_NONE
                                      : no_room(&r, quota, fault);
}

static enum fail discard_and_check(struct db *db, const struct room_question *q,
                                   struct fault *fault)
{
    enum fail fail = deployment_lock_project(db, q->project_id, fault);
    if (fail == FAIL_NONE)
        fail = deployment_discard_old(db, q->plugin_id, q->limits->keep_deployments, q->replaces,
                                      fault);
    return fail == FAIL_NONE ? check_bytes(db, q, fault) : fail;
}

// What does not fit now may when the oldest have gone, which is tried and taken back.
enum fail room_ask(struct db *db, const struct room_question *q, struct fault *fault)
{
    enum fail fail = q->plugin_id == NULL ? check_plugins(db, q, 0, fault) : FAIL_NONE;
    if (fail != FAIL_NONE)
        return fail;
    fail = check_bytes(db, q, fault);
    if (fail != FAIL_QUOTA || q->plugin_id == NULL)
        return fail;
    fail = db_begin(db, fault);
    if (fail == FAIL_NONE)
        fail = catalog_plugin_lock(db, q->plugin_id, fault);
    if (fail == FAIL_NONE)
        fail = discard_and_check(db, q, fault);
    db_rollback(db);
    return fail;
}

static enum fail charge(const char *project_id, uint64_t bytes, uint64_t per_hour,
                        unsigned *ret_retry_after, struct fault *fault)
{
    str parts[] = {str_from(project_id), STR("deployed")};
    struct limit_check check = {.key = limits_key_of(LIMIT_OTHER, parts, 2),
                                .policy = {.name = "deployed",
                                           .quota = per_hour,
                                           .burst = per_hour,
                                           .window_s = WRITES_WINDOW_S,
                                           .is_bytes = true},
                                .cost = bytes};
    if (limits_charge(&check, 1))
        return FAIL_NONE;
    *ret_retry_after = check.reset_s;
    return fault_set(fault, FAIL_TOO_MANY, "rate_limited",
                     "This project has deployed more in the last hour than its quota allows for, "
                     "counting what was deleted. Please try again in %u minutes.",
                     (check.reset_s + 59) / 60);
}

enum fail room_may_write(struct db *db, const struct room_question *q, unsigned *ret_retry_after,
                         struct fault *fault)
{
    struct deployment_room r;
    uint64_t quota = q->limits->quota_bytes;
    if (quota == 0)
        return FAIL_NONE;
    enum fail fail = deployment_room(db, q->project_id, q->declaration, &r, fault);
    return fail == FAIL_NONE
               ? charge(q->project_id, r.more, quota * WRITES_PER_QUOTA, ret_retry_after, fault)
               : fail;
}

// The new plugin's row is there, and those of others that come at once are counted behind the lock.
enum fail room_make(struct db *db, const struct room_question *q, bool is_new_plugin,
                    struct fault *fault)
{
    enum fail fail = discard_and_check(db, q, fault);
    return fail == FAIL_NONE && is_new_plugin ? check_plugins(db, q, 1, fault) : fail;
}
