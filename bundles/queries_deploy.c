// The statements behind deployments.h.
#include <stdio.h>
#include <stdlib.h>
#include "bundles/content_type.h"
#include "bundles/deployments.h"
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"
#include "edge/catalog/hooks.h"
#include "edge/store/blob.h"

enum { CODE_BYTES_MAX = 16 * 1024 * 1024 }; // far above any .pie_bytes

#define HEAD_COLUMNS                                                                               \
    "d.id, d.plugin_id, d.created_by, (extract(epoch from d.created_at) * 1000)::bigint, "         \
    "encode(d.content_sha256, 'hex'), "                                                            \
    "encode(d.source_sha256, 'hex'), encode(d.code_sha256, 'hex'), encode(d.widget_sha256, "       \
    "'hex'), d.config is not null, d.file_count, "                                                 \
    "d.total_bytes, exists (select from bundle_instances i where i.deployment_id = d.id), "        \
    "d.code_line, d.replaces"
enum { HEAD_COUNT = 14 };

void deployment_head_fini(struct deployment_head *h)
{
    json_decref(h->front);
    json_decref(h->config);
    h->front = h->config = NULL;
}

json_t *deployment_json(const struct deployment_head *h)
{
    char created[CLOCK_RFC3339_ROOM];
    clock_rfc3339(h->created_at, created);
    const char *replaces = h->replaces[0] != '\0' ? h->replaces : NULL;
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:b, s:b, s:s, s:s?}", "id", h->id, "pluginId",
                     h->plugin_id, "createdAt", created, "createdBy", h->created_by, "fileCount",
                     (json_int_t)h->file_count, "totalBytes", (json_int_t)h->total_bytes, "active",
                     h->is_active, "hasPublicApp", h->has_app, "source",
                     h->has_source ? "pie" : "archive", "replaces", replaces);
}

static void copy(char *to, size_t room, str s)
{
    snprintf(to, room, "%.*s", STR_FMT(s));
}

static bool get_digest(const struct db_rows *rows, size_t row, size_t column, struct digest *ret)
{
    return !db_is_null(rows, row, column) && digest_from_hex(db_get(rows, row, column), ret);
}

static struct deployment_head head_of(const struct db_rows *rows, size_t row)
{
    struct deployment_head h = {.created_at = db_get_int(rows, row, 3),
                                .has_app = db_get_bool(rows, row, 8),
                                .file_count = (uint64_t)db_get_int(rows, row, 9),
                                .total_bytes = (uint64_t)db_get_int(rows, row, 10),
                                .is_active = db_get_bool(rows, row, 11),
                                .code_line = (unsigned)db_get_int(rows, row, 12)};
    copy(h.id, sizeof h.id, db_get(rows, row, 0));
    copy(h.plugin_id, sizeof h.plugin_id, db_get(rows, row, 1));
    copy(h.created_by, sizeof h.created_by, db_get(rows, row, 2));
    copy(h.replaces, sizeof h.replaces, db_get(rows, row, 13));
    get_digest(rows, row, 4, &h.content);
    h.has_source = get_digest(rows, row, 5, &h.source);
    h.has_code = get_digest(rows, row, 6, &h.code);
    h.has_widget = get_digest(rows, row, 7, &h.widget);
    return h;
}

enum fail deployment_is_missing(struct fault *fault)
{
    return fault_set(fault, FAIL_NOT_FOUND, "deployment_not_found",
                     "There is no such deployment of this plugin.");
}

static enum fail head_with_front(struct db_rows *rows, struct deployment_head *ret,
                                 struct fault *fault)
{
    if (db_count(rows) == 0)
        return deployment_is_missing(fault);
    *ret = head_of(rows, 0);
    ret->front = jsonx_parse(db_get(rows, 0, HEAD_COUNT), fault);
    ret->config = db_is_null(rows, 0, HEAD_COUNT + 1)
                      ? NULL
                      : jsonx_parse(db_get(rows, 0, HEAD_COUNT + 1), fault);
    return ret->front != NULL ? FAIL_NONE : FAIL_INTERNAL;
}

enum fail deployment_current(struct db *db, const char *plugin_id, struct deployment_head *ret,
                             struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail =
        db_query(db, fault, &rows,
                 "select " HEAD_COLUMNS
                 ", d.front::text, d.config::text from bundle_deployments d where d.plugin_id = $1"
                 " order by 12 desc, d.created_at desc, d.id desc limit 1",
                 db_text(plugin_id));
    return fail == FAIL_NONE ? head_with_front(rows, ret, fault) : fail;
}

static struct deployment_standing standing_of(const struct db_rows *rows, size_t row,
                                              const struct plugin *p)
{
    enum { INSTANCE = HEAD_COUNT };
    struct deployment_standing s = {.has_head = !db_is_null(rows, row, 0),
                                    .has_instance = !db_is_null(rows, row, INSTANCE)};
    if (s.has_head)
        s.head = head_of(rows, row);
    if (!s.has_instance)
        return s;
    copy(s.instance.id, sizeof s.instance.id, db_get(rows, row, INSTANCE));
    copy(s.instance.slug, sizeof s.instance.slug, db_get(rows, row, INSTANCE + 1));
    copy(s.instance.plugin_id, sizeof s.instance.plugin_id, str_from(p->id));
    copy(s.instance.project_id, sizeof s.instance.project_id, str_from(p->project_id));
    s.instance.created_at = db_get_int(rows, row, INSTANCE + 2);
    return s;
}

// Letters, digits and '_': no array literal needs more than commas.
static void add_ids(struct buf *to, const struct plugin *plugins, size_t count)
{
    buf_init(to, count * CATALOG_ID_ROOM + 3);
    buf_addc(to, '{');
    for (size_t i = 0; i != count; ++i)
        buf_addf(to, "%s%s", i == 0 ? "" : ",", plugins[i].id);
    buf_addc(to, '}');
}

enum fail deployment_standings(struct db *db, const struct plugin *plugins, size_t count,
                               struct deployment_standing *ret, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    struct buf ids;
    add_ids(&ids, plugins, count);
    enum fail fail = db_query(
        db, fault, &rows,
        "select h.*, f.id, f.slug, f.at from unnest($1::text[]) with ordinality as x (id, n)"
        " left join lateral (select " HEAD_COLUMNS
        " from bundle_deployments d where d.plugin_id = x.id"
        " order by 12 desc, d.created_at desc, d.id desc limit 1) h on true"
        " left join lateral (select id, slug, (extract(epoch from created_at) * 1000)::bigint as at"
        " from instances where project_id = $2 and plugin_id = x.id"
        " order by created_at, id limit 1) f on true order by x.n",
        db_str(buf_str(&ids)), db_text(plugins[0].project_id));
    buf_fini(&ids);
    for (size_t i = 0; fail == FAIL_NONE && i != count; ++i)
        ret[i] = standing_of(rows, i, &plugins[i]);
    return fail;
}

enum fail deployment_find_current(struct db *db, const struct plugin *plugins, size_t count,
                                  struct deployed *ret, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    struct buf ids;
    add_ids(&ids, plugins, count);
    enum fail fail = db_query(
        db, fault, &rows,
        "select h.id, h.front, h.has_app from unnest($1::text[]) with ordinality as x (id, n)"
        " left join lateral (select d.id, d.front::text as front, d.config is not null as has_app"
        " from bundle_deployments d where d.plugin_id = x.id order by exists (select from"
        " bundle_instances i where i.deployment_id = d.id) desc, d.created_at desc, d.id desc"
        " limit 1) h on true order by x.n",
        db_str(buf_str(&ids)));
    buf_fini(&ids);
    for (size_t i = 0; fail == FAIL_NONE && i != count; ++i) {
        if (db_is_null(rows, i, 0))
            continue;
        copy(ret[i].deployment_id, sizeof ret[i].deployment_id, db_get(rows, i, 0));
        ret[i].has_app = db_get_bool(rows, i, 2);
        ret[i].front = jsonx_parse(db_get(rows, i, 1), fault);
        fail = ret[i].front == NULL ? FAIL_INTERNAL : FAIL_NONE;
    }
    return fail;
}

enum fail deployment_find(struct db *db, const char *plugin_id, str id, struct deployment_head *ret,
                          struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail =
        db_query(db, fault, &rows,
                 "select " HEAD_COLUMNS ", d.front::text, d.config::text from bundle_deployments d "
                 "where d.plugin_id = $1 and d.id = $2",
                 db_text(plugin_id), db_str(id));
    return fail == FAIL_NONE ? head_with_front(rows, ret, fault) : fail;
}

enum fail deployment_page(struct db *db, const char *plugin_id, const struct page *page,
                          struct deployment_head **ret, size_t *ret_count, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    struct db_param at = page->has_key ? db_time(page->key.at) : DB_NULL,
                    id = page->has_key ? db_text(page->key.id) : DB_NULL;
    enum fail fail =
        page->goes_back
            ? db_query(db, fault, &rows,
                       "select " HEAD_COLUMNS " from bundle_deployments d where d.plugin_id = $1"
                       " and ($2::timestamptz is null or (d.created_at, d.id) > ($2, $3)) order by "
                       "d.created_at, d.id limit $4",
                       db_text(plugin_id), at, id, db_int(page_fetch(page)))
            : db_query(db, fault, &rows,
                       "select " HEAD_COLUMNS " from bundle_deployments d where d.plugin_id = $1"
                       " and ($2::timestamptz is null or (d.created_at, d.id) < ($2, $3)) order by "
                       "d.created_at desc, d.id desc limit $4",
                       db_text(plugin_id), at, id, db_int(page_fetch(page)));
    if (fail != FAIL_NONE)
        return fail;
    size_t n = db_count(rows);
    struct deployment_head *list = calloc(n != 0 ? n : 1, sizeof *list);
    if (list == NULL)
        abort();
    for (size_t i = 0; i != n; ++i)
        list[i] = head_of(rows, i);
    *ret = list;
    *ret_count = n;
    return FAIL_NONE;
}

enum fail deployment_files(struct db *db, const char *deployment_id, struct deployment_row *ret,
                           struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = db_query(db, fault, &rows,
                              "select path, encode(sha256, 'hex'), size from bundle_files where "
                              "deployment_id = $1 order by path collate \"C\"",
                              db_text(deployment_id));
    if (fail != FAIL_NONE)
        return fail;
    *ret = (struct deployment_row){.file_count = db_count(rows)};
    size_t bytes = 0;
    for (size_t i = 0; i != ret->file_count; ++i)
        bytes += db_get(rows, i, 0).n;
    ret->files = calloc(ret->file_count != 0 ? ret->file_count : 1, sizeof *ret->files);
    char *to = ret->_arena = malloc(bytes + 1);
    if (ret->files == NULL || to == NULL)
        abort();
    for (size_t i = 0; i != ret->file_count; ++i) {
        str path = db_get(rows, i, 0);
        memcpy(to, path.p, path.n);
        struct bundle_file *f = &ret->files[i];
        f->path = str_of(to, path.n);
        to += path.n;
        get_digest(rows, i, 1, &f->sha256[ENCODING_IDENTITY]);
        f->size[ENCODING_IDENTITY] = (uint64_t)db_get_int(rows, i, 2);
        f->has[ENCODING_IDENTITY] = true;
    }
    return FAIL_NONE;
}

// --- changing ---

static void set_hex(json_t *object, const char *key, const struct digest *d)
{
    char hex[DIGEST_HEX_ROOM];
    digest_hex(d, hex);
    json_object_set_new(object, key, json_string(hex));
}

// All files as one JSON array: one statement whatever their number.
static char *files_text(const struct declaration *d)
{
    static const char *const names[ENCODINGS] = {"identity", "br", "zstd", "gzip"};
    json_t *list = json_array();
    for (size_t i = 0; i != d->file_count; ++i) {
        const struct bundle_file *f = &d->files[i].row;
        json_t *o = json_object();
        json_object_set_new(o, "path", jsonx_string(f->path));
        json_object_set_new(o, "type", jsonx_string(f->content_type));
        json_object_set_new(o, "hashed", json_boolean(path_has_content_hash(f->path)));
        for (enum encoding e = 0; e != ENCODINGS; ++e) {
            if (!f->has[e])
                continue;
            char size[24];
            snprintf(size, sizeof size, "%s_size", names[e]);
            set_hex(o, names[e], &f->sha256[e]);
            json_object_set_new(o, size, json_integer((json_int_t)f->size[e]));
        }
        json_array_append_new(list, o);
    }
    char *text = jsonx_dump(list, NULL);
    json_decref(list);
    return text;
}

// A hashed name whose bytes are others than before was immutable in the deployments that have it
// until now, and is so no longer in any: one may be activated again. Such names are few, and looked
// up by primary key: planned as a join (the planner takes them for many) it reads the whole table.
static enum fail join_history(struct db *db, const char *plugin_id, const char *files,
                              struct fault *fault)
{
    return db_query(
        db, fault, NULL,
        "with f as materialized (select path, hashed, decode(identity, 'hex') as sha256"
        " from jsonb_to_recordset($2::jsonb) as f (path text, hashed boolean, identity text)),"
        " added as (insert into bundle_history (plugin_id, path, sha256)"
        " select $1, path, sha256 from f on conflict do nothing returning path),"
        " changed as materialized (select path from added join f using (path)"
        " where hashed and exists (select from bundle_history h where h.plugin_id = $1"
        " and h.path = f.path and h.sha256 <> f.sha256))"
        " update bundle_files set immutable = false where ctid = any (array(select b.row"
        " from changed c, bundle_deployments d, lateral (select ctid as row from bundle_files"
        " where deployment_id = d.id and path = c.path and immutable offset 0) b"
        " where d.plugin_id = $1))",
        db_text(plugin_id), db_text(files));
}

static enum fail insert_files(struct db *db, const char *plugin_id, const char *deployment_id,
                              const struct declaration *d, struct fault *fault)
{
    AUTOFREE char *text = files_text(d);
    enum fail fail = join_history(db, plugin_id, text, fault);
    if (fail != FAIL_NONE)
        return fail;
    return db_query(db, fault, NULL,
                    "insert into bundle_files (deployment_id, path, sha256, size, content_type, "
                    "immutable, br_sha256, br_size, zstd_sha256, zstd_size,"
                    " gzip_sha256, gzip_size) select $1, f.path, decode(f.identity, 'hex'), "
                    "f.identity_size, f.type,"
                    " f.hashed and not exists (select from bundle_history h where h.plugin_id = $2 "
                    "and h.path = f.path and h.sha256 <> decode(f.identity, 'hex')),"
                    " decode(f.br, 'hex'), f.br_size, decode(f.zstd, 'hex'), f.zstd_size, "
                    "decode(f.gzip, 'hex'), f.gzip_size"
                    " from jsonb_to_recordset($3::jsonb) as f (path text, type text, hashed "
                    "boolean, identity text, identity_size bigint, br text, br_size bigint,"
                    " zstd text, zstd_size bigint, gzip text, gzip_size bigint)",
                    db_text(deployment_id), db_text(plugin_id), db_text(text));
}

static struct db_param digest_param(bool is_there, const struct digest *d)
{
    return is_there ? db_bytes(str_of(d->b, sizeof d->b)) : DB_NULL;
}

enum fail deployment_insert(struct db *db, const struct plugin *plugin, const char *created_by,
                            const char *replaces, const struct declaration *d,
                            char ret_id[static DEPLOYMENT_ID_ROOM], int64_t *ret_created_at,
                            struct fault *fault)
{
    char id[TOKEN_ID_ROOM];
    token_id("", id);
    AUTOFREE char *front = jsonx_dump(d->front, NULL),
                  *config = d->config != NULL ? jsonx_dump(d->config, NULL) : NULL;
    struct digest source = d->source.p != NULL ? digest_sha256(d->source) : (struct digest){0};
    struct digest code = d->inherits_code ? d->inherited_code : digest_sha256(d->code);
    struct digest widget = d->inherits_widget ? d->inherited_widget : digest_sha256(d->widget);
    DB_ROWS_AUTO rows = NULL;
    enum fail fail =
        db_query(db, fault, &rows,
                 "insert into bundle_deployments (id, plugin_id, project_id, created_by, "
                 "content_sha256, source_sha256, code_sha256, widget_sha256, front, config,"
                 " file_count, total_bytes, code_line, replaces, created_at) values ($1, $2, $3, "
                 "$4, $5, $6, $7, $8, $9::jsonb, $10::jsonb, $11, $12, $13, $14, clock_timestamp())"
                 " returning (extract(epoch from created_at) * 1000)::bigint",
                 db_text(id), db_text(plugin->id), db_text(plugin->project_id), db_text(created_by),
                 db_bytes(str_of(d->content.b, sizeof d->content.b)),
                 digest_param(d->source.p != NULL, &source),
                 digest_param(d->inherits_code || d->code.p != NULL, &code),
                 digest_param(d->inherits_widget || d->widget.p != NULL, &widget), db_text(front),
                 config != NULL ? db_text(config) : DB_NULL, db_int((int64_t)d->file_count),
                 db_int((int64_t)d->total_bytes), db_int(d->code_line != 0 ? d->code_line : 1),
                 db_text(replaces));
    if (fail == FAIL_NONE)
        fail = insert_files(db, plugin->id, id, d, fault);
    if (fail == FAIL_NONE)
        fail = db_query(db, fault, NULL, "select bundle_count($1, $2, $3, $4)", db_text(id),
                        db_int((int64_t)d->source.n), db_int((int64_t)d->code.n),
                        db_int((int64_t)d->widget.n));
    if (fail != FAIL_NONE)
        return fail;
    memcpy(ret_id, id, DEPLOYMENT_ID_ROOM);
    *ret_created_at = db_get_int(rows, 0, 0);
    return FAIL_NONE;
}

// Each switch has a later second than the one before, even if it comes within it or the clock was
// set back: Last-Modified tells it (RFC 9110 §8.8.2.2), and may be ahead by that second for once.
enum fail deployment_activate(struct db *db, const char *plugin_id, const char *deployment_id,
                              struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "insert into bundle_instances (instance_id, deployment_id, activated_at)"
                    " select i.id, $2, clock_timestamp() from instances i where i.plugin_id = $1"
                    " on conflict (instance_id) do update set deployment_id = "
                    "excluded.deployment_id, activated_at = greatest(excluded.activated_at,"
                    " date_trunc('second', bundle_instances.activated_at) + interval '1 second')"
                    " where bundle_instances.deployment_id <> excluded.deployment_id",
                    db_text(plugin_id), db_text(deployment_id));
}

enum fail deployment_notify(struct db *db, const char *plugin_id, struct fault *fault)
{
    return db_query(db, fault, NULL, "select pg_notify('stoa_bundles', $1)", db_text(plugin_id));
}

bool deployment_names_blob(struct db *db, const struct digest *d)
{
    DB_ROWS_AUTO rows = NULL;
    struct fault fault = {0};
    struct db_param p = db_bytes(str_of(d->b, sizeof d->b));
    if (db_query(db, &fault, &rows,
                 "select exists (select from bundle_files where sha256 = $1 or br_sha256 = $1 or "
                 "zstd_sha256 = $1 or gzip_sha256 = $1)"
                 " or exists (select from bundle_deployments where source_sha256 = $1 or "
                 "code_sha256 = $1 or widget_sha256 = $1)",
                 p) != FAIL_NONE)
        return true;
    return db_get_bool(rows, 0, 0);
}

static enum fail read_code(const struct db_rows *rows, struct deployed *ret, struct fault *fault)
{
    struct digest code;
    if (!get_digest(rows, 0, 4, &code))
        return FAIL_NONE;
    char *bytes;
    enum fail fail = blob_get(&code, CODE_BYTES_MAX, &bytes, &ret->code_size, fault);
    if (fail != FAIL_NONE)
        return fail;
    ret->code = str_dup(str_of(bytes, ret->code_size));
    free(bytes);
    return FAIL_NONE;
}

enum fail deployment_find_deployed(struct db *db, str instance_id, str deployment_id,
                                   bool with_code, struct deployed *ret, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = db_query(
        db, fault, &rows,
        "select d.id, i.id, d.front::text, d.config is not null, encode(d.code_sha256, 'hex'),"
        " d.code_line"
        " from instances i join bundle_deployments d on d.plugin_id = i.plugin_id"
        " left join bundle_instances b on b.instance_id = i.id"
        " where (i.id = $1 or ($1 = '' and $2 <> '' and i.project_id = d.project_id))"
        " and d.id = case when $2 <> '' then $2 else b.deployment_id end"
        " order by i.created_at, i.id limit 1",
        db_str(instance_id), db_str(deployment_id));
    if (fail != FAIL_NONE)
        return fail;
    if (db_count(rows) == 0)
        return fault_set(fault, FAIL_NOT_FOUND, "deployment_not_found",
                         "Nothing is deployed there.");
    *ret = (struct deployed){.has_app = db_get_bool(rows, 0, 3),
                             .code_line = (unsigned)db_get_int(rows, 0, 5)};
    copy(ret->deployment_id, sizeof ret->deployment_id, db_get(rows, 0, 0));
    copy(ret->instance_id, sizeof ret->instance_id, db_get(rows, 0, 1));
    ret->front = jsonx_parse(db_get(rows, 0, 2), fault);
    fail = ret->front == NULL ? FAIL_INTERNAL : FAIL_NONE;
    // a skill's text is kept where others have code, and is never run
    if (fail == FAIL_NONE && with_code && !str_eq(jsonx_str(ret->front, "tier"), STR("skill")))
        fail = read_code(rows, ret, fault);
    if (fail != FAIL_NONE)
        deployed_fini(ret);
    return fail;
}
