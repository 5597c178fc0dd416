// The audit trail as it is read: a project's own, or a platform's over all of its projects.
#include <stdio.h>
#include "edge/base/jsonx.h"
#include "embed/platforms.h"

// "" for what did not come over the network.
static json_t *text_or_null(const struct db_rows *rows, size_t row, size_t column)
{
    str text = db_get(rows, row, column);
    return text.n != 0 ? jsonx_string(text) : json_null();
}

static struct page_key key_of(const struct db_rows *rows, size_t row)
{
    struct page_key key = {.at = db_get_int(rows, row, 2)};
    snprintf(key.id, sizeof key.id, "%.*s.%.*s", STR_FMT(db_get(rows, row, 0)),
             STR_FMT(db_get(rows, row, 1)));
    return key;
}

static json_t *event_json(const struct db_rows *rows, size_t row)
{
    struct page_key key = key_of(rows, row);
    json_t *facts =
        db_is_null(rows, row, 8) ? json_null() : jsonx_parse(db_get(rows, row, 8), NULL);
    return json_pack("{ss so so so so so so so so}", "id", key.id, "projectId",
                     platform_text_json(rows, row, 0), "at", platform_time_json(key.at), "actor",
                     platform_text_json(rows, row, 3), "action", platform_text_json(rows, row, 4),
                     "subject", platform_text_json(rows, row, 5), "requestId",
                     text_or_null(rows, row, 6), "address", text_or_null(rows, row, 7), "facts",
                     facts != NULL ? facts : json_null());
}

// Only a project of one's own: of the platform's, or the token's.
static enum fail check_project(const struct call *call, str id, struct fault *fault)
{
    json_auto_t *project = NULL;
    if (call->principal->scope == SCOPE_PLATFORM)
        return platform_find_project(call->db, call->principal->platform_id, id, &project, fault);
    if (str_eq(id, str_from(call->principal->project_id)))
        return FAIL_NONE;
    return fault_set(fault, FAIL_NOT_FOUND, "project_not_found", "There is no such project.");
}

static enum fail read_page(const struct call *call, const struct page *page, struct db_rows **ret,
                           struct fault *fault)
{
    const struct principal *p = call->principal;
    str id = call_query(call, "projectId");
    if (id.p == NULL && p->scope == SCOPE_PLATFORM)
        return audit_platform_page(call->db, p->platform_id, page, ret, fault);
    char project[CATALOG_ID_ROOM];
    enum fail f = id.p != NULL ? check_project(call, id, fault) : FAIL_NONE;
    snprintf(project, sizeof project, "%.*s", STR_FMT(id.p != NULL ? id : str_from(p->project_id)));
    return f == FAIL_NONE ? audit_project_page(call->db, project, page, ret, fault) : f;
}

enum fail platform_api_list_events(struct call *call, struct answer *answer, struct fault *fault)
{
    struct page page;
    DB_ROWS_AUTO rows = NULL;
    enum fail f = platform_page_of(call, &page, fault);
    if (f == FAIL_NONE)
        f = read_page(call, &page, &rows, fault);
    if (f == FAIL_NONE)
        answer->json = page_rows_json(&page, rows, event_json, key_of);
    return f;
}
