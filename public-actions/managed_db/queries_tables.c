// What is said over a connection that is logged in as the plugin's own role (security-rules.md 7).
// Catalogues are named with their schema: the role may have put others in its path.
#include "public-actions/managed_db/tables.h"
#include <stdio.h>
#include <stdlib.h>

enum { SQL_MAX = 1 << 20 };

// What the role has set for itself at login does not hold here.
enum fail managed_db_tables_prepare(struct managed_db_link *link, const char *user_id,
                                    const char *plugin_id, struct fault *fault)
{
    const char *values[] = {user_id, plugin_id};
    return managed_db_link_run(link, NULL,
                               "select pg_catalog.set_config('statement_timeout', '10s', false),"
                               " pg_catalog.set_config('lock_timeout', '5s', false),"
                               " pg_catalog.set_config('default_transaction_read_only', 'off',"
                               " false), pg_catalog.set_config('search_path', '\"$user\"', false),"
                               " pg_catalog.set_config('row_security', 'on', false),"
                               " pg_catalog.set_config('app.user_id', $1, false),"
                               " pg_catalog.set_config('app.plugin_id', $2, false)",
                               values, 2, fault);
}

#define TABLE_OF_NAME                                                                              \
    " pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace"              \
    " where n.nspname operator(pg_catalog.=) current_user"

enum fail managed_db_tables_look(struct managed_db_link *link, const char *table,
                                 struct managed_db_table_seen *ret, struct fault *fault)
{
    PGresult *r;
    enum fail fail = managed_db_link_run(
        link, &r,
        "select c.oid, c.relkind in ('r', 'p'), c.relrowsecurity,"
        " exists (select from pg_catalog.pg_policy p where p.polrelid operator(pg_catalog.=) c.oid)"
        " from" TABLE_OF_NAME " and c.relname operator(pg_catalog.=) $1::name",
        &table, 1, fault);
    *ret = (struct managed_db_table_seen){0};
    if (fail != FAIL_NONE)
        return fail;
    ret->exists = PQntuples(r) == 1;
    if (ret->exists) {
        snprintf(ret->oid, sizeof ret->oid, "%s", PQgetvalue(r, 0, 0));
        ret->is_table = *PQgetvalue(r, 0, 1) == 't';
        ret->has_rls = *PQgetvalue(r, 0, 2) == 't';
        ret->has_policy = *PQgetvalue(r, 0, 3) == 't';
    }
    PQclear(r);
    return FAIL_NONE;
}

enum fail managed_db_tables_column(struct managed_db_link *link, const char *oid,
                                   const char *column, struct managed_db_column_seen *ret,
                                   struct fault *fault)
{
    PGresult *r;
    const char *values[] = {oid, column};
    enum fail fail = managed_db_link_run(
        link, &r,
        "select atttypid, atttypmod, pg_catalog.format_type(atttypid, atttypmod)"
        " from pg_catalog.pg_attribute where attrelid operator(pg_catalog.=) $1::oid"
        " and attname operator(pg_catalog.=) $2::name and attnum operator(pg_catalog.>) 0"
        " and not attisdropped",
        values, 2, fault);
    *ret = (struct managed_db_column_seen){0};
    if (fail != FAIL_NONE)
        return fail;
    ret->exists = PQntuples(r) == 1;
    if (ret->exists) {
        ret->type = (Oid)strtoul(PQgetvalue(r, 0, 0), NULL, 10);
        ret->modifier = (int)strtol(PQgetvalue(r, 0, 1), NULL, 10);
        snprintf(ret->shown, sizeof ret->shown, "%s", PQgetvalue(r, 0, 2));
    }
    PQclear(r);
    return FAIL_NONE;
}

// Only described: no row is asked for.
enum fail managed_db_tables_type(struct managed_db_link *link, str type, Oid *ret_type,
                                 int *ret_modifier, struct fault *fault)
{
    struct buf sql;
    PGresult *r;
    buf_init(&sql, SQL_MAX);
    buf_addf(&sql, "select null::%.*s where false", STR_FMT(type));
    AUTOFREE char *text = buf_take(&sql);
    enum fail fail = managed_db_link_run(link, &r, text, NULL, 0, fault);
    if (fail != FAIL_NONE)
        return fail;
    *ret_type = PQnfields(r) == 1 ? PQftype(r, 0) : InvalidOid;
    *ret_modifier = PQnfields(r) == 1 ? PQfmod(r, 0) : -1;
    PQclear(r);
    return FAIL_NONE;
}

// --- definitions ---

static void add_name(struct buf *to, struct managed_db_link *link, const char *name)
{
    char *quoted = managed_db_link_quote(link, name);
    buf_add(to, str_from(quoted));
    PQfreemem(quoted);
}

static void add_table(struct buf *to, struct managed_db_link *link, const char *schema,
                      const char *table)
{
    add_name(to, link, schema);
    buf_addc(to, '.');
    add_name(to, link, table);
}

static size_t characters(str s)
{
    size_t n = 0;
    for (size_t i = 0; i != s.n; ++i)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

static enum fail run_built(struct managed_db_link *link, struct buf *sql, struct fault *fault)
{
    bool is_full = sql->full;
    AUTOFREE char *text = buf_take(sql);
    if (is_full)
        return fault_set(fault, FAIL_REFUSED, "managed_db_refused", "It is too long.");
    return managed_db_link_run(link, NULL, text, NULL, 0, fault);
}

enum fail managed_db_tables_create(struct managed_db_link *link, const char *schema,
                                   const char *table, json_t *columns, const char **ret_culprit,
                                   struct fault *fault)
{
    struct buf sql;
    const char *name;
    json_t *definition;
    size_t i = 0, starts[MANAGED_DB_COLUMNS_MAX];
    const char *names[MANAGED_DB_COLUMNS_MAX];
    *ret_culprit = NULL;
    if (json_object_size(columns) > MANAGED_DB_COLUMNS_MAX)
        return fault_set(fault, FAIL_REFUSED, "managed_db_refused", "It has too many columns.");
    buf_init(&sql, SQL_MAX);
    buf_add(&sql, STR("CREATE TABLE "));
    add_table(&sql, link, schema, table);
    buf_add(&sql, STR(" ("));
    json_object_foreach(columns, name, definition)
    {
        names[i] = name;
        starts[i] = characters(buf_str(&sql));
        buf_add(&sql, i++ != 0 ? STR(", ") : STR(""));
        add_name(&sql, link, name);
        buf_addf(&sql, " %s", json_string_value(definition));
    }
    buf_addc(&sql, ')');
    enum fail fail = run_built(link, &sql, fault);
    while (fail == FAIL_REFUSED && i-- != 0 && *ret_culprit == NULL)
        if (link->position > starts[i])
            *ret_culprit = names[i];
    return fail;
}

enum fail managed_db_tables_add(struct managed_db_link *link, const char *schema, const char *table,
                                const char *column, const char *definition, struct fault *fault)
{
    struct buf sql;
    buf_init(&sql, SQL_MAX);
    buf_add(&sql, STR("ALTER TABLE "));
    add_table(&sql, link, schema, table);
    buf_add(&sql, STR(" ADD COLUMN "));
    add_name(&sql, link, column);
    buf_addf(&sql, " %s", definition);
    return run_built(link, &sql, fault);
}

static enum fail alter(struct managed_db_link *link, const char *schema, const char *table,
                       const char *what, struct fault *fault)
{
    struct buf sql;
    buf_init(&sql, SQL_MAX);
    buf_add(&sql, STR("ALTER TABLE "));
    add_table(&sql, link, schema, table);
    buf_add(&sql, str_from(what));
    return run_built(link, &sql, fault);
}

static void add_condition(struct buf *sql, struct managed_db_link *link, const char *column,
                          bool is_text)
{
    buf_addc(sql, '(');
    add_name(sql, link, column);
    buf_addf(sql, "%s = pg_catalog.current_setting('app.user_id', true))",
             is_text ? "" : "::pg_catalog.text");
}

static enum fail create_policy(struct managed_db_link *link, const char *schema, const char *table,
                               const char *column, bool is_text, struct fault *fault)
{
    struct buf sql;
    char name[64];
    snprintf(name, sizeof name, "%.48s_user_isolation", table);
    buf_init(&sql, SQL_MAX);
    buf_add(&sql, STR("CREATE POLICY "));
    add_name(&sql, link, name);
    buf_add(&sql, STR(" ON "));
    add_table(&sql, link, schema, table);
    buf_add(&sql, STR(" FOR ALL USING "));
    add_condition(&sql, link, column, is_text);
    buf_add(&sql, STR(" WITH CHECK "));
    add_condition(&sql, link, column, is_text);
    return run_built(link, &sql, fault);
}

enum fail managed_db_tables_isolate(struct managed_db_link *link, const char *schema,
                                    const char *table, const char *column, bool is_text,
                                    struct fault *fault)
{
    enum fail fail = alter(link, schema, table, " ENABLE ROW LEVEL SECURITY", fault);
    if (fail == FAIL_NONE)
        fail = alter(link, schema, table, " FORCE ROW LEVEL SECURITY", fault);
    return fail == FAIL_NONE ? create_policy(link, schema, table, column, is_text, fault) : fail;
}

enum fail managed_db_tables_begin(struct managed_db_link *link, struct fault *fault)
{
    return managed_db_link_run(link, NULL, "begin", NULL, 0, fault);
}

enum fail managed_db_tables_end(struct managed_db_link *link, bool is_good, struct fault *fault)
{
    return managed_db_link_run(link, NULL, is_good ? "commit" : "rollback", NULL, 0, fault);
}

// --- looking ---

enum fail managed_db_tables_stats(struct managed_db_link *link, PGresult **ret, struct fault *fault)
{
    return managed_db_link_run(
        link, ret,
        "select c.relname, pg_catalog.pg_total_relation_size(c.oid) from" TABLE_OF_NAME
        " and c.relkind in ('r', 'p', 'm') order by c.relname limit 1000",
        NULL, 0, fault);
}

// All that the role has made, wherever in this database.
enum fail managed_db_tables_drop_all(struct managed_db_link *link, struct fault *fault)
{
    return managed_db_link_run(link, NULL, "drop owned by current_user cascade", NULL, 0, fault);
}
