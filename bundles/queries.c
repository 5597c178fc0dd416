// The SQL of serving: what the cache is filled from. A deployment never changes, so reading the
// pointer first and then that deployment's rows can give no mix of two; one that is deleted in
// between has fewer rows than it says, and is then not found.
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include "bundles/internal.h"
#include "edge/base/jsonx.h"

#define HEAD(since)                                                                                \
    "select d.id, d.plugin_id, i.id, p.slug, i.slug,"                                              \
    " floor(extract(epoch from " since "))::bigint, d.config::text, d.file_count "

static const char sql_current[] =
    HEAD("b.activated_at") "from instances i join plugins p on p.id = i.plugin_id"
                           " join bundle_instances b on b.instance_id = i.id"
                           " join bundle_deployments d on d.id = b.deployment_id where i.slug = $1";
static const char sql_named[] =
    HEAD("d.created_at") "from instances i join plugins p on p.id = i.plugin_id"
                         " join bundle_deployments d on d.plugin_id = i.plugin_id where i.slug = "
                         "$1 and d.id = $2";
static const char sql_preview[] =
    HEAD("d.created_at") "from bundle_deployments d join plugins p on p.id = d.plugin_id"
                         " join instances i on i.plugin_id = p.id and i.project_id = p.project_id "
                         "where d.id = $1"
                         " order by i.created_at, i.id limit 1";
static const char sql_files[] =
    "select path, content_type, immutable, encode(sha256, 'hex'), size,"
    " encode(br_sha256, 'hex'), br_size, encode(zstd_sha256, 'hex'), zstd_size,"
    " encode(gzip_sha256, 'hex'), gzip_size from bundle_files where deployment_id = $1"
    " order by path";

void deployment_row_fini(struct deployment_row *row)
{
    json_decref(row->config);
    free(row->files);
    free(row->_arena);
    *row = (struct deployment_row){0};
}

static void *zeroed(size_t n)
{
    void *p = calloc(1, n);
    if (p == NULL)
        abort();
    return p;
}

static enum fail no_app(struct fault *fault)
{
    return fault_set(fault, FAIL_NOT_FOUND, "not_found", "There is no app here.");
}

static void copy(char *to, size_t room, str s)
{
    snprintf(to, room, "%.*s", STR_FMT(s));
}

static enum fail read_head(const struct db_rows *rows, struct deployment_row *ret,
                           struct fault *fault)
{
    if (db_count(rows) == 0 || db_is_null(rows, 0, 6))
        return no_app(fault);
    copy(ret->id, sizeof ret->id, db_get(rows, 0, 0));
    copy(ret->plugin_id, sizeof ret->plugin_id, db_get(rows, 0, 1));
    copy(ret->instance_id, sizeof ret->instance_id, db_get(rows, 0, 2));
    copy(ret->plugin_slug, sizeof ret->plugin_slug, db_get(rows, 0, 3));
    copy(ret->instance_slug, sizeof ret->instance_slug, db_get(rows, 0, 4));
    ret->shown_since = db_get_int(rows, 0, 5);
    ret->file_count = (size_t)db_get_int(rows, 0, 7);
    ret->config = jsonx_parse(db_get(rows, 0, 6), fault);
    return ret->config != NULL ? FAIL_NONE : FAIL_INTERNAL;
}

static str keep(char **arena, str s)
{
    str kept = {*arena, s.n};
    memcpy(*arena, s.p, s.n);
    *arena += s.n;
    return kept;
}

static bool read_file(const struct db_rows *rows, size_t row, char **arena, struct bundle_file *ret)
{
    ret->path = keep(arena, db_get(rows, row, 0));
    ret->content_type = keep(arena, db_get(rows, row, 1));
    ret->is_immutable = db_get_bool(rows, row, 2);
    for (enum encoding e = 0; e < ENCODINGS; e++) { // their columns stand in the order of the enum
        size_t column = 3 + 2 * (size_t)e;
        ret->has[e] = !db_is_null(rows, row, column);
        if (!ret->has[e])
            continue;
        if (!digest_from_hex(db_get(rows, row, column), &ret->sha256[e]))
            return false;
        ret->size[e] = (uint64_t)db_get_int(rows, row, column + 1);
    }
    return ret->has[ENCODING_IDENTITY];
}

static enum fail read_files(const struct db_rows *rows, struct deployment_row *ret,
                            struct fault *fault)
{
    size_t count = db_count(rows), bytes = 1;
    if (count != ret->file_count)
        return no_app(fault);
    for (size_t i = 0; i < count; i++)
        bytes += db_get(rows, i, 0).n + db_get(rows, i, 1).n;
    char *arena = ret->_arena = zeroed(bytes);
    ret->files = zeroed((count + 1) * sizeof *ret->files);
    for (size_t i = 0; i < count; i++)
        if (!read_file(rows, i, &arena, &ret->files[i])) {
            fault_log(fault, "bundle_files of %s: a row without a digest", ret->id);
            return fault_set(fault, FAIL_INTERNAL, "internal", "This app cannot be read.");
        }
    return FAIL_NONE;
}

// Takes nothing: the caller frees `head`.
static enum fail load_rest(struct db *db, const struct db_rows *head, struct deployment_row *ret,
                           struct fault *fault)
{
    DB_ROWS_AUTO files = NULL;
    *ret = (struct deployment_row){0};
    enum fail f = read_head(head, ret, fault);
    if (f == FAIL_NONE)
        f = db_query(db, fault, &files, sql_files, db_text(ret->id));
    if (f == FAIL_NONE)
        f = read_files(files, ret, fault);
    if (f != FAIL_NONE)
        deployment_row_fini(ret);
    return f;
}

enum fail bundle_load(struct db *db, str instance_slug, str deployment_id,
                      struct deployment_row *ret, struct fault *fault)
{
    DB_ROWS_AUTO head = NULL;
    enum fail f =
        deployment_id.n == 0
            ? db_query(db, fault, &head, sql_current, db_str(instance_slug))
            : db_query(db, fault, &head, sql_named, db_str(instance_slug), db_str(deployment_id));
    return f == FAIL_NONE ? load_rest(db, head, ret, fault) : f;
}

enum fail bundle_load_preview(struct db *db, str deployment_id, struct deployment_row *ret,
                              struct fault *fault)
{
    DB_ROWS_AUTO head = NULL;
    enum fail f = db_query(db, fault, &head, sql_preview, db_str(deployment_id));
    return f == FAIL_NONE ? load_rest(db, head, ret, fault) : f;
}

enum fail bundle_current(struct db *db, const char (*instance_ids)[CATALOG_ID_ROOM], size_t count,
                         struct deployment_pointer *ret, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    struct buf list; // ids are letters, digits and '_': no array literal needs more than commas
    buf_init(&list, count * CATALOG_ID_ROOM + 3);
    buf_addc(&list, '{');
    for (size_t i = 0; i < count; i++)
        buf_addf(&list, "%s%s", i == 0 ? "" : ",", instance_ids[i]);
    buf_addc(&list, '}');
    enum fail f = db_query(db, fault, &rows,
                           "select coalesce(b.deployment_id, ''),"
                           " coalesce(floor(extract(epoch from b.activated_at))::bigint, 0)"
                           " from unnest($1::text[]) with ordinality as x (id, n)"
                           " left join bundle_instances b on b.instance_id = x.id order by x.n",
                           db_str(buf_str(&list)));
    buf_fini(&list);
    if (f != FAIL_NONE)
        return f;
    assert(db_count(rows) == count);
    for (size_t i = 0; i < count; i++) {
        copy(ret[i].id, sizeof ret[i].id, db_get(rows, i, 0));
        ret[i].shown_since = db_get_int(rows, i, 1);
    }
    return FAIL_NONE;
}
