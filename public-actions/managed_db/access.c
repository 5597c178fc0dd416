// Finding where a plugin's data is, or making the place. The rows come first and are committed: so
// that what is made in the cluster always has a name that is known, and is made once, by whoever
// holds the project's lock; done again after a crash, each step changes nothing.
#include <assert.h>
#include <stdio.h>
#include "edge/catalog/hooks.h"
#include "public-actions/managed_db/provision.h"

enum fail managed_db_start_check(struct db *db, struct fault *fault)
{
    struct managed_db_link link;
    enum fail fail = managed_db_provision_open(db, NULL, &link, fault);
    managed_db_link_close(&link);
    return fail;
}

static enum fail reserve(struct db *db, const char *project_id, const char *plugin_id,
                         struct fault *fault)
{
    enum fail fail = db_begin(db, fault);
    if (fail == FAIL_NONE)
        fail = managed_db_query_lock(db, project_id, fault);
    if (fail == FAIL_NONE)
        fail = managed_db_query_reserve(db, project_id, plugin_id, fault);
    if (fail == FAIL_NONE)
        return db_commit(db, fault);
    db_rollback(db);
    return fail;
}

static enum fail make_in_cluster(struct db *db, const struct managed_db_place *p,
                                 struct fault *fault)
{
    struct managed_db_link link = {0};
    enum fail fail = managed_db_provision_open(db, NULL, &link, fault);
    if (fail == FAIL_NONE)
        fail = managed_db_cluster_role(&link, p, fault);
    if (fail == FAIL_NONE)
        fail = managed_db_cluster_database(&link, p, fault);
    managed_db_link_close(&link);
    if (fail == FAIL_NONE)
        fail = managed_db_provision_open(db, p->database, &link, fault);
    if (fail == FAIL_NONE)
        fail = managed_db_cluster_schema(&link, p, fault);
    managed_db_link_close(&link);
    return fail;
}

static bool is_as_it_should_be(const struct managed_db_place *p)
{
    return p->is_made && p->has_functions == managed_db_options()->has_functions;
}

// Another may have made it while we waited for the lock.
static enum fail make_locked(struct db *db, struct managed_db_place *p, struct fault *fault)
{
    char project_id[CATALOG_ID_ROOM], plugin_id[CATALOG_ID_ROOM];
    snprintf(project_id, sizeof project_id, "%s", p->project_id);
    snprintf(plugin_id, sizeof plugin_id, "%s", p->plugin_id);
    enum fail fail = managed_db_query_lock(db, project_id, fault);
    if (fail == FAIL_NONE)
        fail = managed_db_query_place(db, project_id, plugin_id, p, fault);
    if (fail != FAIL_NONE || is_as_it_should_be(p))
        return fail;
    fail = make_in_cluster(db, p, fault);
    return fail == FAIL_NONE
               ? managed_db_query_made(db, p, managed_db_options()->has_functions, fault)
               : fail;
}

static enum fail make(struct db *db, struct managed_db_place *p, struct fault *fault)
{
    enum fail fail = db_begin(db, fault);
    if (fail == FAIL_NONE)
        fail = make_locked(db, p, fault);
    if (fail == FAIL_NONE)
        return db_commit(db, fault);
    db_rollback(db);
    return fail;
}

static void copy_place(const struct managed_db_place *p, struct managed_db_access *ret)
{
    *ret = (struct managed_db_access){0};
    snprintf(ret->project_id, sizeof ret->project_id, "%s", p->project_id);
    snprintf(ret->plugin_id, sizeof ret->plugin_id, "%s", p->plugin_id);
    snprintf(ret->database, sizeof ret->database, "%s", p->database);
    snprintf(ret->role, sizeof ret->role, "%s", p->role);
    snprintf(ret->schema, sizeof ret->schema, "%s", p->role);
    snprintf(ret->password, sizeof ret->password, "%s", p->password);
}

enum fail managed_db_access_bare(struct db *db, const char *project_id, const char *plugin_id,
                                 struct managed_db_access *ret, bool *ret_made, struct fault *fault)
{
    struct managed_db_place p = {0};
    assert(!db_is_in_transaction(db));
    enum fail fail = managed_db_query_place(db, project_id, plugin_id, &p, fault);
    if (fail == FAIL_NOT_FOUND) {
        fail = reserve(db, project_id, plugin_id, fault);
        if (fail == FAIL_NONE)
            fail = managed_db_query_place(db, project_id, plugin_id, &p, fault);
    }
    *ret_made = fail == FAIL_NONE && !p.is_made;
    if (fail == FAIL_NONE && !is_as_it_should_be(&p))
        fail = make(db, &p, fault);
    if (fail == FAIL_NONE)
        copy_place(&p, ret);
    explicit_bzero(&p, sizeof p);
    return fail;
}

// A place that its first need made, because no deploy could: with the tables of what is deployed.
// What is wrong with those the next deploy says.
static void make_tables(struct db *db, const char *project_id, const char *plugin_id)
{
    struct instance instance;
    struct deployed deployed;
    struct problems unheard;
    struct fault fault;
    if (catalog_instance_first(db, project_id, plugin_id, &instance, &fault) != FAIL_NONE ||
        catalog_find_deployed(db, str_from(instance.id), STR(""), false, &deployed, &fault) !=
            FAIL_NONE)
        return;
    problems_init(&unheard);
    managed_db_sync(db, project_id, plugin_id, deployed.front, &unheard);
    problems_fini(&unheard);
    deployed_fini(&deployed);
}

enum fail managed_db_access(struct db *db, const char *project_id, const char *plugin_id,
                            struct managed_db_access *ret, struct fault *fault)
{
    bool is_made;
    enum fail fail = managed_db_access_bare(db, project_id, plugin_id, ret, &is_made, fault);
    if (fail == FAIL_NONE && is_made)
        make_tables(db, project_id, plugin_id);
    return fail;
}
