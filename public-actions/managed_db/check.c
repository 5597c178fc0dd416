// What can be said of a manifest's `database` without asking a database.
#include "public-actions/managed_db/managed_db.h"
#include <stdio.h>
#include "edge/base/jsonx.h"
#include "public-actions/managed_db/definition.h"

enum { NAME_BYTES_MAX = 63 }; // NAMEDATALEN - 1

static const char *name_problem(const char *name)
{
    size_t n = strlen(name);
    if (n == 0)
        return "A name must not be empty.";
    return n > NAME_BYTES_MAX ? "PostgreSQL's names have at most 63 bytes." : NULL;
}

static void check_column(const char *table, const char *name, const json_t *definition,
                         struct problems *problems)
{
    const char *why = name_problem(name);
    char section[96];
    snprintf(section, sizeof section, "manifest: database.tables.%s.columns", table);
    if (why != NULL)
        problems_add(problems, 0, 0, section, "%s: %s", QUOTED(str_from(name)), why);
    if (!json_is_string(definition)) {
        problems_add(problems, 0, 0, section, "%s must be a column's definition, such as \"text\".",
                     QUOTED(str_from(name)));
        return;
    }
    why = managed_db_definition_problem(
        str_of(json_string_value(definition), json_string_length(definition)));
    if (why != NULL)
        problems_add(problems, 0, 0, section, "The definition of %s %s", QUOTED(str_from(name)),
                     why);
}

static void check_table(const char *name, json_t *table, struct problems *problems)
{
    const char *why = name_problem(name), *column;
    json_t *definition, *columns = json_object_get(table, "columns");
    char section[96];
    snprintf(section, sizeof section, "manifest: database.tables.%s", name);
    if (why != NULL)
        problems_add(problems, 0, 0, section, "%s", why);
    if (!json_is_object(columns) || json_object_size(columns) == 0) {
        problems_add(problems, 0, 0, section, "A table needs columns: names and definitions.");
        return;
    }
    json_object_foreach(columns, column, definition)
        check_column(name, column, definition, problems);
    const json_t *rls = json_object_get(table, "rls");
    if (rls != NULL &&
        (!json_is_string(rls) || json_object_get(columns, json_string_value(rls)) == NULL))
        problems_add(problems, 0, 0, section, "rls must name one of the table's columns.");
}

void managed_db_check(const json_t *front, struct problems *problems)
{
    const char *name;
    json_t *table, *database = json_object_get(json_object_get(front, "manifest"), "database"),
                   *tables = json_object_get(database, "tables");
    if (database == NULL || tables == NULL)
        return;
    if (!json_is_object(tables)) {
        problems_add(problems, 0, 0, "manifest: database", "tables must be a map of tables.");
        return;
    }
    json_object_foreach(tables, name, table) check_table(name, table, problems);
}
