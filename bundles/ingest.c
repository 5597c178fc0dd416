// ingest: what is there now → what changes → ask the other features → (dry run ends here) →
// write_blobs → switch_over → tell the other features. All before switch_over goes by what was
// there at the beginning: when that lock finds another deployment live, everything begins anew.
#include "bundles/ingest.h"
#include <stdio.h>
#include "bundles/room.h"
#include "bundles/serve.h"
#include "bundles/variants.h"
#include "edge/base/jsonx.h"
#include "edge/catalog/hooks.h"
#include "edge/store/blob.h"

enum { TRIES = 8 };

// What the project has under that slug, before anything is written.
struct present {
    bool has_plugin, has_deployment;
    struct plugin plugin;
    struct deployment_head head;
};

static enum fail look(struct db *db, const char *project_id, str slug, struct present *ret,
                      struct fault *fault)
{
    *ret = (struct present){0};
    enum fail fail = catalog_plugin_find(db, project_id, slug, &ret->plugin, fault);
    if (fail == FAIL_NOT_FOUND)
        return FAIL_NONE;
    if (fail != FAIL_NONE)
        return fail;
    ret->has_plugin = true;
    fail = deployment_current(db, ret->plugin.id, &ret->head, fault);
    if (fail == FAIL_NOT_FOUND)
        return FAIL_NONE;
    ret->has_deployment = fail == FAIL_NONE;
    if (fail != FAIL_NONE)
        return fail;
    // after its deployment, so that older names are never taken for those of a newer deployment
    fail = catalog_plugin_find(db, project_id, slug, &ret->plugin, fault);
    if (fail != FAIL_NOT_FOUND)
        return fail;
    deployment_head_fini(&ret->head);
    *ret = (struct present){0};
    return FAIL_NONE;
}

static void present_fini(struct present *p)
{
    deployment_head_fini(&p->head);
}

static enum fail no_plugin(struct fault *fault)
{
    return fault_set(fault, FAIL_NOT_FOUND, "plugin_not_found",
                     "There is no such plugin in this project.");
}

// Deleted since it was named, and perhaps made anew.
static enum fail check_named(const struct ingest_options *o, bool is_there, const struct plugin *p,
                             struct fault *fault)
{
    return o->plugin_id == NULL || (is_there && strcmp(o->plugin_id, p->id) == 0)
               ? FAIL_NONE
               : no_plugin(fault);
}

static enum fail take_over(struct declaration *d, const struct present *p, struct fault *fault)
{
    if (!d->is_archive)
        return FAIL_NONE;
    if (!p->has_deployment)
        return no_plugin(fault);
    declaration_inherit(d, &p->plugin, &p->head);
    return FAIL_NONE;
}

static void add_change(json_t *changes, str path, const char *change, uint64_t bytes)
{
    json_array_append_new(changes, json_pack("{s:o, s:s, s:I}", "path", jsonx_string(path),
                                             "change", change, "bytes", (json_int_t)bytes));
}

// Both lists are sorted by path: one walk tells what was added, modified and removed.
static json_t *compare(const struct deployment_row *before, const struct declaration *d)
{
    json_t *changes = json_array();
    size_t a = 0, b = 0;
    while (a != before->file_count || b != d->file_count) {
        const struct bundle_file *old = a != before->file_count ? &before->files[a] : NULL;
        const struct declared_file *new = b != d->file_count ? &d->files[b] : NULL;
        int order = old == NULL ? 1 : new == NULL ? -1 : str_cmp(old->path, new->path);
        if (order < 0)
            add_change(changes, old->path, "removed", old->size[ENCODING_IDENTITY]);
        else if (order > 0)
            add_change(changes, new->path, "added", new->content.n);
        else if (!digest_eq(&old->sha256[ENCODING_IDENTITY], &new->row.sha256[ENCODING_IDENTITY]))
            add_change(changes, new->path, "modified", new->content.n);
        a += order <= 0;
        b += order >= 0;
    }
    return changes;
}

static enum fail find_changes(struct db *db, const struct present *p, const struct declaration *d,
                              json_t **ret, struct fault *fault)
{
    struct deployment_row before = {0};
    if (p->has_deployment) {
        enum fail fail = deployment_files(db, p->head.id, &before, fault);
        if (fail != FAIL_NONE)
            return fail;
    }
    *ret = compare(&before, d);
    deployment_row_fini(&before);
    return FAIL_NONE;
}

static enum fail write_blobs(struct declaration *d, struct fault *fault)
{
    const str texts[] = {d->source, d->code, d->widget};
    enum fail fail = FAIL_NONE;
    for (size_t i = 0; fail == FAIL_NONE && i != sizeof texts / sizeof texts[0]; ++i)
        if (texts[i].p != NULL)
            fail = blob_put(texts[i], NULL, fault);
    for (size_t i = 0; fail == FAIL_NONE && i != d->file_count; ++i)
        fail = variants_make(&d->files[i], fault);
    return fail == FAIL_NONE ? blob_sync(fault) : fail;
}

enum fail ingest_check_origin(struct db *db, const char *project_id, const char *plugin_id,
                              bool has_pages, bool may_share, struct fault *fault)
{
    uint64_t others = 0;
    if (!has_pages || may_share)
        return FAIL_NONE;
    enum fail fail = catalog_serving_projects(db, project_id, plugin_id, &others, fault);
    if (fail != FAIL_NONE || others == 0)
        return fail;
    return fault_set(
        fault, FAIL_CONFLICT, "instance_domain_required",
        "Another project's apps are served from this origin already, and browsers would let the "
        "two read each other's storage. "
        "The operator can set instance_domain, which gives every app a host of its own.");
}

static bool has_code(const struct declaration *d)
{
    return (d->code.p != NULL || d->inherits_code) && !str_eq(d->tier, STR("skill"));
}

static enum fail pick_instance(struct db *db, const char *project_id, const struct declaration *d,
                               struct ingest_result *ret, struct fault *fault)
{
    bool is_new = false;
    enum fail fail = catalog_instance_first(db, project_id, ret->plugin.id, &ret->instance, fault);
    if (fail == FAIL_NOT_FOUND) {
        ret->instance = (struct instance){0};
        if (d->config == NULL && !has_code(d))
            return FAIL_NONE;
        is_new = true;
        fail = catalog_instance_create(db, project_id, &ret->plugin, &ret->instance, fault);
    }
    // once it had pages, there are deployments that have
    if (fail == FAIL_NONE && (is_new || d->config != NULL))
        fail = catalog_plugin_serves_pages(db, ret->plugin.id, d->config != NULL, fault);
    return fail;
}

static enum fail audit(struct call *call, const struct ingest_result *r, struct fault *fault)
{
    json_auto_t *facts =
        json_pack("{s:s, s:s}", "deployment", r->deployment_id, "plugin", r->plugin.slug);
    return audit_append(call->db, call->principal->project_id, call->principal->token_id,
                        r->is_new_plugin ? "plugin.create" : "deployment.create", r->plugin.id,
                        call->request_id, call->peer, facts, fault);
}

// Whether what is live is still what `p` has.
static bool is_present(const struct present *p, const struct deployment_head *now)
{
    return now == NULL ? !p->has_deployment : p->has_deployment && strcmp(p->head.id, now->id) == 0;
}

// Under the plugin's lock. FAIL_CONFLICT with *ret_is_overtaken: another was switched to since.
static enum fail compare_present(struct db *db, const struct present *p, struct ingest_result *ret,
                                 bool *ret_is_overtaken, struct fault *fault)
{
    struct deployment_head now = {0};
    enum fail fail = deployment_current(db, ret->plugin.id, &now, fault);
    if (fail != FAIL_NONE && fail != FAIL_NOT_FOUND)
        return fail;
    *ret_is_overtaken = !is_present(p, fail == FAIL_NONE ? &now : NULL);
    deployment_head_fini(&now);
    return *ret_is_overtaken
               ? fault_set(fault, FAIL_CONFLICT, "deployment_changed",
                           "Others deployed or activated versions of this plugin meanwhile. "
                           "Nothing was changed; please deploy again.")
               : FAIL_NONE;
}

static struct room_question room_of(struct call *call, const struct declaration *d,
                                    const struct ingest_options *o, const struct present *p,
                                    const char *plugin_id)
{
    return (struct room_question){.project_id = call->principal->project_id,
                                  .plugin_id = plugin_id,
                                  .replaces = p->has_deployment ? p->head.id : NULL,
                                  .declaration = d,
                                  .limits = o->limits};
}

static enum fail ask_room(struct call *call, const struct declaration *d,
                          const struct ingest_options *o, const struct present *p,
                          struct ingest_result *ret, struct fault *fault)
{
    struct room_question q = room_of(call, d, o, p, p->has_plugin ? p->plugin.id : NULL);
    enum fail fail = room_ask(call->db, &q, fault);
    return fail == FAIL_NONE && !o->is_dry_run
               ? room_may_write(call->db, &q, &ret->retry_after, fault)
               : fail;
}

static bool is_same(const struct present *p, const struct declaration *d)
{
    return p->has_deployment && digest_eq(&p->head.content, &d->content);
}

static void set_replaces(struct ingest_result *ret, const struct present *p)
{
    if (p->has_deployment)
        memcpy(ret->replaces, ret->is_unchanged ? p->head.replaces : p->head.id,
               sizeof ret->replaces);
}

static enum fail insert(struct call *call, const struct declaration *d,
                        const struct ingest_options *o, const struct present *p,
                        struct ingest_result *ret, struct fault *fault)
{
    struct room_question q = room_of(call, d, o, p, ret->plugin.id);
    enum fail fail = room_make(call->db, &q, ret->is_new_plugin, fault);
    if (fail != FAIL_NONE)
        return fail;
    return deployment_insert(call->db, &ret->plugin, call->principal->token_id, q.replaces, d,
                             ret->deployment_id, &ret->created_at, fault);
}

static enum fail insert_or_keep(struct call *call, const struct declaration *d,
                                const struct ingest_options *o, const struct present *p,
                                struct ingest_result *ret, struct fault *fault)
{
    ret->is_unchanged = is_same(p, d);
    set_replaces(ret, p);
    if (!ret->is_unchanged)
        return insert(call, d, o, p, ret, fault);
    memcpy(ret->deployment_id, p->head.id, sizeof ret->deployment_id);
    ret->created_at = p->head.created_at;
    return FAIL_NONE;
}

// The upsert locks the plugin's row, so deploys of one plugin come one after the other; the second
// finds what the first has made, and begins anew.
static enum fail switch_over(struct call *call, const struct declaration *d,
                             const struct ingest_options *o, const struct present *p,
                             struct ingest_result *ret, bool *ret_is_overtaken, struct fault *fault)
{
    struct db *db = call->db;
    const char *project_id = call->principal->project_id;
    enum fail fail = catalog_plugin_upsert(db, project_id, d->name, d->display_name, d->version,
                                           d->tier, &ret->plugin, &ret->is_new_plugin, fault);
    if (fail == FAIL_NONE)
        fail = check_named(o, !ret->is_new_plugin, &ret->plugin, fault);
    if (fail == FAIL_NONE)
        fail = compare_present(db, p, ret, ret_is_overtaken, fault);
    if (fail == FAIL_NONE)
        fail = ingest_check_origin(db, project_id, ret->plugin.id, d->config != NULL, o->may_share,
                                   fault);
    if (fail == FAIL_NONE)
        fail = insert_or_keep(call, d, o, p, ret, fault);
    if (fail == FAIL_NONE)
        fail = pick_instance(db, project_id, d, ret, fault);
    if (fail == FAIL_NONE)
        fail = deployment_activate(db, ret->plugin.id, ret->deployment_id, fault);
    if (fail == FAIL_NONE)
        fail = deployment_notify(db, ret->plugin.id, fault);
    if (fail == FAIL_NONE && !ret->is_unchanged)
        fail = audit(call, ret, fault);
    return fail;
}

static enum fail dry_run(struct call *call, const struct declaration *d,
                         const struct ingest_options *o, const struct present *p,
                         struct ingest_result *ret, struct fault *fault)
{
    struct db *db = call->db;
    ret->is_new_plugin = !p->has_plugin;
    ret->is_unchanged = is_same(p, d);
    set_replaces(ret, p);
    ret->created_at = p->has_deployment && ret->is_unchanged ? p->head.created_at : 0;
    if (ret->is_unchanged)
        memcpy(ret->deployment_id, p->head.id, sizeof ret->deployment_id);
    snprintf(ret->plugin.slug, sizeof ret->plugin.slug, "%.*s", STR_FMT(d->name));
    snprintf(ret->plugin.display_name, sizeof ret->plugin.display_name, "%.*s",
             STR_FMT(d->display_name));
    snprintf(ret->plugin.version, sizeof ret->plugin.version, "%.*s", STR_FMT(d->version));
    snprintf(ret->plugin.tier, sizeof ret->plugin.tier, "%.*s", STR_FMT(d->tier));
    if (p->has_plugin) {
        memcpy(ret->plugin.id, p->plugin.id, sizeof ret->plugin.id);
        enum fail fail = catalog_instance_first(db, call->principal->project_id, p->plugin.id,
                                                &ret->instance, fault);
        if (fail != FAIL_NONE && fail != FAIL_NOT_FOUND)
            return fail;
    }
    enum fail fail = db_begin(db, fault);
    if (fail == FAIL_NONE)
        fail =
            ingest_check_origin(db, call->principal->project_id, p->has_plugin ? p->plugin.id : "",
                                d->config != NULL, o->may_share, fault);
    db_rollback(db);
    return fail;
}

static struct deploy_facts facts_of(struct call *call, const struct declaration *d,
                                    const struct present *p, const struct plugin *plugin)
{
    struct deploy_facts f = {.project_id = call->principal->project_id,
                             .plugin = plugin,
                             .front = d->front,
                             .code_line = d->code_line};
    if (d->code.p != NULL && has_code(d)) {
        struct digest digest = digest_sha256(d->code);
        f.code = d->code;
        f.is_code_new =
            !(p->has_deployment && p->head.has_code && digest_eq(&digest, &p->head.code));
    }
    return f;
}

static enum fail ask_others(struct call *call, const struct declaration *d,
                            const struct ingest_options *o, const struct present *p,
                            struct fault *fault)
{
    struct plugin plugin = p->plugin;
    snprintf(plugin.slug, sizeof plugin.slug, "%.*s", STR_FMT(d->name));
    struct deploy_facts f = facts_of(call, d, p, &plugin);
    enum fail fail = catalog_ask_deploy(call->db, &f, o->problems, o->warnings, fault);
    return fail == FAIL_NONE && o->problems->count != 0 ? FAIL_REFUSED : fail;
}

static void tell_others(struct call *call, const struct declaration *d,
                        const struct ingest_options *o, const struct present *p,
                        const struct ingest_result *r)
{
    struct deploy_facts f = facts_of(call, d, p, &r->plugin);
    f.instance = r->instance.id[0] != '\0' ? &r->instance : NULL;
    catalog_tell_deployed(call->db, &f, o->warnings);
}

static enum fail carry_out(struct call *call, struct declaration *d, const struct ingest_options *o,
                           const struct present *p, struct ingest_result *ret,
                           bool *ret_is_overtaken, struct fault *fault)
{
    enum fail fail = FAIL_NONE;
    if (!is_same(p, d))
        fail = write_blobs(d, fault); // compressed for nothing otherwise
    if (fail == FAIL_NONE)
        fail = db_begin(call->db, fault);
    if (fail == FAIL_NONE)
        fail = switch_over(call, d, o, p, ret, ret_is_overtaken, fault);
    if (fail == FAIL_NONE)
        fail = db_commit(call->db, fault);
    else
        db_rollback(call->db);
    if (fail == FAIL_NONE) {
        serve_forget(ret->plugin.id);
        tell_others(call, d, o, p, ret);
    }
    return fail;
}

static enum fail ingest_once(struct call *call, struct declaration *d,
                             const struct ingest_options *o, struct ingest_result *ret,
                             bool *ret_is_overtaken, struct fault *fault)
{
    *ret = (struct ingest_result){0};
    struct present p;
    enum fail fail = look(call->db, call->principal->project_id, d->name, &p, fault);
    if (fail == FAIL_NONE)
        fail = check_named(o, p.has_plugin, &p.plugin, fault);
    if (fail == FAIL_NONE)
        fail = take_over(d, &p, fault);
    if (fail == FAIL_NONE)
        fail = find_changes(call->db, &p, d, &ret->changes, fault);
    if (fail == FAIL_NONE)
        fail = ask_others(call, d, o, &p, fault);
    if (fail == FAIL_NONE && !is_same(&p, d))
        fail = ask_room(call, d, o, &p, ret, fault);
    if (fail == FAIL_NONE)
        fail = o->is_dry_run ? dry_run(call, d, o, &p, ret, fault)
                             : carry_out(call, d, o, &p, ret, ret_is_overtaken, fault);
    present_fini(&p);
    if (fail != FAIL_NONE) {
        json_decref(ret->changes);
        ret->changes = NULL;
    }
    return fail;
}

enum fail ingest(struct call *call, struct declaration *d, const struct ingest_options *o,
                 struct ingest_result *ret, struct fault *fault)
{
    struct problems warned = *o->warnings; // before the others were asked
    enum fail fail;
    bool is_overtaken;
    unsigned tries = 0;
    do {
        o->warnings->count = warned.count;
        o->warnings->left_out = warned.left_out;
        is_overtaken = false;
        fail = ingest_once(call, d, o, ret, &is_overtaken, fault);
    } while (is_overtaken && ++tries != TRIES);
    return fail;
}
