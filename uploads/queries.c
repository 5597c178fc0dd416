// The SQL of files. A quota's row is locked before any file of its plugin is written or deleted,
// and where one statement takes several, in the order of their keys: two of them wait for each
// other in turn.
#include "uploads/internal.h"
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/clock.h"
#include "edge/base/token.h"
#include "edge/store/copy.h"

#define COLUMNS                                                                                    \
    "f.id, f.project_id, f.plugin_id, f.instance_id, f.instance_slug, f.owner_id::text, f.source," \
    " f.filename, f.original_filename, f.mime, encode(f.sha256, 'hex'), f.size,"                   \
    " (extract(epoch from f.created_at) * 1000)::bigint "

static void copy(char *to, size_t room, str s)
{
    snprintf(to, room, "%.*s", STR_FMT(s));
}

static bool read_row(const struct db_rows *rows, size_t row, struct file *ret)
{
    *ret = (struct file){0};
    copy(ret->id, sizeof ret->id, db_get(rows, row, 0));
    copy(ret->owner.project_id, sizeof ret->owner.project_id, db_get(rows, row, 1));
    copy(ret->owner.plugin_id, sizeof ret->owner.plugin_id, db_get(rows, row, 2));
    copy(ret->owner.instance_id, sizeof ret->owner.instance_id, db_get(rows, row, 3));
    copy(ret->owner.instance_slug, sizeof ret->owner.instance_slug, db_get(rows, row, 4));
    copy(ret->owner.owner_id, sizeof ret->owner.owner_id, db_get(rows, row, 5));
    ret->source = str_eq(db_get(rows, row, 6), STR("visitor")) ? FILE_OF_VISITOR : FILE_OF_HANDLER;
    copy(ret->filename, sizeof ret->filename, db_get(rows, row, 7));
    copy(ret->original, sizeof ret->original, db_get(rows, row, 8));
    copy(ret->mime, sizeof ret->mime, db_get(rows, row, 9));
    ret->size = (uint64_t)db_get_int(rows, row, 11);
    ret->created_at = db_get_int(rows, row, 12);
    return digest_from_hex(db_get(rows, row, 10), &ret->digest);
}

static enum fail no_digest(const struct file *f, struct fault *fault)
{
    fault_set(fault, FAIL_INTERNAL, "internal", "This file cannot be read.");
    fault_log(fault, "the row of %s has no digest", f->id);
    return FAIL_INTERNAL;
}

static enum fail not_found(struct fault *fault)
{
    return fault_set(fault, FAIL_NOT_FOUND, "file_not_found", "There is no such file.");
}

// --- keeping ---

enum { MIB = 1024 * 1024 };

struct quota {
    unsigned long long bytes, count;
    bool is_closed;
};

static enum fail quota_read(struct db *db, const char *project_id, const char *plugin_id,
                            struct quota *ret, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = db_query(
        db, fault, &rows,
        "select bytes, count, is_closed from file_quotas where project_id = $1 and plugin_id = $2",
        db_text(project_id), db_text(plugin_id));
    if (fail != FAIL_NONE)
        return fail;
    *ret = (struct quota){0};
    if (db_count(rows) != 0)
        *ret = (struct quota){.bytes = (unsigned long long)db_get_int(rows, 0, 0),
                              .count = (unsigned long long)db_get_int(rows, 0, 1),
                              .is_closed = db_get_bool(rows, 0, 2)};
    return FAIL_NONE;
}

static enum fail no_room(const struct quota *q, const struct file *f, struct fault *fault)
{
    const struct uploads_options *o = uploads_options;
    if (q->is_closed)
        return fault_set(fault, FAIL_NOT_FOUND, "plugin_not_found", "This app has been deleted.");
    return fault_set(
        fault, FAIL_QUOTA, "quota_exceeded",
        "This file does not fit into the app's storage quota: %.1f of %.1f MiB and %llu"
        " of %llu files are taken, and it has %.1f MiB.",
        (double)q->bytes / MIB, (double)o->quota_bytes / MIB, q->count,
        (unsigned long long)o->quota_files, (double)f->size / MIB);
}

static enum fail over_quota(struct db *db, const struct file *f, struct fault *fault)
{
    struct quota q;
    enum fail fail = quota_read(db, f->owner.project_id, f->owner.plugin_id, &q, fault);
    return fail == FAIL_NONE ? no_room(&q, f, fault) : fail;
}

enum fail file_fits(struct db *db, const struct file *f, struct fault *fault)
{
    const struct uploads_options *o = uploads_options;
    struct quota q;
    enum fail fail = quota_read(db, f->owner.project_id, f->owner.plugin_id, &q, fault);
    if (fail != FAIL_NONE)
        return fail;
    bool fits = !q.is_closed && q.bytes + f->size <= o->quota_bytes && q.count < o->quota_files;
    return fits ? FAIL_NONE : no_room(&q, f, fault);
}

// Whoever deletes a plugin holds its quota's row until all of it is gone. Nobody waits that long.
#define SOON " set_config('lock_timeout', '2s', true) is not null "

// One statement: a quota without room, or closed, writes nothing.
static const char sql_insert[] =
    "with quota as (insert into file_quotas as q (project_id, plugin_id, bytes, count)"
    " select $2, $3, $12::bigint, 1 where" SOON
    " and $12::bigint <= $15::bigint and 1 <= $16::bigint"
    " on conflict (project_id, plugin_id) do update"
    " set bytes = q.bytes + excluded.bytes, count = q.count + 1"
    " where not q.is_closed and q.bytes + excluded.bytes <= $15::bigint"
    " and q.count + 1 <= $16::bigint returning 1)"
    " insert into files (id, project_id, plugin_id, instance_id, instance_slug, owner_id, source,"
    " filename, original_filename, mime, sha256, size, visitor, request_id)"
    " select $1, $2, $3, $4, $5, $6::uuid, $7, $8, $9, $10, $11::bytea, $12::bigint, $13, $14"
    " from quota returning (extract(epoch from created_at) * 1000)::bigint";

enum fail file_insert(struct db *db, struct file *f, const char *visitor, const char *request_id,
                      struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    char id[TOKEN_ID_ROOM];
    token_id("file_", id);
    enum fail fail = db_query(
        db, fault, &rows, sql_insert, db_text(id), db_text(f->owner.project_id),
        db_text(f->owner.plugin_id), db_text(f->owner.instance_id), db_text(f->owner.instance_slug),
        db_text(f->owner.owner_id), db_text(f->source == FILE_OF_VISITOR ? "visitor" : "handler"),
        db_text(f->filename), db_text(f->original), db_text(f->mime),
        db_bytes(str_of(f->digest.b, sizeof f->digest.b)), db_int((int64_t)f->size),
        db_text(visitor), db_text(request_id), db_int((int64_t)uploads_options->quota_bytes),
        db_int((int64_t)uploads_options->quota_files));
    if (fail != FAIL_NONE)
        return fail;
    if (db_count(rows) == 0)
        return over_quota(db, f, fault);
    memcpy(f->id, id, sizeof f->id);
    f->created_at = db_get_int(rows, 0, 0);
    return FAIL_NONE;
}

#define NEW_COLUMNS                                                                                \
    "id, project_id, plugin_id, instance_id, instance_slug, owner_id, source, filename,"           \
    " original_filename, mime, sha256, size, visitor, request_id, created_at"
enum { NEW_COLUMN_COUNT = 15 };

static void copy_new(struct buf *b, const struct file_arrival *a)
{
    const struct file *f = a->file;
    db_copy_row(b, NEW_COLUMN_COUNT);
    db_copy_text(b, str_from(f->id));
    db_copy_text(b, str_from(f->owner.project_id));
    db_copy_text(b, str_from(f->owner.plugin_id));
    db_copy_text(b, str_from(f->owner.instance_id));
    db_copy_text(b, str_from(f->owner.instance_slug));
    db_copy_uuid(b, f->owner.owner_id);
    db_copy_text(b, f->source == FILE_OF_VISITOR ? STR("visitor") : STR("handler"));
    db_copy_text(b, str_from(f->filename));
    db_copy_text(b, str_from(f->original));
    db_copy_text(b, str_from(f->mime));
    db_copy_text(b, str_of(f->digest.b, sizeof f->digest.b));
    db_copy_int8(b, (int64_t)f->size);
    db_copy_text(b, str_from(a->visitor));
    db_copy_text(b, str_from(a->request_id));
    db_copy_time(b, f->created_at);
}

static enum fail copy_all(struct db *db, const struct file_arrival *list, size_t n,
                          struct fault *fault)
{
    struct buf b;
    int64_t now = clock_real_ms();
    buf_init(&b, n * 4096 + 64);
    db_copy_begin(&b);
    for (size_t i = 0; i != n; ++i) {
        token_id("file_", list[i].file->id);
        list[i].file->created_at = now;
        copy_new(&b, &list[i]);
    }
    db_copy_end(&b);
    enum fail fail =
        db_copy(db, fault, "copy files (" NEW_COLUMNS ") from stdin (format binary)", buf_str(&b));
    buf_fini(&b);
    return fail;
}

enum fail file_insert_together(struct db *db, const struct file_arrival *list, size_t n,
                               struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    const struct files_owner *o = &list[0].file->owner;
    uint64_t bytes = 0;
    for (size_t i = 0; i != n; ++i)
        bytes += list[i].file->size;
    enum fail fail =
        db_query(db, fault, &rows,
                 "insert into file_quotas as q (project_id, plugin_id, bytes, count)"
                 " select $1, $2, $3::bigint, $4::bigint where" SOON
                 " and $3::bigint <= $5::bigint and $4::bigint <= $6::bigint on conflict "
                 "(project_id, plugin_id) do update"
                 " set bytes = q.bytes + excluded.bytes, count = q.count + excluded.count"
                 " where not q.is_closed and q.bytes + excluded.bytes <= $5::bigint"
                 " and q.count + excluded.count <= $6::bigint returning 1",
                 db_text(o->project_id), db_text(o->plugin_id), db_int((int64_t)bytes),
                 db_int((int64_t)n), db_int((int64_t)uploads_options->quota_bytes),
                 db_int((int64_t)uploads_options->quota_files));
    if (fail == FAIL_NONE && db_count(rows) == 0)
        fail = FAIL_QUOTA;
    return fail == FAIL_NONE ? copy_all(db, list, n, fault) : fail;
}

// --- finding ---

enum fail file_find(struct db *db, const char *project_id, str id, struct file *ret,
                    struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = db_query(db, fault, &rows,
                              "select " COLUMNS "from files f where f.id = $1"
                              " and ($2::text is null or f.project_id = $2)",
                              db_str(id), db_text(project_id));
    if (fail != FAIL_NONE)
        return fail;
    if (db_count(rows) == 0)
        return not_found(fault);
    struct file f;
    if (!read_row(rows, 0, &f))
        return no_digest(&f, fault);
    *ret = f;
    return FAIL_NONE;
}

// What is listed, by which index, and which way: twelve texts, each planned for itself.
#define ALL "where f.project_id = $1 and $2 = ''"
#define OF_INSTANCE "where f.project_id = $1 and f.instance_id = $2"
#define OF_PLUGIN "where f.project_id = $1 and f.plugin_id = $2"
#define OF_TYPE                                                                                    \
    " and split_part(f.mime, '/', 1) = split_part($6, '/', 1)"                                     \
    " and (f.mime = $6 or split_part($6, '/', 2) = '*')"
#define OF_ANY " and $6 = ''"
#define DOWN                                                                                       \
    " and ($3::timestamptz is null or (f.created_at, f.id) < ($3, $4))"                            \
    " order by f.created_at desc, f.id desc limit $5"
#define UP                                                                                         \
    " and ($3::timestamptz is null or (f.created_at, f.id) > ($3, $4))"                            \
    " order by f.created_at, f.id limit $5"
#define TEXTS(scope)                                                                               \
    {                                                                                              \
        {"select " COLUMNS "from files f " scope OF_ANY DOWN,                                      \
         "select " COLUMNS "from files f " scope OF_ANY UP},                                       \
        {                                                                                          \
            "select " COLUMNS "from files f " scope OF_TYPE DOWN,                                  \
                "select " COLUMNS "from files f " scope OF_TYPE UP                                 \
        }                                                                                          \
    }
static const char *const sql_list[3][2][2] = {TEXTS(ALL), TEXTS(OF_INSTANCE), TEXTS(OF_PLUGIN)};

enum fail file_list(struct db *db, const struct file_filter *filter, const struct page *page,
                    struct file **ret, size_t *ret_count, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    int scope = filter->instance_id != NULL ? 1 : filter->plugin_id != NULL ? 2 : 0;
    const char *of = scope == 1 ? filter->instance_id : scope == 2 ? filter->plugin_id : "";
    enum fail fail = db_query(
        db, fault, &rows, sql_list[scope][filter->type.n != 0][page->goes_back],
        db_text(filter->project_id), db_text(of), page->has_key ? db_time(page->key.at) : DB_NULL,
        page->has_key ? db_text(page->key.id) : DB_NULL, db_int(page_fetch(page)),
        db_str(filter->type));
    if (fail != FAIL_NONE)
        return fail;
    size_t n = db_count(rows);
    struct file *list = calloc(n + 1, sizeof *list);
    if (list == NULL)
        abort();
    for (size_t i = 0; i != n; ++i)
        if (!read_row(rows, i, &list[i])) {
            fail = no_digest(&list[i], fault);
            free(list);
            return fail;
        }
    *ret = list;
    *ret_count = n;
    return FAIL_NONE;
}

enum fail file_usage(struct db *db, const char *plugin_id, struct file_usage *ret,
                     struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = db_query(db, fault, &rows,
                              "select coalesce(sum(bytes), 0)::bigint,"
                              " coalesce(sum(count), 0)::bigint from file_quotas"
                              " where plugin_id = $1",
                              db_text(plugin_id));
    if (fail == FAIL_NONE)
        *ret = (struct file_usage){.bytes = (uint64_t)db_get_int(rows, 0, 0),
                                   .count = (uint64_t)db_get_int(rows, 0, 1)};
    return fail;
}

enum fail file_quota_used(struct db *db, const char *project_id, const char *plugin_id,
                          struct file_usage *ret, struct fault *fault)
{
    struct quota q;
    enum fail fail = quota_read(db, project_id, plugin_id, &q, fault);
    if (fail == FAIL_NONE)
        *ret = (struct file_usage){.bytes = q.bytes, .count = q.count};
    return fail;
}

bool file_names_blob(struct db *db, const struct digest *d)
{
    DB_ROWS_AUTO rows = NULL;
    return db_query(db, NULL, &rows, "select 1 from files where sha256 = $1::bytea limit 1",
                    db_bytes(str_of(d->b, sizeof d->b))) != FAIL_NONE ||
           db_count(rows) != 0;
}

// --- deleting: `gone` is what a statement chose, `locked` the quotas it takes first, in order ---

// Files are chosen by `which`; those that another statement has deleted meanwhile are not counted
// twice.
#define DELETE(which)                                                                              \
    "with chosen as materialized (select f.id, f.project_id, f.plugin_id from files f " which ")," \
    " locked as materialized (select q.project_id, q.plugin_id from file_quotas q"                 \
    " where (q.project_id, q.plugin_id) in (select c.project_id, c.plugin_id from chosen c)"       \
    " order by q.project_id collate \"C\", q.plugin_id collate \"C\" for update),"                 \
    " gone as (delete from files f using chosen c, locked l"                                       \
    " where f.id = c.id and l.project_id = c.project_id and l.plugin_id = c.plugin_id"             \
    " returning f.project_id, f.plugin_id, f.size),"                                               \
    " total as (select g.project_id, g.plugin_id, sum(g.size)::bigint as bytes, count(*) as count" \
    " from gone g group by g.project_id, g.plugin_id),"                                            \
    " given as (update file_quotas q set bytes = q.bytes - t.bytes, count = q.count - t.count"     \
    " from total t where q.project_id = t.project_id and q.plugin_id = t.plugin_id)"               \
    " select coalesce(sum(t.count), 0)::bigint from total t"

enum fail file_delete(struct db *db, const char *project_id, str id, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = db_query(db, fault, &rows,
                              DELETE("where f.id = $1 and ($2::text is null or f.project_id = $2)"),
                              db_str(id), db_text(project_id));
    if (fail != FAIL_NONE)
        return fail;
    return db_get_int(rows, 0, 0) != 0 ? FAIL_NONE : not_found(fault);
}

enum fail file_delete_old(struct db *db, const char *instance_id, uint32_t days, unsigned limit,
                          size_t *ret_count, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = instance_id != NULL
                         ? db_query(db, fault, &rows,
                                    DELETE("where f.instance_id = $1 and f.source = 'visitor'"
                                           " and f.created_at < now() - make_interval(days => $2)"
                                           " order by f.created_at limit $3"),
                                    db_text(instance_id), db_int(days), db_int(limit))
                         : db_query(db, fault, &rows,
                                    DELETE("where f.source = 'visitor'"
                                           " and f.created_at < now() - make_interval(days => $1)"
                                           " limit $2"),
                                    db_int(days), db_int(limit));
    if (fail == FAIL_NONE)
        *ret_count = (size_t)db_get_int(rows, 0, 0);
    return fail;
}

enum fail file_retention_keep(struct db *db, const char *instance_id, uint32_t days,
                              struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "insert into file_retentions (instance_id, days) values ($1, $2)"
                    " on conflict (instance_id) do update set days = excluded.days",
                    db_text(instance_id), db_int(days));
}

enum fail file_delete_outlived(struct db *db, unsigned limit, size_t *ret_count,
                               struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = db_query(
        db, fault, &rows,
        DELETE("join file_retentions r on r.instance_id = f.instance_id where f.source = 'visitor'"
               " and f.created_at < now() - make_interval(days => r.days) limit $1"),
        db_int(limit));
    if (fail == FAIL_NONE)
        *ret_count = (size_t)db_get_int(rows, 0, 0);
    return fail;
}

enum fail file_retentions_prune(struct db *db, struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "delete from file_retentions r where r.created_at < now() - interval '1 day'"
                    " and not exists (select 1 from files f where f.instance_id = r.instance_id"
                    " and f.source = 'visitor')");
}

enum fail file_next_instance_of(struct db *db, const char *plugin_id, const char *after,
                                char ret[static CATALOG_ID_ROOM], struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = db_query(db, fault, &rows,
                              "select id from instances where plugin_id = $1 and id > $2"
                              " order by id limit 1",
                              db_text(plugin_id), db_text(after));
    if (fail == FAIL_NONE)
        copy(ret, CATALOG_ID_ROOM, db_count(rows) != 0 ? db_get(rows, 0, 0) : STR(""));
    return fail;
}

enum fail file_next_instance(struct db *db, const char *after, char ret[static CATALOG_ID_ROOM],
                             struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = db_query(db, fault, &rows,
                              "select instance_id from files where instance_id > $1"
                              " order by instance_id limit 1",
                              db_text(after));
    if (fail == FAIL_NONE)
        copy(ret, CATALOG_ID_ROOM, db_count(rows) != 0 ? db_get(rows, 0, 0) : STR(""));
    return fail;
}

// Closing comes first: it waits for those who hold a quota's row, so that the second statement sees
// their files, and whoever comes later finds it closed. Projects without a file yet get a closed
// row too.
enum fail file_delete_all(struct db *db, const char *plugin_id, struct fault *fault)
{
    enum fail fail = db_query(
        db, fault, NULL,
        "insert into file_quotas (project_id, plugin_id, bytes, count, is_closed)"
        " select x.project_id, $1, 0, 0, true from (select project_id from plugins where id = $1"
        " union select project_id from instances where plugin_id = $1"
        " union select project_id from file_quotas where plugin_id = $1) x"
        " order by x.project_id collate \"C\""
        " on conflict (project_id, plugin_id) do update set is_closed = true, bytes = 0, count = 0",
        db_text(plugin_id));
    return fail == FAIL_NONE ? db_query(db, fault, NULL, "delete from files where plugin_id = $1",
                                        db_text(plugin_id))
                             : fail;
}
