// What time asks for: names whose check is due are taken in small batches, on every node at once
// (whoever takes a name has it for a few minutes), looked at one after the other, and settled. At most
// two of the lane's threads do this, so that an owner who waits is not behind everybody's daily check.
#include <stdatomic.h>
#include <stdlib.h>
#include "domains/internal.h"
#include "edge/base/clock.h"
#include "edge/base/log.h"
#include "edge/limits/limits.h"
#include "edge/loop/pool.h"

enum {
    TENDERS_MAX = 2,
    LOOKS_PER_PROJECT = 2,
    DUE_AT_ONCE = 4,
    PURGE_AT_ONCE = 500,
    TEND_MS = 60000
};

static _Atomic unsigned tenders;

// --- how often DNS is asked ---

static struct limit_check check_of(const char *kind, const char *whose, const char *of,
                                   uint64_t quota, uint64_t burst)
{
    str parts[] = {STR("domains"), str_from(kind), str_from(whose), str_from(of)};
    return (struct limit_check){
        .key = limits_key_of(LIMIT_OTHER, parts, 4),
        .policy = {.name = "domains", .quota = quota, .burst = burst, .window_s = 60}};
}

static bool charge(struct limit_check *checks, size_t n, unsigned *ret_wait_s)
{
    if (limits_charge(checks, n))
        return true;
    *ret_wait_s = 1;
    for (size_t i = 0; i != n; ++i)
        if (!checks[i].allowed && checks[i].reset_s > *ret_wait_s)
            *ret_wait_s = checks[i].reset_s;
    return false;
}

static uint64_t under_way(const char *project_id)
{
    str parts[] = {STR("domains"), STR("under way"), str_from(project_id)};
    return limits_key_of(LIMIT_OTHER, parts, 3);
}

// Anybody may claim names of a zone, and none of them shall keep the zone's owner waiting: one project
// has a third of what strangers have together (a part of that by the scheduler's looks at what it
// claimed), and who has proven a name has a share that strangers have no part in.
static size_t checks_of(const struct domain *d, bool by_owner, struct limit_check checks[static 3])
{
    size_t n = 0;
    if (by_owner)
        checks[n++] = check_of("project", d->project_id, "", 60, 30);
    if (domain_is_served(d->life.status)) {
        checks[n++] = check_of("held zone", d->registrable, "", 60, 40);
        return n;
    }
    checks[n++] = by_owner ? check_of("zone by owner", d->registrable, d->project_id, 15, 15)
                           : check_of("zone by server", d->registrable, d->project_id, 5, 5);
    checks[n++] = check_of("zone", d->registrable, "", 60, 40);
    return n;
}

bool domain_may_ask(const struct domain *d, bool by_owner, unsigned *ret_wait_s)
{
    struct limit_check checks[3];
    *ret_wait_s = 5;
    if (by_owner && !limits_enter(under_way(d->project_id), LOOKS_PER_PROJECT))
        return false;
    bool may = charge(checks, checks_of(d, by_owner, checks), ret_wait_s);
    if (!may && by_owner)
        limits_leave(under_way(d->project_id));
    return may;
}

void domain_asked(const char *project_id)
{
    limits_leave(under_way(project_id));
}

bool domain_may_claim(const char *project_id, unsigned *ret_wait_s)
{
    struct limit_check check = check_of("claims", project_id, "", 60, 60);
    return charge(&check, 1, ret_wait_s);
}

// --- one name ---

void domain_look(struct db *db, const struct domain *d, struct proof *ret_proof,
                 struct routing *ret_routing, bool *ret_has_routing)
{
    *ret_routing = (struct routing){.seen = NULL};
    proof_look(d, ret_proof);
    *ret_has_routing = ret_proof->answer.outcome != DNS_TIMEOUT;
    if (*ret_has_routing)
        routing_look(db, d, ret_routing);
}

static enum fail look_at(struct db *db, struct domain *d, struct fault *fault)
{
    static const struct domain_actor server = {0};
    PROOF_AUTO proof;
    ROUTING_AUTO routing;
    struct domain_verdict verdict;
    bool has_routing;
    domain_look(db, d, &proof, &routing, &has_routing);
    enum fail f =
        domain_settle(db, d, &proof, has_routing ? &routing : NULL, &server, &verdict, fault);
    return f == FAIL_NOT_FOUND ? FAIL_NONE : f; // it has gone meanwhile
}

static enum fail tend_one(struct db *db, struct domain *d, struct fault *fault)
{
    int64_t ends = domain_ends_at(&d->life);
    unsigned wait;
    if (ends != 0 && clock_real_ms() >= ends) {
        enum fail f = domain_expire(db, d, fault);
        return f == FAIL_NOT_FOUND ? FAIL_NONE : f;
    }
    if (!domain_may_ask(d, false, &wait))
        return domain_query_postpone(db, d->id, wait + 30, fault);
    return look_at(db, d, fault);
}

static enum fail tend_batch(struct db *db, size_t *ret_count, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = domain_query_due(db, DUE_AT_ONCE, &rows, fault);
    *ret_count = f == FAIL_NONE ? db_count(rows) : 0;
    for (size_t i = 0; f == FAIL_NONE && i != *ret_count; ++i) {
        DOMAIN_AUTO d;
        domain_of_row(rows, i, &d);
        f = tend_one(db, &d, fault);
    }
    return f;
}

// --- the job ---

static void on_tend(struct job *j)
{
    struct fault fault = {0};
    struct db *db = db_of_thread();
    size_t n = 0;
    uint64_t until = clock_monotonic_ms() + TEND_MS;
    enum fail f = domain_query_purge(db, PURGE_AT_ONCE, &fault);
    do {
        if (f == FAIL_NONE)
            f = tend_batch(db, &n, &fault);
    } while (f == FAIL_NONE && n != 0 && clock_monotonic_ms() < until);
    if (f != FAIL_NONE)
        log_warn("domains were not all looked at", "reason=%s",
                 LOG_STR(str_from(fault.log_text[0] != '\0' ? fault.log_text : fault.public_text)));
    --tenders;
}

static void on_tended(struct job *j)
{
    free(j);
}

void domains_tend(void)
{
    domains_read_again();
    if (++tenders > TENDERS_MAX) {
        --tenders;
        return;
    }
    struct job *j = calloc(1, sizeof *j);
    if (j == NULL)
        abort();
    j->run = on_tend;
    j->done = on_tended;
    if (pool_post(LANE_DOMAINS, j) != FAIL_NONE) { // busy: the next time will do
        --tenders;
        free(j);
    }
}
