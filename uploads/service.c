// What the folder is told at the start, and what it answers other features: what goes with a
// plugin, which blobs are files, what an instance's owner is shown of limits.
#include "uploads/internal.h"
#include "edge/base/mapped.h"
#include "edge/catalog/hooks.h"

const struct uploads_options *uploads_options;

static enum fail on_delete_ask(struct db *db, const struct plugin *p, json_t *what,
                               bool *ret_has_data, struct fault *fault)
{
    struct file_usage usage;
    enum fail fail = file_usage(db, p->id, &usage, fault);
    if (fail != FAIL_NONE || usage.count == 0)
        return fail;
    *ret_has_data = true;
    json_object_set_new(what, "uploads",
                        json_pack("{s:I, s:I}", "count", (json_int_t)usage.count, "bytes",
                                  (json_int_t)usage.bytes));
    return FAIL_NONE;
}

// What the server allows, whatever the instance's own settings say, and what is used of it.
static enum fail on_describe_instance(struct db *db, const struct instance *i, json_t *object,
                                      struct fault *fault)
{
    const struct uploads_options *o = uploads_options;
    struct file_usage used;
    enum fail fail = file_quota_used(db, i->project_id, i->plugin_id, &used, fault);
    if (fail != FAIL_NONE)
        return fail;
    json_object_set_new(
        object, "uploads",
        json_pack("{s:{s:I, s:I, s:I, s:I, s:I, s:o}, s:{s:I, s:I}}", "limits", "fileBytes",
                  (json_int_t)FILES_FILE_MAX, "filesPerHour", (json_int_t)o->files_per_hour,
                  "bytesPerHour", (json_int_t)o->bytes_per_hour, "quotaBytes",
                  (json_int_t)o->quota_bytes, "quotaFiles", (json_int_t)o->quota_files, "keepDays",
                  o->keep_days != 0 ? json_integer(o->keep_days) : json_null(), "used", "bytes",
                  (json_int_t)used.bytes, "files", (json_int_t)used.count));
    return FAIL_NONE;
}

static enum fail promise_days_of_all(struct db *db, const char *plugin_id, struct fault *fault)
{
    char at[CATALOG_ID_ROOM] = "", next[CATALOG_ID_ROOM];
    for (;;) {
        enum fail fail = file_next_instance_of(db, plugin_id, at, next, fault);
        if (fail != FAIL_NONE || next[0] == '\0')
            return fail;
        memcpy(at, next, sizeof at);
        if ((fail = uploads_promise_days(db, at, fault)) != FAIL_NONE)
            return fail;
    }
}

// Kept files stay their project's: listed, served by link, deleted by hand, and with age as before.
static enum fail on_delete(struct db *db, const struct plugin *p, bool keep_data,
                           struct fault *fault)
{
    return keep_data ? promise_days_of_all(db, p->id, fault) : file_delete_all(db, p->id, fault);
}

void uploads_init(const struct uploads_options *o)
{
    static const struct catalog_hooks hooks = {.on_delete_ask = on_delete_ask,
                                               .on_delete = on_delete,
                                               .on_delete_instance = uploads_promise_days,
                                               .on_describe_instance = on_describe_instance,
                                               .on_blob_ask = file_names_blob};
    static const struct files_keeper keeper = {.receive = upload_receive,
                                               .ask = files_answer,
                                               .cancel = files_answer_cancel,
                                               .discard = upload_discard};
    static struct uploads_options kept;
    kept = *o;
    uploads_options = &kept;
    mapped_init();
    catalog_hooks_add(&hooks);
    files_keep_by(&keeper);
    uploads_owners_service()->on_metrics = uploads_metrics;
}
