// The manifest's tables: what is missing is made, nothing is dropped or altered. Each step that
// PostgreSQL refuses is a warning that names table and column; the next table is tried all the same.
#include <stdio.h>
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"
#include "edge/base/log.h"
#include "public-actions/managed_db/definition.h"
#include "public-actions/managed_db/tables.h"

enum { TEXT_OID = 25, VARCHAR_OID = 1043, BPCHAR_OID = 1042 };

struct sync {
    struct managed_db_link link;
    const char *schema;
    struct problems *warnings;
    uint64_t deadline;
    struct fault fault;
};

// Deploy answers show messages alone: the place stands in it.
static void warn(struct sync *s, const char *table, const char *column, const char *what)
{
    char section[96], place[96];
    snprintf(section, sizeof section, "database: %s%s%s", table, column != NULL ? "." : "",
             column != NULL ? column : "");
    snprintf(place, sizeof place, "%s%s%s", table, column != NULL ? "." : "",
             column != NULL ? column : "");
    problems_add(s->warnings, 0, 0, section, "Table %s: %s", QUOTED(str_from(place)), what);
}

// True when it went well; otherwise says so with PostgreSQL's words, which the owner's own SQL
// brought about.
static bool is_done(struct sync *s, enum fail fail, const char *table, const char *column,
                    const char *what)
{
    char text[320], quoted[200];
    if (fail == FAIL_NONE)
        return true;
    if (fail == FAIL_REFUSED && s->link.message[0] != '\0')
        snprintf(text, sizeof text, "%s: PostgreSQL says %s.", what,
                 problem_quote(quoted, sizeof quoted, str_from(s->link.message)));
    else
        snprintf(text, sizeof text, "%s: %s", what, s->fault.public_text);
    warn(s, table, column, text);
    return false;
}

static str text_of(const json_t *value)
{
    return str_of(json_string_value(value), json_string_length(value));
}

static bool is_text_type(Oid type)
{
    return type == TEXT_OID || type == VARCHAR_OID || type == BPCHAR_OID;
}

static enum fail isolate(struct sync *s, const char *table, const char *column,
                         const json_t *definition)
{
    Oid type = InvalidOid;
    int modifier;
    enum fail fail = managed_db_tables_type(
        &s->link, managed_db_definition_type(text_of(definition)), &type, &modifier, &s->fault);
    if (fail == FAIL_NONE)
        fail = managed_db_tables_isolate(&s->link, s->schema, table, column, is_text_type(type),
                                         &s->fault);
    return fail;
}

// A transaction around it, so that no row is ever seen without its policy.
static void make_table(struct sync *s, const char *table, json_t *columns, const char *rls)
{
    struct managed_db_link told;
    const char *culprit = NULL;
    enum fail fail = managed_db_tables_begin(&s->link, &s->fault);
    if (fail == FAIL_NONE)
        fail = managed_db_tables_create(&s->link, s->schema, table, columns, &culprit, &s->fault);
    if (fail == FAIL_NONE && rls != NULL)
        fail = isolate(s, table, rls, json_object_get(columns, rls));
    told = s->link; // the end's own words matter only when it fails
    bool is_good = fail == FAIL_NONE;
    struct fault end_fault;
    enum fail end =
        s->link.conn != NULL ? managed_db_tables_end(&s->link, is_good, &end_fault) : FAIL_BUSY;
    if (is_good && end != FAIL_NONE) {
        fail = end;
        s->fault = end_fault;
    } else {
        memcpy(s->link.message, told.message, sizeof told.message);
    }
    (void)is_done(s, fail, table, culprit, "it could not be made");
}

static void compare(struct sync *s, const char *table, const char *column, str definition,
                    const struct managed_db_column_seen *seen)
{
    Oid type;
    int modifier;
    char text[320];
    enum fail fail = managed_db_tables_type(&s->link, managed_db_definition_type(definition), &type,
                                            &modifier, &s->fault);
    if (!is_done(s, fail, table, column, "its type cannot be read"))
        return;
    if (type == seen->type && modifier == seen->modifier)
        return;
    snprintf(text, sizeof text,
             "the column has the type %s, the manifest says %s. It was left as it is; alter it "
             "yourself if you mean to.",
             QUOTED(str_from(seen->shown)), QUOTED(managed_db_definition_type(definition)));
    warn(s, table, column, text);
}

static void mend_column(struct sync *s, const char *table, const char *oid, const char *column,
                        const json_t *definition)
{
    struct managed_db_column_seen seen;
    enum fail fail = managed_db_tables_column(&s->link, oid, column, &seen, &s->fault);
    if (!is_done(s, fail, table, column, "the column could not be looked at"))
        return;
    if (seen.exists) {
        compare(s, table, column, text_of(definition), &seen);
        return;
    }
    fail = managed_db_tables_add(&s->link, s->schema, table, column, json_string_value(definition),
                                 &s->fault);
    (void)is_done(s, fail, table, column, "the column could not be added");
}

// A column's default is the plugin's own SQL, and may take as long as a statement may, row by row.
static bool is_time_left(struct sync *s, const char *table, const char *column)
{
    if (s->link.conn != NULL && clock_monotonic_ms() < s->deadline)
        return true;
    warn(s, table, column, "there was no time left for it; deploy again.");
    return false;
}

static void mend_table(struct sync *s, const char *table, json_t *columns, const char *rls,
                       const struct managed_db_table_seen *seen)
{
    const char *column;
    json_t *definition;
    json_object_foreach(columns, column, definition)
    {
        if (!is_time_left(s, table, column))
            return;
        mend_column(s, table, seen->oid, column, definition);
    }
    if (rls == NULL || (seen->has_rls && seen->has_policy))
        return;
    if (seen->has_policy) {
        warn(s, table, NULL, "row-level security is switched off, though the manifest says rls.");
        return;
    }
    enum fail fail = managed_db_tables_begin(&s->link, &s->fault);
    if (fail == FAIL_NONE)
        fail = isolate(s, table, rls, json_object_get(columns, rls));
    bool is_good = is_done(s, fail, table, rls, "row-level security could not be set up");
    if (s->link.conn != NULL)
        (void)is_done(s, managed_db_tables_end(&s->link, is_good, &s->fault), table, rls,
                      "row-level security could not be set up");
}

static void sync_table(struct sync *s, const char *table, json_t *definition)
{
    struct managed_db_table_seen seen;
    json_t *columns = json_object_get(definition, "columns");
    const char *rls = json_string_value(json_object_get(definition, "rls"));
    enum fail fail = managed_db_tables_look(&s->link, table, &seen, &s->fault);
    if (!is_done(s, fail, table, NULL, "it could not be looked at"))
        return;
    if (!seen.exists)
        make_table(s, table, columns, rls);
    else if (seen.is_table)
        mend_table(s, table, columns, rls, &seen);
    else
        warn(s, table, NULL, "there is something else of that name, which is no table.");
}

static void sync_all(struct sync *s, json_t *tables)
{
    const char *name;
    json_t *table;
    json_object_foreach(tables, name, table)
    {
        if (!is_time_left(s, name, NULL))
            return;
        sync_table(s, name, table);
    }
}

static void say_not_made(struct problems *warnings, const char *plugin_id,
                         const struct fault *fault)
{
    log_warn("a plugin's tables could not be made", "plugin=%s code=%s reason=%s", plugin_id,
             fault->code, LOG_STR(str_from(fault->log_text)));
    problems_add(warnings, 0, 0, "database",
                 "The tables could not be made: %s Deploy again to make them.", fault->public_text);
}

void managed_db_sync(struct db *db, const char *project_id, const char *plugin_id,
                     const json_t *front, struct problems *warnings)
{
    struct managed_db_access access;
    struct problems wrong;
    struct sync s = {.warnings = warnings,
                     .deadline = clock_monotonic_ms() + managed_db_options()->sync_ms};
    json_t *tables =
        json_object_get(json_object_get(json_object_get(front, "manifest"), "database"), "tables");
    if (json_object_size(tables) == 0)
        return;
    problems_init(&wrong);
    managed_db_check(front, &wrong); // of a deployment from before a rule
    bool is_fit = wrong.count == 0;
    problems_fini(&wrong);
    if (!is_fit) {
        problems_add(warnings, 0, 0, "database", "The tables were not made: deploy again.");
        return;
    }
    bool is_made;
    enum fail fail = managed_db_access_bare(db, project_id, plugin_id, &access, &is_made, &s.fault);
    if (fail == FAIL_NONE)
        fail = managed_db_session_open(db, &access, &s.link, &s.fault);
    s.schema = access.schema;
    if (fail == FAIL_NONE)
        sync_all(&s, tables);
    else
        say_not_made(warnings, plugin_id, &s.fault);
    managed_db_link_close(&s.link);
    explicit_bzero(&access, sizeof access);
}
