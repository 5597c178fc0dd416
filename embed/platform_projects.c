// A platform's projects; and projects of none, which the operator makes.
#include <stdio.h>
#include "edge/base/jsonx.h"
#include "edge/http/call_fields.h"
#include "embed/platforms.h"

enum { EXTERNAL_ID_MAX = 256 }; // characters

json_t *platform_project_row_json(const struct db_rows *rows, size_t row)
{
    return json_pack(
        "{so so so so so sb so so so}", "id", platform_text_json(rows, row, 0), "displayName",
        platform_text_json(rows, row, 2), "ownerId", platform_text_json(rows, row, 3), "platformId",
        platform_text_json(rows, row, 4), "externalId", platform_text_json(rows, row, 5),
        "isOwnerProject", db_get_bool(rows, row, 6), "piecesFilterType",
        platform_text_json(rows, row, 7), "piecesTags", jsonx_parse(db_get(rows, row, 8), NULL),
        "createdAt", platform_time_json(db_get_int(rows, row, 1)));
}

enum fail platform_find_project(struct db *db, const char *platform_id, str id, json_t **ret,
                                struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = platform_query_project(db, platform_id, id, &rows, fault);
    if (f != FAIL_NONE)
        return f;
    if (db_count(rows) == 0)
        return fault_set(fault, FAIL_NOT_FOUND, "project_not_found", "There is no such project.");
    *ret = platform_project_row_json(rows, 0);
    return FAIL_NONE;
}

// --- making ---

struct made {
    char id[CATALOG_ID_ROOM], owner[CATALOG_UUID_ROOM], secret[AUTH_TOKEN_ROOM];
    struct token_row token;
};

// Who asks says whose it is.
static enum fail make(const struct call *call, str name, str external_id, struct made *ret,
                      struct fault *fault)
{
    const struct principal *maker = call->principal;
    bool is_platforms = maker->scope == SCOPE_PLATFORM;
    enum fail f = token_lock(call->db, fault);
    if (f != FAIL_NONE)
        return f;
    f = is_platforms ? platform_project_create(call->db, maker->platform_id, external_id, name,
                                               ret->id, ret->owner, fault)
                     : catalog_project_create(call->db, name, ret->id, ret->owner, fault);
    if (f == FAIL_NONE)
        f = audit_append(call->db, ret->id, maker->token_id, "project.create", ret->id,
                         call->request_id, call->peer, NULL, fault);
    return f == FAIL_NONE ? platform_make_token(call, ret->id, STR("first token"), SCOPE_ADMIN,
                                                &ret->token, ret->secret, fault)
                          : f;
}

static str external_id_field(const struct call *call, struct answer *answer)
{
    str id = jsonx_str(call->json, "externalId");
    if (id.p == NULL)
        return id;
    if (call->principal->scope != SCOPE_PLATFORM)
        call_refuse_field(answer, "externalId", "This is what a platform calls its own project.");
    else if (!call_is_text(id, EXTERNAL_ID_MAX))
        call_refuse_field(answer, "externalId",
                          "This must have 1 to 256 characters, none of them control characters.");
    return id;
}

enum fail platform_api_create_project(struct call *call, struct answer *answer, struct fault *fault)
{
    struct made made;
    bool is_operators = call->principal->scope == SCOPE_OPERATOR;
    enum fail f = is_operators ? FAIL_NONE : auth_require(call->principal, SCOPE_PLATFORM, fault);
    if (f != FAIL_NONE)
        return f;
    str name = call_name_field(call, answer, "displayName");
    str external_id = external_id_field(call, answer);
    f = call_fields_verdict(answer, fault);
    if (f == FAIL_NONE)
        f = db_begin(call->db, fault);
    if (f == FAIL_NONE)
        f = make(call, name, external_id, &made, fault);
    if (f == FAIL_NONE)
        f = platform_find_project(call->db, is_operators ? NULL : call->principal->platform_id,
                                  str_from(made.id), &answer->json, fault);
    if (f == FAIL_NONE)
        f = db_commit(call->db, fault);
    if (f != FAIL_NONE)
        return f;
    json_object_set_new(answer->json, "tokenId", json_string(made.token.id));
    json_object_set_new(answer->json, "token", json_string(made.secret));
    explicit_bzero(made.secret, sizeof made.secret);
    return FAIL_NONE;
}

// --- reading and changing ---

enum fail platform_api_list_projects(struct call *call, struct answer *answer, struct fault *fault)
{
    struct page page;
    DB_ROWS_AUTO rows = NULL;
    enum fail f = platform_page_of(call, &page, fault);
    if (f == FAIL_NONE)
        f = platform_query_projects(call->db, call->principal->platform_id,
                                    call_query(call, "externalId"), &page, &rows, fault);
    if (f == FAIL_NONE)
        answer->json = page_rows_json(&page, rows, platform_project_row_json, platform_key_of);
    return f;
}

enum fail platform_api_get_project(struct call *call, struct answer *answer, struct fault *fault)
{
    return platform_find_project(call->db, call->principal->platform_id, call->params[0],
                                 &answer->json, fault);
}

static enum fail rename_project(const struct call *call, str name, struct fault *fault)
{
    bool found = false;
    str id = call->params[0];
    enum fail f = platform_query_rename_project(call->db, call->principal->platform_id, id, name,
                                                &found, fault);
    if (f == FAIL_NONE && !found)
        f = fault_set(fault, FAIL_NOT_FOUND, "project_not_found", "There is no such project.");
    if (f != FAIL_NONE)
        return f;
    char project[CATALOG_ID_ROOM];
    snprintf(project, sizeof project, "%.*s", STR_FMT(id));
    json_auto_t *facts = json_pack("{so}", "displayName", jsonx_string(name));
    return audit_append(call->db, project, call->principal->token_id, "project.change", project,
                        call->request_id, call->peer, facts, fault);
}

enum fail platform_api_change_project(struct call *call, struct answer *answer, struct fault *fault)
{
    bool names = jsonx_str(call->json, "displayName").p != NULL;
    str name = names ? call_name_field(call, answer, "displayName") : (str){0};
    enum fail f = call_fields_verdict(answer, fault);
    if (f == FAIL_NONE)
        f = db_begin(call->db, fault);
    if (f == FAIL_NONE && names)
        f = rename_project(call, name, fault);
    if (f == FAIL_NONE)
        f = platform_find_project(call->db, call->principal->platform_id, call->params[0],
                                  &answer->json, fault);
    return f == FAIL_NONE ? db_commit(call->db, fault) : f;
}
