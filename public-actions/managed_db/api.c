// The owner's endpoints: making the database, its credentials, what is in it.
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include "edge/auth/auth.h"
#include "edge/base/jsonx.h"
#include "edge/catalog/hooks.h"
#include "public-actions/managed_db/grid.h"
#include "public-actions/managed_db/queries_session.h"

// --- where ---

static enum fail find_plugin(struct call *call, struct plugin *ret, struct fault *fault)
{
    return catalog_plugin_used(call->db, call->principal->project_id, call->params[0], ret, fault);
}

// That of the asking project; never made by looking.
static enum fail find_access(struct call *call, struct managed_db_access *ret, struct fault *fault)
{
    struct plugin p;
    struct managed_db_place place;
    enum fail fail = find_plugin(call, &p, fault);
    if (fail == FAIL_NONE)
        fail = managed_db_query_place(call->db, call->principal->project_id, p.id, &place, fault);
    if (fail == FAIL_NONE) {
        explicit_bzero(&place, sizeof place);
        fail = managed_db_access(call->db, call->principal->project_id, p.id, ret, fault);
    }
    return fail;
}

static enum fail audit(struct call *call, const char *action, const char *plugin_id,
                       struct fault *fault)
{
    return audit_append(call->db, call->principal->project_id, call->principal->token_id, action,
                        plugin_id, call->request_id, call->peer, NULL, fault);
}

static enum fail audit_alone(struct call *call, const char *action, const char *plugin_id,
                             struct fault *fault)
{
    enum fail fail = db_begin(call->db, fault);
    if (fail == FAIL_NONE)
        fail = audit(call, action, plugin_id, fault);
    return fail == FAIL_NONE ? db_commit(call->db, fault) : fail;
}

// --- making it ---

static enum fail create_database(struct call *call, struct answer *answer, struct fault *fault)
{
    struct plugin p;
    struct managed_db_access access;
    enum fail fail = find_plugin(call, &p, fault);
    if (fail == FAIL_NONE)
        fail = managed_db_access(call->db, call->principal->project_id, p.id, &access, fault);
    if (fail == FAIL_NONE)
        fail = audit_alone(call, "database.create", p.id, fault);
    if (fail == FAIL_NONE)
        answer->json = json_pack("{s:{s:s, s:s, s:s, s:b}}", "database", "database",
                                 access.database, "username", access.role, "schemaName",
                                 access.schema, "reachable", !managed_db_options()->is_private);
    explicit_bzero(&access, sizeof access);
    return fail;
}

// --- credentials ---

static const char *word_of(PQconninfoOption *words, const char *key, const char *absent)
{
    for (PQconninfoOption *w = words; w != NULL && w->keyword != NULL; ++w)
        if (strcmp(w->keyword, key) == 0 && w->val != NULL && w->val[0] != '\0')
            return w->val;
    return absent;
}

static json_t *credentials_json(const struct managed_db_access *a)
{
    PQconninfoOption *words = PQconninfoParse(managed_db_options()->url, NULL);
    const char *host = word_of(words, "host", "localhost");
    const char *port = word_of(words, "port", "5432"), *mode = word_of(words, "sslmode", "prefer");
    bool is_socket = host[0] == '/';
    json_t *url = is_socket ? json_null()
                            : json_sprintf("postgresql://%s:%s@%s:%s/%s?sslmode=%s", a->role,
                                           a->password, host, port, a->database, mode);
    json_t *o = json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:s, s:o}", "host", host, "port",
                          (int)strtol(port, NULL, 10), "database", a->database, "username", a->role,
                          "password", a->password, "schemaName", a->schema, "sslMode", mode,
                          "connectionString", url);
    PQconninfoFree(words);
    return o;
}

static enum fail not_reachable(struct fault *fault)
{
    return fault_set(fault, FAIL_CONFLICT, "database_not_reachable",
                     "This server keeps plugins' data in a PostgreSQL of its own that no network "
                     "leads to. On the server's machine, `stoa db APP` opens psql in it; `stoa "
                     "data APP TABLE --csv` gives a table's rows anywhere.");
}

// For psql beside the server: also whose rows it is to see.
static enum fail add_session(struct call *call, const struct managed_db_access *a, json_t *to,
                             struct fault *fault)
{
    char owner[37];
    enum fail fail = managed_db_query_owner(call->db, a->project_id, owner, fault);
    if (fail == FAIL_NONE) {
        json_object_set_new(to, "userId", json_string(owner));
        json_object_set_new(to, "pluginId", json_string(a->plugin_id));
    }
    return fail;
}

static enum fail get_credentials(struct call *call, struct answer *answer, struct fault *fault)
{
    struct managed_db_access access = {0};
    struct managed_db_link link = {0};
    bool is_local = false;
    json_t *credentials = NULL;
    enum fail fail = call_query_bool(call, "local", false, &is_local, fault);
    if (fail == FAIL_NONE)
        fail = find_access(call, &access, fault);
    if (fail == FAIL_NONE && managed_db_options()->is_private && !is_local)
        fail = not_reachable(fault);
    if (fail == FAIL_NONE) // what is told must work: a role may have changed its password
        fail = managed_db_session_open(call->db, &access, &link, fault);
    managed_db_link_close(&link);
    if (fail == FAIL_NONE)
        credentials = credentials_json(&access);
    if (fail == FAIL_NONE && is_local)
        fail = add_session(call, &access, credentials, fault);
    if (fail == FAIL_NONE)
        fail = audit_alone(call, "database.credentials", access.plugin_id, fault);
    if (fail == FAIL_NONE)
        answer->json = json_pack("{s:O}", "credentials", credentials);
    json_decref(credentials);
    explicit_bzero(&access, sizeof access);
    return fail;
}

// The cluster last: until the commit the row's lock keeps others from the old password's repair.
static enum fail change_password(struct call *call, const struct managed_db_access *access,
                                 struct managed_db_place *place, struct fault *fault)
{
    struct managed_db_link link = {0};
    managed_db_password_make(place->password);
    enum fail fail = db_begin(call->db, fault);
    if (fail == FAIL_NONE)
        fail = managed_db_query_password(call->db, place, place->password, fault);
    if (fail == FAIL_NONE)
        fail = audit(call, "database.password", access->plugin_id, fault);
    if (fail == FAIL_NONE)
        fail = managed_db_provision_open(call->db, NULL, &link, fault);
    if (fail == FAIL_NONE)
        fail = managed_db_cluster_reset(&link, place, false, fault);
    managed_db_link_close(&link);
    return fail == FAIL_NONE ? db_commit(call->db, fault) : fail;
}

static enum fail regenerate_password(struct call *call, struct answer *answer, struct fault *fault)
{
    struct managed_db_access access = {0};
    struct managed_db_place place = {0};
    enum fail fail = find_access(call, &access, fault);
    if (fail == FAIL_NONE)
        fail = managed_db_query_place(call->db, access.project_id, access.plugin_id, &place, fault);
    if (fail == FAIL_NONE)
        fail = change_password(call, &access, &place, fault);
    if (fail == FAIL_NONE) {
        memcpy(access.password, place.password, sizeof access.password);
        answer->json =
            json_pack("{s:b, s:o}", "regenerated", true, "credentials",
                      managed_db_options()->is_private ? json_null() : credentials_json(&access));
    }
    explicit_bzero(&access, sizeof access);
    explicit_bzero(&place, sizeof place);
    return fail;
}

// --- what is in it ---

static json_t *stats_json(const struct managed_db_access *access, const PGresult *r)
{
    json_int_t total = 0;
    json_t *tables = json_array();
    for (int i = 0; i != PQntuples(r); ++i) {
        json_int_t bytes = atoll(PQgetvalue(r, i, 1));
        total += bytes;
        json_array_append_new(
            tables, json_pack("{s:s, s:I}", "name", PQgetvalue(r, i, 0), "sizeBytes", bytes));
    }
    return json_pack("{s:s, s:i, s:I, s:o}", "schemaName", access->schema, "tableCount",
                     PQntuples(r), "totalSizeBytes", total, "tables", tables);
}

// What the quota is measured by: the project's whole database.
static enum fail add_quota(const struct managed_db_access *access, json_t *stats,
                           struct fault *fault)
{
    struct db *control = NULL;
    uint64_t bytes = 0;
    enum fail fail = managed_db_control_open(&control, fault);
    if (fail == FAIL_NONE)
        fail = managed_db_database_bytes(control, access->database, &bytes, fault);
    db_close(control);
    if (fail != FAIL_NONE)
        return fail;
    json_object_set_new(stats, "projectSizeBytes", json_integer((json_int_t)bytes));
    json_object_set_new(stats, "projectQuotaBytes",
                        json_integer((json_int_t)managed_db_options()->project_bytes));
    return FAIL_NONE;
}

static enum fail get_stats(struct call *call, struct answer *answer, struct fault *fault)
{
    struct managed_db_access access = {0};
    struct managed_db_link link = {0};
    PGresult *r = NULL;
    json_t *stats = NULL;
    enum fail fail = find_access(call, &access, fault);
    if (fail == FAIL_NONE)
        fail = managed_db_session_open(call->db, &access, &link, fault);
    if (fail == FAIL_NONE)
        fail = managed_db_tables_stats(&link, &r, fault);
    if (fail == FAIL_NONE)
        stats = stats_json(&access, r);
    PQclear(r);
    managed_db_link_close(&link);
    if (fail == FAIL_NONE)
        fail = add_quota(&access, stats, fault);
    if (fail == FAIL_NONE)
        answer->json = json_pack("{s:O}", "stats", stats);
    json_decref(stats);
    explicit_bzero(&access, sizeof access);
    return fail;
}

static enum fail get_rows(struct call *call, struct answer *answer, struct fault *fault)
{
    struct managed_db_access access = {0};
    struct managed_db_link link = {0};
    unsigned limit = 0;
    AUTOFREE char *table = str_dup(call->params[1]);
    enum fail fail = call_limit(call, &limit, fault);
    if (fail == FAIL_NONE)
        fail = find_access(call, &access, fault);
    if (fail == FAIL_NONE)
        fail = managed_db_session_open(call->db, &access, &link, fault);
    if (fail == FAIL_NONE)
        fail = managed_db_grid_page(&link, access.schema, table, call_query(call, "cursor"), limit,
                                    &answer->json, fault);
    managed_db_link_close(&link);
    explicit_bzero(&access, sizeof access);
    return fail;
}

// --- the table ---

static const struct endpoint_field page_fields[] = {
    {"limit", "integer", false, "How many to show, 1 to 100; 50 when left out."},
    {"cursor", "string", false, "`next` or `previous` of another page."},
    {0},
};
static const struct endpoint_field credentials_fields[] = {
    {"local", "boolean", false,
     "For a psql on the server's own machine: the socket of a private PostgreSQL too."},
    {0},
};

static const struct endpoint endpoints[] = {
    {.method = "POST",
     .path = "/api/plugins/:plugin/database",
     .id = "createDatabase",
     .summary = "Makes the plugin's database, unless it is there: a role and a schema of its own.",
     .scope = SCOPE_DEPLOY,
     .permission = PERMISSION_BUILD,
     .lane = LANE_DATA,
     .answer = "PluginDatabase",
     .success = 200,
     .codes = "plugin_not_found managed_db_unavailable too_many_waiting",
     .run = create_database},
    {.method = "GET",
     .path = "/api/plugins/:plugin/database/credentials",
     .id = "getDatabaseCredentials",
     .summary = "How to enter the plugin's database with a PostgreSQL client.",
     .scope = SCOPE_ADMIN,
     .query = credentials_fields,
     .answer = "DatabaseCredentials",
     .success = 200,
     .codes = "plugin_not_found database_not_found database_not_reachable managed_db_unavailable",
     .run = get_credentials},
    {.method = "POST",
     .path = "/api/plugins/:plugin/database/regenerate-password",
     .id = "regenerateDatabasePassword",
     .summary = "Gives the plugin's role a new password; the old one opens nothing any more.",
     .scope = SCOPE_ADMIN,
     .lane = LANE_DATA,
     .answer = "RegeneratedPassword",
     .success = 200,
     .codes = "plugin_not_found database_not_found managed_db_unavailable too_many_waiting",
     .run = regenerate_password},
    {.method = "GET",
     .path = "/api/plugins/:plugin/database/stats",
     .id = "getDatabaseStats",
     .summary = "The tables of the plugin's database and what they take.",
     .scope = SCOPE_READ,
     .permission = PERMISSION_READ_DATA,
     .lane = LANE_DATA,
     .answer = "DatabaseStats",
     .success = 200,
     .codes = "plugin_not_found database_not_found managed_db_unavailable too_many_waiting",
     .run = get_stats},
    {.method = "GET",
     .path = "/api/plugins/:plugin/database/tables/:table/rows",
     .id = "listTableRows",
     .summary = "Rows of a table, as the project's owner sees them.",
     .scope = SCOPE_READ,
     .permission = PERMISSION_READ_DATA,
     .query = page_fields,
     .lane = LANE_DATA,
     .answer = "TableRows",
     .success = 200,
     .codes = "plugin_not_found database_not_found table_not_found invalid_cursor table_unreadable "
              "managed_db_unavailable too_many_waiting",
     .run = get_rows},
};

#define TEXT "{\"type\":\"string\"}"
#define TEXT_OR_NULL "{\"type\":[\"string\",\"null\"]}"
#define WHOLE "{\"type\":\"integer\"}"
#define CREDENTIALS                                                                                \
    "\"required\":[\"host\",\"port\",\"database\",\"username\",\"password\",\"schemaName\","       \
    "\"sslMode\",\"connectionString\"],\"properties\":{\"host\":" TEXT ",\"port\":" WHOLE          \
    ",\"database\":" TEXT ",\"username\":" TEXT ",\"password\":" TEXT ",\"schemaName\":" TEXT      \
    ",\"sslMode\":" TEXT ",\"connectionString\":" TEXT_OR_NULL ",\"userId\":" TEXT                 \
    ",\"pluginId\":" TEXT "}"

static const char schemas[] =
    "{\"PluginDatabase\":{\"type\":\"object\",\"required\":[\"database\"],\"properties\":{"
    "\"database\":{\"type\":\"object\",\"required\":[\"database\",\"username\",\"schemaName\","
    "\"reachable\"],\"properties\":{\"database\":" TEXT ",\"username\":" TEXT
    ",\"schemaName\":" TEXT ",\"reachable\":{\"type\":\"boolean\"}}}}},"
    "\"DatabaseCredentials\":{\"type\":\"object\",\"required\":[\"credentials\"],\"properties\":{"
    "\"credentials\":{\"type\":\"object\"," CREDENTIALS "}}},"
    "\"RegeneratedPassword\":{\"type\":\"object\",\"required\":[\"regenerated\",\"credentials\"],"
    "\"properties\":{\"regenerated\":{\"type\":\"boolean\"},\"credentials\":{\"type\":[\"object\","
    "\"null\"]," CREDENTIALS "}}},"
    "\"DatabaseStats\":{\"type\":\"object\",\"required\":[\"stats\"],\"properties\":{\"stats\":{"
    "\"type\":\"object\",\"required\":[\"schemaName\",\"tableCount\",\"totalSizeBytes\","
    "\"tables\"],\"properties\":{\"schemaName\":" TEXT ",\"tableCount\":" WHOLE
    ",\"totalSizeBytes\":" WHOLE ",\"projectSizeBytes\":" WHOLE ",\"projectQuotaBytes\":" WHOLE
    ",\"tables\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":[\"name\","
    "\"sizeBytes\"],\"properties\":{\"name\":" TEXT ",\"sizeBytes\":" WHOLE "}}}}}}},"
    "\"TableRows\":{\"type\":\"object\",\"required\":[\"columns\",\"rows\",\"next\",\"previous\"],"
    "\"properties\":{\"columns\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":["
    "\"name\",\"type\"],\"properties\":{\"name\":" TEXT ",\"type\":" TEXT "}}},"
    "\"rows\":{\"type\":\"array\",\"items\":{\"type\":\"array\",\"items\":" TEXT_OR_NULL "}},"
    "\"next\":" TEXT_OR_NULL ",\"previous\":" TEXT_OR_NULL "}}}";

struct service *managed_db_service(void)
{
    static struct service service = {.name = "managed_db",
                                     .endpoints = endpoints,
                                     .endpoint_count = sizeof endpoints / sizeof endpoints[0],
                                     .schemas = schemas};
    catalog_hooks_add(&managed_db_hooks);
    return &service;
}
