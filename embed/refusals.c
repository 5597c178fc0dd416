// A table of entries under one lock; taken out whole to be written, and what failed is put back.
#include "embed/refusals.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/clock.h"
#include "edge/base/log.h"
#include "edge/catalog/catalog.h"
#include "edge/limits/limits.h"

enum {
    ENTRIES = 1024,
    GROUPS_PER_KEY = 32, // a minute; more share "other"
    GROUP_ROOM = IP_ROOM + 4,
    MINUTE_MS = 60 * 1000
};

struct entry {
    char key_id[CATALOG_ID_ROOM], project_id[CATALOG_ID_ROOM]; // "": no key of ours
    char group[GROUP_ROOM];
    const char *reason;
    int64_t minute; // since 1970
    uint64_t count; // 0: free
};

static struct {
    pthread_mutex_t lock; // guards all of this
    struct entry entries[ENTRIES];
    uint64_t lost; // for which not even "other" had room
} held = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void group_of(const struct ip *address, char to[static GROUP_ROOM])
{
    struct ip base = {.n = address->n};
    char text[IP_ROOM];
    str network = limits_network(address);
    memcpy(base.b, network.p, network.n);
    ip_text(&base, text);
    snprintf(to, GROUP_ROOM, "%s%s", text, base.n == 4 ? "/24" : base.n == 16 ? "/48" : "");
}

static bool is_same(const struct entry *a, const struct entry *b)
{
    return a->count != 0 && a->minute == b->minute && strcmp(a->reason, b->reason) == 0 &&
           strcmp(a->key_id, b->key_id) == 0 && strcmp(a->group, b->group) == 0;
}

// With the lock held. The one like `e`, or a free one for it; NULL when it has no place.
static struct entry *place_for(const struct entry *e)
{
    struct entry *free_one = NULL;
    size_t of_key = 0;
    bool is_other = strcmp(e->group, "other") == 0;
    for (size_t i = 0; i != ENTRIES; ++i) {
        struct entry *at = &held.entries[i];
        if (is_same(at, e))
            return at;
        if (at->count == 0 && free_one == NULL)
            free_one = at;
        of_key += at->count != 0 && at->minute == e->minute && strcmp(at->key_id, e->key_id) == 0;
    }
    return is_other || of_key < GROUPS_PER_KEY ? free_one : NULL;
}

// With the lock held.
static void add(struct entry e)
{
    struct entry *at = place_for(&e);
    if (at == NULL) {
        snprintf(e.group, sizeof e.group, "other");
        at = place_for(&e);
    }
    if (at == NULL) {
        held.lost += e.count;
        return;
    }
    e.count += at->count;
    *at = e;
}

void refusal_note(const struct refusal *r)
{
    struct entry e = {.reason = r->reason, .minute = clock_real_ms() / MINUTE_MS, .count = 1};
    if (r->key_id != NULL) {
        snprintf(e.key_id, sizeof e.key_id, "%s", r->key_id);
        snprintf(e.project_id, sizeof e.project_id, "%s", r->owner_project_id);
    }
    group_of(r->address, e.group);
    pthread_mutex_lock(&held.lock);
    add(e);
    pthread_mutex_unlock(&held.lock);
}

size_t refusals_held(void)
{
    size_t n = 0;
    pthread_mutex_lock(&held.lock);
    for (size_t i = 0; i != ENTRIES; ++i)
        n += held.entries[i].count != 0;
    pthread_mutex_unlock(&held.lock);
    return n;
}

// --- writing ---

static size_t take(struct entry *to, bool all, uint64_t *ret_lost)
{
    size_t n = 0;
    int64_t minute = clock_real_ms() / MINUTE_MS;
    pthread_mutex_lock(&held.lock);
    for (size_t i = 0; i != ENTRIES; ++i) {
        struct entry *e = &held.entries[i];
        if (e->count == 0 || (!all && e->minute >= minute))
            continue;
        to[n++] = *e;
        e->count = 0;
    }
    *ret_lost = held.lost;
    held.lost = 0;
    pthread_mutex_unlock(&held.lock);
    return n;
}

static void put_back(const struct entry *list, size_t n)
{
    pthread_mutex_lock(&held.lock);
    for (size_t i = 0; i != n; ++i)
        add(list[i]);
    pthread_mutex_unlock(&held.lock);
}

static enum fail append(struct db *db, const struct entry *e, struct fault *fault)
{
    char minute[CLOCK_RFC3339_ROOM];
    clock_rfc3339(e->minute * MINUTE_MS, minute);
    json_t *facts = json_pack("{s:s, s:I, s:s}", "reason", e->reason, "count", (json_int_t)e->count,
                              "minute", minute);
    enum fail f = audit_append(db, e->project_id, "system", "exchange.refused", e->key_id, "",
                               str_from(e->group), facts, fault);
    json_decref(facts);
    return f;
}

static int by_project(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int c = strcmp(x->project_id, y->project_id);
    return c != 0 ? c : (x->minute > y->minute) - (x->minute < y->minute);
}

// Those of one project, in one transaction.
static enum fail write_project(struct db *db, const struct entry *list, size_t n,
                               struct fault *fault)
{
    enum fail f = db_begin(db, fault);
    for (size_t i = 0; f == FAIL_NONE && i != n; ++i)
        f = append(db, &list[i], fault);
    if (f == FAIL_NONE)
        f = db_commit(db, fault);
    if (f != FAIL_NONE)
        db_rollback(db);
    return f;
}

static enum fail name_first_project(struct db *db, struct entry *list, size_t n,
                                    struct fault *fault)
{
    char first[CATALOG_ID_ROOM];
    enum fail f = catalog_project_first(db, first, fault);
    for (size_t i = 0; f == FAIL_NONE && i != n; ++i)
        if (list[i].project_id[0] == '\0')
            memcpy(list[i].project_id, first, sizeof first);
    return f;
}

static void write_all(struct db *db, struct entry *list, size_t n)
{
    struct fault fault = {0};
    enum fail named = name_first_project(db, list, n, &fault);
    bool is_told = false;
    qsort(list, n, sizeof *list, by_project);
    for (size_t i = 0, end; i != n; i = end) {
        for (end = i + 1; end != n && strcmp(list[end].project_id, list[i].project_id) == 0;)
            ++end;
        enum fail f = named == FAIL_NONE ? write_project(db, list + i, end - i, &fault) : named;
        if (f == FAIL_NONE)
            continue;
        put_back(list + i, end - i);
        if (!is_told)
            log_warn(
                "refused exchanges were not written to the trail; they will be", "reason=%s",
                LOG_STR(str_from(fault.log_text[0] != '\0' ? fault.log_text : fault.public_text)));
        is_told = true;
    }
}

void refusals_write(struct db *db, bool all)
{
    uint64_t lost;
    struct entry *list AUTOFREE = malloc(ENTRIES * sizeof *list);
    if (list == NULL)
        abort();
    size_t n = take(list, all, &lost);
    if (lost != 0)
        log_warn("refused exchanges were too many to be told apart", "count=%llu",
                 (unsigned long long)lost);
    if (n != 0)
        write_all(db, list, n);
}
