// The statements by which deployments go, and by which what is left is known (schema/005.sql).
#include <stdlib.h>
#include "bundles/deployments.h"
#include "edge/base/jsonx.h"

enum { DISCARDED_MAX = 100 }; // at a time

enum fail deployment_lock_project(struct db *db, const char *project_id, struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "insert into bundle_projects (project_id, bytes) values ($1, 0)"
                    " on conflict (project_id) do update set bytes = bundle_projects.bytes",
                    db_text(project_id));
}

static void add_content(json_t *list, const struct digest *digest, uint64_t size)
{
    char hex[DIGEST_HEX_ROOM];
    json_t *o = json_pack("{s:I}", "size", (json_int_t)size);
    digest_hex(digest, hex);
    json_object_set_new(o, "sha256", json_string(hex));
    json_array_append_new(list, o);
}

// What it brings; what it inherits is there.
static char *contents_text(const struct declaration *d)
{
    const str texts[] = {d->source, d->code, d->widget};
    json_t *list = json_array();
    for (size_t i = 0; i != sizeof texts / sizeof texts[0]; ++i) {
        struct digest digest = digest_sha256(texts[i]);
        if (texts[i].p != NULL)
            add_content(list, &digest, texts[i].n);
    }
    for (size_t i = 0; i != d->file_count; ++i)
        add_content(list, &d->files[i].row.sha256[ENCODING_IDENTITY], d->files[i].content.n);
    char *text = jsonx_dump(list, NULL);
    json_decref(list);
    return text;
}

enum fail deployment_room(struct db *db, const char *project_id, const struct declaration *d,
                          struct deployment_room *ret, struct fault *fault)
{
    AUTOFREE char *contents = contents_text(d);
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = db_query(
        db, fault, &rows,
        "select coalesce((select bytes from bundle_projects where project_id = $1), 0)::bigint,"
        " (bundle_rows($3) + coalesce(sum(bundle_blocks(n.size)), 0))::bigint from"
        " (select distinct decode(sha256, 'hex') as sha256, size"
        " from jsonb_to_recordset($2::jsonb) as c (sha256 text, size bigint)) n"
        " where not exists (select from bundle_blobs b"
        " where b.project_id = $1 and b.sha256 = n.sha256)",
        db_text(project_id), db_text(contents), db_int((int64_t)d->file_count));
    if (fail == FAIL_NONE)
        *ret = (struct deployment_room){.used = (uint64_t)db_get_int(rows, 0, 0),
                                        .more = (uint64_t)db_get_int(rows, 0, 1)};
    return fail;
}

enum fail deployment_discard_old(struct db *db, const char *plugin_id, uint64_t keep,
                                 const char *replaces, struct fault *fault)
{
    if (keep == 0)
        return FAIL_NONE;
    return db_query(db, fault, NULL,
                    "select bundle_remove(array(select d.id from bundle_deployments d"
                    " where d.plugin_id = $1 and d.id is distinct from $3"
                    " and not exists (select from bundle_instances i where i.deployment_id = d.id)"
                    " order by d.created_at, d.id limit least($4, greatest(0, 1 - $2 +"
                    " (select count(*) from bundle_deployments c where c.plugin_id = $1)))))",
                    db_text(plugin_id), db_int((int64_t)keep), db_text(replaces),
                    db_int(DISCARDED_MAX));
}

enum fail deployment_delete(struct db *db, const char *plugin_id, const char *id,
                            struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = db_query(db, fault, &rows,
                              "select bundle_remove(array(select id from bundle_deployments"
                              " where plugin_id = $1 and id = $2))",
                              db_text(plugin_id), db_text(id));
    return fail == FAIL_NONE && db_get_int(rows, 0, 0) == 0 ? deployment_is_missing(fault) : fail;
}

enum fail deployment_delete_all(struct db *db, const char *plugin_id, struct fault *fault)
{
    enum fail fail = db_query(db, fault, NULL,
                              "delete from bundle_instances b using bundle_deployments d"
                              " where d.id = b.deployment_id and d.plugin_id = $1",
                              db_text(plugin_id));
    if (fail == FAIL_NONE)
        fail = db_query(db, fault, NULL,
                        "select bundle_remove(array(select id from bundle_deployments"
                        " where plugin_id = $1))",
                        db_text(plugin_id));
    return fail;
}
