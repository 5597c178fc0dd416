// The catalogue's statements. A project sees of another's plugins what its platform offers it, and
// nothing else: every statement begins with the project that asks.
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/jsonx.h"
#include "embed/catalogue.h"

// clang-format off
#define MS(column) "(extract(epoch from " column ") * 1000)::bigint"
#define PIECE_COLUMNS \
    "p.id, p.project_id, p.slug, p.display_name, p.version, p.tier, " MS("p.created_at") ", " \
    MS("p.updated_at") ", coalesce(c.is_offered, false), to_json(coalesce(c.tags, '{}'))"
// What the platform of project $1 offers it.
#define OFFERED \
    " from projects o join platforms m on m.id = o.platform_id and m.owner_project_id <> o.id" \
    " join plugins p on p.project_id = m.owner_project_id" \
    " join pieces c on c.plugin_id = p.id and c.is_offered" \
    " where o.id = $1 and (o.pieces_filter = 'NONE' or c.tags && o.pieces_tags)"
#define OWN " from plugins p left join pieces c on c.plugin_id = p.id where p.project_id = $1"
#define ONWARDS \
    " and ($2::timestamptz is null or (p.created_at, p.id) < ($2, $3))" \
    " order by p.created_at desc, p.id desc limit $4"
#define BACK \
    " and ($2::timestamptz is null or (p.created_at, p.id) > ($2, $3))" \
    " order by p.created_at, p.id limit $4"
#define NAMED " and (p.id in (select json_array_elements_text($2::json))" \
    " or p.slug in (select json_array_elements_text($2::json)))"
// clang-format on

static void copy(char *to, size_t room, str s)
{
    snprintf(to, room, "%.*s", STR_FMT(s));
}

static struct plugin plugin_of(const struct db_rows *rows, size_t row)
{
    struct plugin p = {.created_at = db_get_int(rows, row, 6),
                       .updated_at = db_get_int(rows, row, 7)};
    copy(p.id, sizeof p.id, db_get(rows, row, 0));
    copy(p.project_id, sizeof p.project_id, db_get(rows, row, 1));
    copy(p.slug, sizeof p.slug, db_get(rows, row, 2));
    copy(p.display_name, sizeof p.display_name, db_get(rows, row, 3));
    copy(p.version, sizeof p.version, db_get(rows, row, 4));
    copy(p.tier, sizeof p.tier, db_get(rows, row, 5));
    return p;
}

static enum fail list_of(enum fail fail, const struct db_rows *rows, struct piece **ret,
                         size_t *ret_count)
{
    if (fail != FAIL_NONE)
        return fail;
    size_t n = db_count(rows);
    struct piece *list = calloc(n + 1, sizeof *list);
    if (list == NULL)
        abort();
    for (size_t i = 0; i != n; ++i)
        list[i] = (struct piece){.plugin = plugin_of(rows, i),
                                 .is_offered = db_get_bool(rows, i, 8),
                                 .tags = jsonx_parse(db_get(rows, i, 9), NULL)};
    *ret = list;
    *ret_count = n;
    return FAIL_NONE;
}

void pieces_free(struct piece *list, size_t count)
{
    for (size_t i = 0; i != count; ++i)
        json_decref(list[i].tags);
    free(list);
}

enum fail pieces_query_is_owner(struct db *db, const char *project_id, bool *ret,
                                struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = db_query(db, fault, &rows,
                              "select exists (select from platforms where owner_project_id = $1)",
                              db_text(project_id));
    if (fail == FAIL_NONE)
        *ret = db_get_bool(rows, 0, 0);
    return fail;
}

enum fail pieces_query_page(struct db *db, const char *project_id, bool all,
                            const struct page *page, struct piece **ret, size_t *ret_count,
                            struct fault *fault)
{
    static const char *const sql[2][2] = {
        {"select " PIECE_COLUMNS OFFERED ONWARDS, "select " PIECE_COLUMNS OFFERED BACK},
        {"select " PIECE_COLUMNS OWN ONWARDS, "select " PIECE_COLUMNS OWN BACK}};
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = db_query(db, fault, &rows, sql[all][page->goes_back], db_text(project_id),
                              page->has_key ? db_time(page->key.at) : DB_NULL,
                              db_text(page->key.id), db_int(page_fetch(page)));
    return list_of(fail, rows, ret, ret_count);
}

enum fail pieces_query_offered(struct db *db, const char *project_id, str ref, struct plugin *ret,
                               bool *ret_found, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = db_query(db, fault, &rows,
                              "select " PIECE_COLUMNS OFFERED " and (p.id = $2 or p.slug = $2)"
                              " order by p.id = $2 desc limit 1",
                              db_text(project_id), db_str(ref));
    *ret_found = fail == FAIL_NONE && db_count(rows) != 0;
    if (*ret_found)
        *ret = plugin_of(rows, 0);
    return fail;
}

enum fail pieces_query_usable(struct db *db, const char *project_id, struct piece **ret,
                              size_t *ret_count, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = db_query(
        db, fault, &rows,
        "with usable as (select p.id, 1 as place" OFFERED
        " union all select p.id, case when p.project_id = $1 then 3 else 2 end from instances i"
        " join plugins p on p.id = i.plugin_id where i.project_id = $1"
        " union all select p.id, 3 from plugins p where p.project_id = $1),"
        " best as (select id, min(place) as place from usable group by id)"
        " select " PIECE_COLUMNS ", b.place from best b join plugins p on p.id = b.id"
        " left join pieces c on c.plugin_id = p.id order by b.place, p.created_at, p.id limit $2",
        db_text(project_id), db_int(PIECES_USABLE_MAX));
    fail = list_of(fail, rows, ret, ret_count);
    for (size_t i = 0; fail == FAIL_NONE && i != *ret_count; ++i)
        (*ret)[i].place = (int)db_get_int(rows, i, 10);
    return fail;
}

enum fail pieces_query_named(struct db *db, const char *project_id, const json_t *refs,
                             struct piece **ret, size_t *ret_count, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    AUTOFREE char *text = jsonx_dump(refs, NULL);
    enum fail fail = db_query(db, fault, &rows, "select " PIECE_COLUMNS OWN NAMED " order by p.id",
                              db_text(project_id), db_text(text));
    return list_of(fail, rows, ret, ret_count);
}

// In the order of ids: of two changes at once one waits for the other.
enum fail pieces_query_change(struct db *db, const char *project_id, const json_t *refs,
                              const json_t *is_offered, const json_t *add, const json_t *remove,
                              int64_t *ret_most_tags, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    AUTOFREE char *named = jsonx_dump(refs, NULL), *more = jsonx_dump(add, NULL),
                  *less = jsonx_dump(remove, NULL);
    enum fail fail = db_query(
        db, fault, &rows,
        "with asked as (select array(select json_array_elements_text($4::json)) as more,"
        " array(select json_array_elements_text($5::json)) as less),"
        " changed as (insert into pieces as c (plugin_id, is_offered, tags)"
        " select p.id, coalesce($3::boolean, false), array(select distinct t from unnest(a.more) t"
        " where t <> all (a.less) order by t) from plugins p cross join asked a"
        " where p.project_id = $1" NAMED " order by p.id"
        " on conflict (plugin_id) do update set updated_at = now(),"
        " is_offered = coalesce($3::boolean, c.is_offered), tags = array(select distinct t from"
        " asked a, unnest(c.tags || a.more) t where t <> all (a.less) order by t)"
        " returning cardinality(c.tags) as tags)"
        " select coalesce(max(tags), 0) from changed",
        db_text(project_id), db_text(named),
        is_offered != NULL ? db_bool(json_is_true(is_offered)) : DB_NULL, db_text(more),
        db_text(less));
    if (fail == FAIL_NONE)
        *ret_most_tags = db_get_int(rows, 0, 0);
    return fail;
}

// --- apps ---

// clang-format off
#define APPS \
    "select i.id, i.slug, " MS("i.created_at") ", p.id, p.slug, p.display_name, p.version" \
    " from instances i join plugins p on p.id = i.plugin_id where i.project_id = $1"
// clang-format on

enum fail catalogue_query_apps(struct db *db, const char *project_id, const struct page *page,
                               struct db_rows **ret, struct fault *fault)
{
    static const char onwards[] =
        APPS " and ($2::timestamptz is null or (i.created_at, i.id) < ($2, $3))"
             " order by i.created_at desc, i.id desc limit $4";
    static const char back[] =
        APPS " and ($2::timestamptz is null or (i.created_at, i.id) > ($2, $3))"
             " order by i.created_at, i.id limit $4";
    return db_query(db, fault, ret, page->goes_back ? back : onwards, db_text(project_id),
                    page->has_key ? db_time(page->key.at) : DB_NULL, db_text(page->key.id),
                    db_int(page_fetch(page)));
}

enum fail catalogue_query_app(struct db *db, const char *project_id, str ref, struct db_rows **ret,
                              struct fault *fault)
{
    return db_query(db, fault, ret,
                    APPS " and (i.id = $2 or i.slug = $2) order by i.id = $2 desc limit 1",
                    db_text(project_id), db_str(ref));
}
