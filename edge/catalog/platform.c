// What platforms and their tokens bring into being. The order of locks is always user, project,
// membership, audit trail: first exchanges of one user in one project wait for each other at the
// user's row, those of several users at the project's, and none waits in a circle.
#include "edge/catalog/platform.h"
#include <assert.h>
#include <stdio.h>
#include "edge/base/token.h"
#include "edge/catalog/internal.h"

enum fail platform_create(struct db *db, str slug, str display_name, struct platform *ret,
                          struct fault *fault)
{
    assert(db_is_in_transaction(db));
    struct platform p = {.created_at = 0};
    struct new_project owner = {.platform_id = p.id, .display_name = display_name};
    bool is_new = false;
    token_id("plt_", p.id);
    token_id("prj_", owner.id);
    token_uuid(owner.owner_id);
    snprintf(p.slug, sizeof p.slug, "%.*s", STR_FMT(slug));
    snprintf(p.display_name, sizeof p.display_name, "%.*s", STR_FMT(display_name));
    snprintf(p.owner_project_id, sizeof p.owner_project_id, "%s", owner.id);
    enum fail f = catalog_query_platform_insert(db, &p, &is_new, &p.created_at, fault);
    if (f == FAIL_NONE && !is_new)
        f = fault_set(fault, FAIL_CONFLICT, "platform_slug_taken",
                      "There is a platform with this slug already. Choose another one.");
    if (f == FAIL_NONE)
        f = catalog_query_project_insert(db, &owner, &is_new, fault);
    if (f == FAIL_NONE)
        *ret = p;
    return f;
}

enum fail platform_project_create(struct db *db, const char *platform_id, str external_id,
                                  str display_name, char ret_id[static CATALOG_ID_ROOM],
                                  char ret_owner[static CATALOG_UUID_ROOM], struct fault *fault)
{
    assert(db_is_in_transaction(db));
    struct new_project p = {
        .platform_id = platform_id, .external_id = external_id, .display_name = display_name};
    bool is_new = false;
    token_id("prj_", p.id);
    token_uuid(p.owner_id);
    enum fail f = catalog_query_project_insert(db, &p, &is_new, fault);
    if (f == FAIL_NONE && !is_new)
        f = fault_set(fault, FAIL_CONFLICT, "external_id_taken",
                      "The platform has a project with this externalId already.");
    if (f != FAIL_NONE)
        return f;
    snprintf(ret_id, CATALOG_ID_ROOM, "%s", p.id);
    snprintf(ret_owner, CATALOG_UUID_ROOM, "%s", p.owner_id);
    return FAIL_NONE;
}

// --- provisioning ---

// Locks the row of the user, which is made when there is none. Of two that both see none, the
// second's insert waits for the first's commit and then does nothing.
static enum fail get_user(struct db *db, const struct provision *p, struct provisioned *r,
                          struct fault *fault)
{
    bool found = false;
    enum fail f = catalog_query_user_lock(db, p, r, &found, fault);
    if (f != FAIL_NONE || found)
        return f;
    char id[TOKEN_UUID_ROOM];
    token_uuid(id);
    f = catalog_query_user_insert(db, p, id, &r->made_user, fault);
    return f == FAIL_NONE ? catalog_query_user_lock(db, p, r, &found, fault) : f;
}

static enum fail get_project(struct db *db, const struct provision *p, struct provisioned *r,
                             struct fault *fault)
{
    bool found = false;
    enum fail f = catalog_query_external_project(db, p, true, r, &found, fault);
    if (f != FAIL_NONE || found)
        return f;
    struct new_project project = {.platform_id = p->platform_id,
                                  .external_id = p->external_project_id,
                                  .display_name = p->external_project_id};
    token_id("prj_", project.id);
    token_uuid(project.owner_id);
    f = catalog_query_project_insert(db, &project, &r->made_project, fault);
    return f == FAIL_NONE ? catalog_query_external_project(db, p, true, r, &found, fault) : f;
}

// The token is good and not older than what was accepted before of this user: all follows it, but for
// the filter, which is the project's, where another member's newer token has spoken.
static enum fail follow(struct db *db, const struct provision *p, struct provisioned *r,
                        struct fault *fault)
{
    enum fail f = catalog_query_user_update(db, p, r->user_id, fault);
    if (f == FAIL_NONE && p->has_filter)
        f = catalog_query_filter_update(db, p, r->project_id, fault);
    if (f == FAIL_NONE)
        f = catalog_query_member_put(db, p, r, fault);
    if (f == FAIL_NONE)
        snprintf(r->role, sizeof r->role, "%s", p->role);
    return f;
}

enum fail platform_provision(struct db *db, const struct provision *p, struct provisioned *ret,
                             struct fault *fault)
{
    assert(db_is_in_transaction(db));
    struct provisioned r = {.is_active = false};
    int64_t issued_at = 0;
    bool found = false;
    enum fail f = get_user(db, p, &r, fault);
    if (f == FAIL_NONE && !r.is_active) // whoever refuses wants to say where
        f = catalog_query_external_project(db, p, false, &r, &found, fault);
    else if (f == FAIL_NONE)
        f = get_project(db, p, &r, fault);
    if (f == FAIL_NONE && r.is_active)
        f = catalog_query_member_find(db, p, &r, &issued_at, &found, fault);
    r.is_stale = r.is_active && found && issued_at > p->issued_at;
    if (f == FAIL_NONE && r.is_active && !r.is_stale)
        f = follow(db, p, &r, fault);
    if (f == FAIL_NONE)
        *ret = r;
    return f;
}
