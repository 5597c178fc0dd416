// The endpoints of connections: values are held against the manifest that is deployed when they come,
// and never given back.
#include "embed/connections.h"
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"
#include "edge/base/token.h"
#include "edge/catalog/declared.h"
#include "edge/http/call_fields.h"
#include "embed/catalogue.h"
#include "embed/deployed_rows.h"

// --- showing ---

static bool is_required(const json_t *declaration)
{
    return json_is_true(json_object_get(declaration, "required"));
}

static bool is_among(const json_t *names, const char *name)
{
    const json_t *one;
    size_t i;
    json_array_foreach((json_t *)names, i, one)
    {
        if (strcmp(json_string_value(one), name) == 0)
            return true;
    }
    return false;
}

// Whether everything is there that what is deployed now requires.
static bool has_all(const json_t *declared, const json_t *names)
{
    const char *name;
    json_t *one;
    json_object_foreach((json_t *)declared, name, one)
    {
        if (is_required(one) && json_object_get(one, "default") == NULL && !is_among(names, name))
            return false;
    }
    return true;
}

static const char *status_of(const struct db_rows *rows, size_t row, const json_t *front)
{
    json_auto_t *secrets = jsonx_parse(db_get(rows, row, CONNECTION_SECRETS), NULL),
                *fields = jsonx_parse(db_get(rows, row, CONNECTION_FIELDS), NULL);
    return has_all(declared_of(front, "userSecrets"), secrets) &&
                   has_all(declared_of(front, "userFields"), fields)
               ? "ACTIVE"
               : "ERROR";
}

static json_t *text(const struct db_rows *rows, size_t row, size_t column)
{
    return json_string(db_get(rows, row, column).p);
}

static json_t *time_json(const struct db_rows *rows, size_t row, size_t column)
{
    char at[CLOCK_RFC3339_ROOM];
    clock_rfc3339(db_get_int(rows, row, column), at);
    return json_string(at);
}

static json_t *connection_json(const struct db_rows *rows, size_t row, const struct deployed *d)
{
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o}", "id", text(rows, row, CONNECTION_ID),
        "externalId", text(rows, row, CONNECTION_EXTERNAL_ID), "displayName",
        text(rows, row, CONNECTION_DISPLAY_NAME), "pieceName",
        text(rows, row, CONNECTION_PIECE_NAME), "pluginId", text(rows, row, CONNECTION_PLUGIN_ID),
        "status", status_of(rows, row, d->front), "createdAt",
        time_json(rows, row, CONNECTION_CREATED_AT), "updatedAt",
        time_json(rows, row, CONNECTION_UPDATED_AT));
}

static const struct deployed_rows shown = {CONNECTION_ID, CONNECTION_CREATED_AT,
                                           CONNECTION_PLUGIN_ID, connection_json};

enum fail connections_api_list(struct call *call, struct answer *a, struct fault *fault)
{
    struct page page;
    unsigned limit;
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = call_limit(call, &limit, fault);
    if (fail == FAIL_NONE)
        fail = page_init(&page, call_query(call, "cursor"), limit, fault);
    if (fail == FAIL_NONE)
        fail = connection_query_page(call->db, call->principal->project_id,
                                     call_query(call, "pieceName"), &page, &rows, fault);
    return fail == FAIL_NONE ? deployed_rows_page(call->db, &shown, &page, rows, &a->json, fault)
                             : fail;
}

// One by id or name, as it is shown; `ret_rows` is the caller's.
static enum fail find(struct call *call, str ref, struct db_rows **ret_rows, json_t **ret,
                      struct fault *fault)
{
    enum fail fail =
        connection_query_find(call->db, call->principal->project_id, ref, ret_rows, fault);
    if (fail == FAIL_NONE && db_count(*ret_rows) == 0)
        fail = fault_set(fault, FAIL_NOT_FOUND, "connection_not_found",
                         "There is no such connection in this project.");
    return fail == FAIL_NONE ? deployed_rows_first(call->db, &shown, *ret_rows, ret, fault) : fail;
}

enum fail connections_api_get(struct call *call, struct answer *a, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    return find(call, call->params[0], &rows, &a->json, fault);
}

// --- checking ---

static void refuse(json_t *wrong, const char *where, const char *name, const char *sentence)
{
    char path[160];
    snprintf(path, sizeof path, "%s%s%.100s", where, name[0] != '\0' ? "." : "", name);
    json_object_set_new(wrong, path, json_string(sentence));
}

static void check_name(const json_t *body, const char *key, json_t *wrong)
{
    if (json_is_string(json_object_get(body, key)) &&
        !call_is_text(jsonx_str(body, key), CONNECTION_NAME_MAX))
        refuse(wrong, key, "",
               "This must have 1 to 256 characters, none of them control characters.");
}

static void check_secrets(const json_t *declared, const json_t *set, json_t *wrong)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)set, name, value)
    {
        if (json_object_get(declared, name) == NULL)
            refuse(wrong, "secrets", name, "The manifest's userSecrets declare none of this name.");
        else if (!json_is_string(value) || json_string_length(value) == 0 ||
                 json_string_length(value) > CONNECTION_SECRET_MAX)
            refuse(wrong, "secrets", name, "This must be a text of 1 to 65536 bytes.");
    }
    json_object_foreach((json_t *)declared, name, value)
    {
        if (is_required(value) && json_object_get(set, name) == NULL)
            refuse(wrong, "secrets", name, "This secret is required.");
    }
}

static void check_fields(const json_t *declared, const json_t *set, json_t *wrong)
{
    const char *name;
    json_t *value;
    size_t n;
    json_auto_t *bad = json_object(), *all = declared_effective(declared, set, NULL);
    declared_check(declared, set, bad);
    json_object_foreach((json_t *)declared, name, value)
    {
        if (json_object_get(bad, name) == NULL && declared_is_missing(name, value, all))
            refuse(wrong, "fields", name, "This field is required.");
    }
    json_object_foreach(bad, name, value) refuse(wrong, "fields", name, json_string_value(value));
    free(jsonx_dump(set, &n));
    if (n > CONNECTION_FIELDS_MAX)
        refuse(wrong, "fields", "", "The values have more than 65536 bytes together.");
}

// null is how a form says that a value was left open.
static json_t *given(const json_t *body, const char *key)
{
    const char *name;
    json_t *value, *kept = json_object();
    json_object_foreach(json_object_get(body, key), name, value)
    {
        if (!json_is_null(value))
            json_object_set(kept, name, value);
    }
    return kept;
}

// What a request wants to be stored.
struct wanted {
    struct plugin plugin;
    struct deployed deployed;
    json_t *secrets, *fields;
};

static void wanted_fini(struct wanted *w)
{
    deployed_fini(&w->deployed);
    json_decref(w->secrets);
    json_decref(w->fields);
}
#define WANTED_AUTO __attribute__((cleanup(wanted_fini))) struct wanted

static enum fail check(const struct call *call, const struct wanted *w, struct answer *a,
                       struct fault *fault)
{
    json_t *wrong = json_object();
    check_name(call->json, "externalId", wrong);
    check_name(call->json, "displayName", wrong);
    check_secrets(declared_of(w->deployed.front, "userSecrets"), w->secrets, wrong);
    check_fields(declared_of(w->deployed.front, "userFields"), w->fields, wrong);
    if (json_object_size(wrong) == 0) {
        json_decref(wrong);
        return FAIL_NONE;
    }
    a->details = json_pack("{s:o}", "fields", wrong);
    return fault_set(fault, FAIL_REFUSED, "invalid_connection", "Some values cannot be accepted.");
}

// --- storing ---

static enum fail put_values(struct call *call, const char *id, enum connected what,
                            const json_t *values, struct fault *fault)
{
    enum fail fail = FAIL_NONE;
    const char **names AUTOFREE = declared_sorted(values);
    for (size_t i = 0; fail == FAIL_NONE && names[i] != NULL; ++i)
        fail = connection_value_put(call->db, id, call->principal->project_id, what, names[i],
                                    json_object_get(values, names[i]), fault);
    return fail;
}

static json_t *names_json(const json_t *values)
{
    json_t *list = json_array();
    const char **names AUTOFREE = declared_sorted(values);
    for (size_t i = 0; names[i] != NULL; ++i)
        json_array_append_new(list, json_string(names[i]));
    return list;
}

// Tells all nodes, since what handlers see changed; audits; commits.
static enum fail commit(struct call *call, const char *plugin_id, const char *action,
                        const char *id, json_t *facts, struct fault *fault)
{
    enum fail fail = connection_query_notify(call->db, plugin_id, fault);
    if (fail == FAIL_NONE)
        fail = audit_append(call->db, call->principal->project_id, call->principal->token_id,
                            action, id, call->request_id, call->peer, facts, fault);
    json_decref(facts);
    if (fail == FAIL_NONE)
        fail = db_commit(call->db, fault);
    if (fail == FAIL_NONE)
        catalog_tell_changed(plugin_id);
    return fail;
}

static enum fail store(struct call *call, const struct wanted *w, char id[static CATALOG_ID_ROOM],
                       bool *ret_is_new, struct fault *fault)
{
    char fresh[TOKEN_ID_ROOM];
    token_id("con_", fresh);
    str external = jsonx_str(call->json, "externalId");
    bool is_named = external.p != NULL;
    struct connection_wish wish = {.id = fresh,
                                   .project_id = call->principal->project_id,
                                   .plugin_id = w->plugin.id,
                                   .created_by = call->principal->token_id,
                                   .external_id = is_named ? external : str_from(fresh),
                                   .piece_name = jsonx_str(call->json, "pieceName"),
                                   .display_name = jsonx_str(call->json, "displayName"),
                                   .display_default =
                                       is_named ? external : str_from(w->plugin.display_name)};
    enum fail fail = db_begin(call->db, fault);
    if (fail == FAIL_NONE)
        fail = connection_query_put(call->db, &wish, id, ret_is_new, fault);
    if (fail == FAIL_NONE)
        fail = put_values(call, id, CONNECTED_SECRETS, w->secrets, fault);
    if (fail == FAIL_NONE)
        fail = put_values(call, id, CONNECTED_FIELDS, w->fields, fault);
    if (fail != FAIL_NONE)
        return fail;
    json_t *facts = json_pack("{s:o, s:o, s:o, s:o}", "externalId", jsonx_string(wish.external_id),
                              "pieceName", jsonx_string(wish.piece_name), "secrets",
                              names_json(w->secrets), "fields", names_json(w->fields));
    return commit(call, w->plugin.id, *ret_is_new ? "connection.create" : "connection.replace", id,
                  facts, fault);
}

static void forget_texts(json_t *values)
{
    const char *name;
    json_t *value;
    json_object_foreach(values, name, value)
    {
        if (json_is_string(value))
            explicit_bzero((char *)json_string_value(value), json_string_length(value));
    }
}

// Request bytes live on in freed memory; the values need not.
static void forget_values(struct call *call)
{
    forget_texts(json_object_get(call->json, "secrets"));
    forget_texts(json_object_get(call->json, "fields"));
    if (call->body.n != 0)
        explicit_bzero((char *)call->body.p, call->body.n); // the call's own copy
}

static enum fail put(struct call *call, struct answer *a, struct fault *fault)
{
    WANTED_AUTO w = {.secrets = given(call->json, "secrets"),
                     .fields = given(call->json, "fields")};
    char id[CATALOG_ID_ROOM];
    bool is_new = false;
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = piece_find(call->db, call->principal->project_id,
                                jsonx_str(call->json, "pieceName"), &w.plugin, &w.deployed, fault);
    if (fail == FAIL_NONE)
        fail = check(call, &w, a, fault);
    if (fail == FAIL_NONE)
        fail = store(call, &w, id, &is_new, fault);
    if (fail == FAIL_NONE)
        fail = find(call, str_from(id), &rows, &a->json, fault);
    if (fail == FAIL_NONE)
        a->status = is_new ? 201 : 200;
    return fail;
}

enum fail connections_api_put(struct call *call, struct answer *a, struct fault *fault)
{
    enum fail fail = put(call, a, fault);
    forget_values(call);
    return fail;
}

enum fail connections_api_delete(struct call *call, struct answer *a, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = find(call, call->params[0], &rows, &a->json, fault);
    if (fail == FAIL_NONE)
        fail = db_begin(call->db, fault);
    if (fail != FAIL_NONE)
        return fail;
    const char *id = db_get(rows, 0, CONNECTION_ID).p;
    fail = connection_query_delete(call->db, call->principal->project_id, id, fault);
    return fail == FAIL_NONE
               ? commit(call, db_get(rows, 0, CONNECTION_PLUGIN_ID).p, "connection.delete", id,
                        json_pack("{s:o}", "externalId", text(rows, 0, CONNECTION_EXTERNAL_ID)),
                        fault)
               : fail;
}
