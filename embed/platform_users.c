// A platform's users: made by exchanges alone, switched off and on here.
#include <stdio.h>
#include "edge/auth/sessions.h"
#include "edge/base/jsonx.h"
#include "edge/http/call_fields.h"
#include "embed/platforms.h"

json_t *platform_user_row_json(const struct db_rows *rows, size_t row)
{
    return json_pack(
        "{so so so so so so so so ss so so so}", "id", platform_text_json(rows, row, 0),
        "externalId", platform_text_json(rows, row, 2), "firstName",
        platform_text_json(rows, row, 3), "lastName", platform_text_json(rows, row, 4),
        "displayName", platform_text_json(rows, row, 5), "email", platform_text_json(rows, row, 6),
        "status", platform_text_json(rows, row, 7), "platformId", platform_text_json(rows, row, 8),
        "platformRole", "MEMBER", "projects", jsonx_parse(db_get(rows, row, 9), NULL), "lastSeenAt",
        platform_time_json(db_get_int(rows, row, 10)), "createdAt",
        platform_time_json(db_get_int(rows, row, 1)));
}

static enum fail no_user(struct fault *fault)
{
    return fault_set(fault, FAIL_NOT_FOUND, "user_not_found", "There is no such user.");
}

// Its form: what PostgreSQL takes for one.
static bool is_uuid(str s)
{
    bool ok = s.n == 36;
    for (size_t i = 0; ok && i != s.n; ++i) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        ok = is_dash ? s.p[i] == '-'
                     : (s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f');
    }
    return ok;
}

enum fail platform_api_list_users(struct call *call, struct answer *answer, struct fault *fault)
{
    struct page page;
    DB_ROWS_AUTO rows = NULL;
    enum fail f = platform_page_of(call, &page, fault);
    if (f == FAIL_NONE && page.has_key && !is_uuid(str_from(page.key.id)))
        f = fault_set(fault, FAIL_REFUSED, "invalid_cursor",
                      "This cursor is not one of ours. Start again without a cursor.");
    if (f == FAIL_NONE)
        f = platform_query_users(call->db, call->principal->platform_id,
                                 call_query(call, "externalId"), call_query(call, "projectId"),
                                 &page, &rows, fault);
    if (f == FAIL_NONE)
        answer->json = page_rows_json(&page, rows, platform_user_row_json, platform_key_of);
    return f;
}

enum fail platform_api_get_user(struct call *call, struct answer *answer, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    if (!is_uuid(call->params[0]))
        return no_user(fault);
    enum fail f =
        platform_query_user(call->db, call->principal->platform_id, call->params[0], &rows, fault);
    if (f != FAIL_NONE)
        return f;
    if (db_count(rows) == 0)
        return no_user(fault);
    answer->json = platform_user_row_json(rows, 0);
    return FAIL_NONE;
}

// A user is of no project: the trail of the platform's own tells it.
static enum fail audit_switched(const struct call *call, const char *user, bool is_active,
                                size_t ended, struct fault *fault)
{
    char owner[CATALOG_ID_ROOM];
    json_auto_t *facts = is_active ? NULL : json_pack("{sI}", "sessionsEnded", (json_int_t)ended);
    enum fail f =
        platform_query_owner_project(call->db, call->principal->platform_id, owner, fault);
    return f == FAIL_NONE ? audit_append(call->db, owner, call->principal->token_id,
                                         is_active ? "user.activate" : "user.deactivate", user,
                                         call->request_id, call->peer, facts, fault)
                          : f;
}

// Off: every request of theirs is refused from now on, and so are the sessions when on again. The
// user's row is locked before their projects' and their sessions' rows, as an exchange does it; and
// sessions end first, since of somebody who is off none would be counted.
static enum fail switch_user(const struct call *call, bool is_active, struct fault *fault)
{
    bool was_active = false;
    size_t ended = 0;
    char user[CATALOG_UUID_ROOM];
    const char *platform = call->principal->platform_id;
    if (!is_uuid(call->params[0]))
        return no_user(fault);
    snprintf(user, sizeof user, "%.*s", STR_FMT(call->params[0]));
    enum fail f = platform_query_lock_user(call->db, platform, user, &was_active, fault);
    if (f != FAIL_NONE || was_active == is_active)
        return f;
    if (!is_active)
        f = platform_forget_times_ahead(call->db, platform, user, fault);
    if (f == FAIL_NONE && !is_active)
        f = session_end_of_user(call->db, platform, user, &ended, fault);
    if (f == FAIL_NONE)
        f = platform_query_set_status(call->db, platform, user, is_active, fault);
    return f == FAIL_NONE ? audit_switched(call, user, is_active, ended, fault) : f;
}

enum fail platform_api_change_user(struct call *call, struct answer *answer, struct fault *fault)
{
    str status = jsonx_str(call->json, "status");
    bool is_active = str_eq(status, STR("ACTIVE"));
    if (!is_active && !str_eq(status, STR("INACTIVE")))
        call_refuse_field(answer, "status", "This must be ACTIVE or INACTIVE.");
    enum fail f = call_fields_verdict(answer, fault);
    if (f == FAIL_NONE)
        f = db_begin(call->db, fault);
    if (f == FAIL_NONE)
        f = switch_user(call, is_active, fault);
    if (f == FAIL_NONE)
        f = platform_api_get_user(call, answer, fault);
    return f == FAIL_NONE ? db_commit(call->db, fault) : f;
}
