// What follows a plugin's deploy and its end. Dropping is no part of the transaction that decides
// it: the cluster is another. The decision is a row; whoever runs next carries it out.
#include <stdlib.h>
#include "edge/base/clock.h"
#include "edge/base/log.h"
#include "edge/catalog/hooks.h"
#include "public-actions/managed_db/tables.h"

enum { OTHERS_MS = 20000 };

// --- deploys ---

static enum fail on_deploy_check(struct db *db, const struct deploy_facts *f,
                                 struct problems *problems, struct problems *warnings,
                                 struct fault *fault)
{
    managed_db_check(f->front, problems);
    return FAIL_NONE;
}

// What came of other projects' tables is counted: whose they are, and what is in them, is not the
// plugin's owner's to read. A deploy waits for them only so long.
static void sync_others(struct db *db, const struct deploy_facts *f,
                        const struct managed_db_place *places, size_t count,
                        struct problems *warnings)
{
    size_t bad = 0, left = 0;
    uint64_t until = clock_monotonic_ms() + OTHERS_MS;
    for (size_t i = 0; i != count; ++i) {
        struct problems own;
        if (strcmp(places[i].project_id, f->project_id) == 0)
            continue;
        if (clock_monotonic_ms() >= until) {
            ++left;
            continue;
        }
        problems_init(&own);
        managed_db_sync(db, places[i].project_id, f->plugin->id, f->front, &own);
        bad += own.count != 0;
        problems_fini(&own);
    }
    if (bad != 0)
        problems_add(warnings, 0, 0, "database",
                     "In %zu other projects with apps of this plugin some tables or columns could "
                     "not be made, or differ.",
                     bad);
    if (left != 0)
        problems_add(warnings, 0, 0, "database",
                     "There was no time for the tables of %zu other projects; deploy again.", left);
}

// Every project that has data of the plugin's, and the plugin's own.
static void on_deployed(struct db *db, const struct deploy_facts *f, struct problems *warnings)
{
    struct managed_db_place *places = NULL;
    size_t count = 0;
    struct fault fault;
    managed_db_sync(db, f->project_id, f->plugin->id, f->front, warnings);
    if (managed_db_query_places(db, f->plugin->id, &places, &count, &fault) != FAIL_NONE)
        return;
    sync_others(db, f, places, count, warnings);
    explicit_bzero(places, count * sizeof *places);
    free(places);
}

// --- the end of a plugin ---

static void add_tables(json_t *list, const PGresult *r)
{
    for (int i = 0; i != PQntuples(r); ++i)
        json_array_append_new(list, json_pack("{s:s, s:I}", "name", PQgetvalue(r, i, 0),
                                              "sizeBytes", (json_int_t)atoll(PQgetvalue(r, i, 1))));
}

static enum fail list_tables(struct db *db, const struct managed_db_place *p, json_t *list,
                             struct fault *fault)
{
    struct managed_db_access access;
    struct managed_db_link link = {0};
    PGresult *r = NULL;
    enum fail fail = managed_db_access(db, p->project_id, p->plugin_id, &access, fault);
    if (fail == FAIL_NONE)
        fail = managed_db_session_open(db, &access, &link, fault);
    if (fail == FAIL_NONE)
        fail = managed_db_tables_stats(&link, &r, fault);
    if (fail == FAIL_NONE)
        add_tables(list, r);
    PQclear(r);
    managed_db_link_close(&link);
    explicit_bzero(&access, sizeof access);
    return fail;
}

static enum fail on_delete_ask(struct db *db, const struct plugin *p, json_t *what,
                               bool *ret_has_data, struct fault *fault)
{
    struct managed_db_place *places = NULL;
    size_t count = 0;
    json_t *tables = json_array();
    enum fail fail = managed_db_query_places(db, p->id, &places, &count, fault);
    for (size_t i = 0; i != count && fail == FAIL_NONE; ++i) {
        bool is_own = strcmp(places[i].project_id, p->project_id) == 0;
        if (places[i].is_made && is_own)
            fail = list_tables(db, &places[i], tables, fault);
        *ret_has_data |= places[i].is_made && !is_own;
    }
    if (fail == FAIL_NONE && json_array_size(tables) != 0) {
        *ret_has_data = true;
        json_object_set(what, "tables", tables);
    }
    json_decref(tables);
    if (places != NULL)
        explicit_bzero(places, count * sizeof *places);
    free(places);
    return fail;
}

static enum fail on_delete(struct db *db, const struct plugin *p, bool keep_data,
                           struct fault *fault)
{
    return keep_data ? managed_db_query_keep(db, p, fault)
                     : managed_db_query_drop_later(db, p->id, fault);
}

const struct catalog_hooks managed_db_hooks = {.on_deploy_check = on_deploy_check,
                                               .on_deployed = on_deployed,
                                               .on_delete_ask = on_delete_ask,
                                               .on_delete = on_delete};

// --- carrying it out ---

// By the role itself: nobody with more rights touches what it has made (security-rules.md 7).
static enum fail drop_own(struct db *db, const struct managed_db_place *p, struct fault *fault)
{
    struct managed_db_access access = {0};
    struct managed_db_link link;
    memcpy(access.project_id, p->project_id, sizeof access.project_id);
    memcpy(access.database, p->database, sizeof access.database);
    memcpy(access.role, p->role, sizeof access.role);
    memcpy(access.schema, p->role, sizeof access.schema);
    memcpy(access.password, p->password, sizeof access.password);
    enum fail fail = managed_db_session_open(db, &access, &link, fault);
    if (fail == FAIL_NONE)
        fail = managed_db_tables_drop_all(&link, fault);
    managed_db_link_close(&link);
    explicit_bzero(&access, sizeof access);
    return fail;
}

// A password nobody else knows, and nobody inside: then the role is alone with what it has made.
static enum fail empty_role(struct db *db, struct managed_db_place *p, struct fault *fault)
{
    struct managed_db_link link;
    managed_db_password_make(p->password);
    enum fail fail = managed_db_provision_open(db, NULL, &link, fault);
    if (fail == FAIL_NONE)
        fail = managed_db_cluster_reset(&link, p, true, fault);
    if (fail == FAIL_NONE)
        fail = managed_db_cluster_end_sessions(p->role, fault);
    managed_db_link_close(&link);
    return fail == FAIL_NONE ? drop_own(db, p, fault) : fail;
}

static enum fail drop_role(struct db *db, const struct managed_db_place *p, struct fault *fault)
{
    struct managed_db_link link;
    enum fail fail = managed_db_provision_open(db, p->database, &link, fault);
    if (fail == FAIL_NONE)
        fail = managed_db_cluster_drop_role(&link, p, fault);
    managed_db_link_close(&link);
    return fail;
}

static enum fail drop_database(struct db *db, const struct managed_db_place *p, struct fault *fault)
{
    struct managed_db_link link;
    enum fail fail = managed_db_provision_open(db, NULL, &link, fault);
    if (fail == FAIL_NONE)
        fail = managed_db_cluster_drop_database(&link, p->database, fault);
    managed_db_link_close(&link);
    return fail;
}

static enum fail drop_next(struct db *db, struct fault *fault)
{
    struct managed_db_place p = {0};
    bool is_empty = false;
    enum fail fail = managed_db_query_next_drop(db, &p, fault);
    if (fail == FAIL_NONE)
        fail = managed_db_query_lock(db, p.project_id, fault);
    if (fail == FAIL_NONE)
        fail = empty_role(db, &p, fault);
    if (fail == FAIL_NONE)
        fail = drop_role(db, &p, fault);
    if (fail == FAIL_NONE)
        fail = managed_db_query_dropped(db, p.role, fault);
    if (fail == FAIL_NONE)
        fail = managed_db_query_leave(db, p.project_id, &is_empty, fault);
    if (fail == FAIL_NONE && is_empty)
        fail = drop_database(db, &p, fault);
    explicit_bzero(&p, sizeof p);
    return fail;
}

static enum fail in_transaction(struct db *db, enum fail (*what)(struct db *, struct fault *),
                                struct fault *fault)
{
    enum fail fail = db_begin(db, fault);
    if (fail == FAIL_NONE)
        fail = what(db, fault);
    if (fail == FAIL_NONE)
        return db_commit(db, fault);
    db_rollback(db);
    return fail;
}

void managed_db_collect(void)
{
    struct db *db = db_of_thread();
    struct fault fault;
    enum fail fail;
    do
        fail = in_transaction(db, drop_next, &fault);
    while (fail == FAIL_NONE);
    if (fail != FAIL_NOT_FOUND)
        log_warn("plugins' data could not be dropped; it is tried again", "code=%s detail=%s",
                 fault.code, LOG_STR(str_from(fault.log_text)));
    if (seal_is_ready() && in_transaction(db, managed_db_query_reseal, &fault) != FAIL_NONE)
        log_warn("plugins' passwords could not be sealed again", "code=%s detail=%s", fault.code,
                 LOG_STR(str_from(fault.log_text)));
}
