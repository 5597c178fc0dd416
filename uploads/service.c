// What the folder is told at the start, and what it answers other features: what goes with a
// plugin, and which blobs are files.
#include "uploads/internal.h"
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

// Kept files stay their project's: listed, served by link, deleted by hand.
static enum fail on_delete(struct db *db, const struct plugin *p, bool keep_data,
                           struct fault *fault)
{
    return keep_data ? FAIL_NONE : file_delete_all(db, p->id, fault);
}

void uploads_init(const struct uploads_options *o)
{
    static const struct catalog_hooks hooks = {
        .on_delete_ask = on_delete_ask, .on_delete = on_delete, .on_blob_ask = file_names_blob};
    static const struct files_keeper keeper = {.receive = upload_receive,
                                               .ask = files_answer,
                                               .cancel = files_answer_cancel,
                                               .discard = upload_discard};
    static struct uploads_options kept;
    kept = *o;
    uploads_options = &kept;
    catalog_hooks_add(&hooks);
    files_keep_by(&keeper);
    uploads_owners_service()->on_metrics = uploads_metrics;
}
