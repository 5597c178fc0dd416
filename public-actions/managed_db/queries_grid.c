// A page of a table for its owner's eyes: read-only, as the plugin's own role.
#include "public-actions/managed_db/grid.h"
#include <stdlib.h>

enum { SQL_MAX = 1 << 20 };

enum fail managed_db_grid_look(struct managed_db_link *link, const char *table, PGresult **ret,
                               struct fault *fault)
{
    enum fail fail = managed_db_link_run(link, NULL, "begin read only", NULL, 0, fault);
    if (fail != FAIL_NONE)
        return fail;
    return managed_db_link_run(
        link, ret,
        "select a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), c.relkind in ('r', 'm')"
        " from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid"
        " join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname operator(pg_catalog.=) current_user"
        " and c.relname operator(pg_catalog.=) $1::name and c.relkind in ('r', 'm', 'p', 'v')"
        " and a.attnum operator(pg_catalog.>) 0 and not a.attisdropped order by a.attnum",
        &table, 1, fault);
}

static void add_name(struct buf *to, struct managed_db_link *link, const char *name)
{
    char *quoted = managed_db_link_quote(link, name);
    buf_add(to, str_from(quoted));
    PQfreemem(quoted);
}

// Rows of a table are found again by where they lie (ctid), others by how many stand before them.
static void add_order(struct buf *sql, const struct managed_db_grid_wish *wish)
{
    if (!wish->has_places)
        buf_addf(sql, " offset $1::bigint limit %u", wish->limit);
    else if (wish->is_before)
        buf_addf(sql,
                 " where ctid operator(pg_catalog.<) $1::pg_catalog.tid order by ctid desc"
                 " limit %u",
                 wish->limit);
    else
        buf_addf(sql,
                 " where ctid operator(pg_catalog.>) $1::pg_catalog.tid order by ctid"
                 " limit %u",
                 wish->limit);
}

enum fail managed_db_grid_rows(struct managed_db_link *link, const char *schema, const char *table,
                               const PGresult *columns, const struct managed_db_grid_wish *wish,
                               PGresult **ret, struct fault *fault)
{
    struct buf sql;
    buf_init(&sql, SQL_MAX);
    buf_add(&sql, wish->has_places ? STR("select ctid::pg_catalog.text as place")
                                   : STR("select null::pg_catalog.text"));
    for (int i = 0; i != PQntuples(columns); ++i) {
        buf_add(&sql, STR(", pg_catalog.left("));
        add_name(&sql, link, PQgetvalue(columns, i, 0));
        buf_addf(&sql, "::pg_catalog.text, %u)", wish->cell_characters + 1);
    }
    buf_add(&sql, STR(" from "));
    add_name(&sql, link, schema);
    buf_addc(&sql, '.');
    add_name(&sql, link, table);
    add_order(&sql, wish);
    AUTOFREE char *text = buf_take(&sql);
    return managed_db_link_run(link, ret, text, &wish->from, 1, fault);
}
