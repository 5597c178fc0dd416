// Deployments of a plugin: list, activate, export.
#include "bundles/api.h"
#include <stdio.h>
#include <stdlib.h>
#include "bundles/export.h"
#include "bundles/ingest.h"
#include "bundles/pie.h"
#include "edge/catalog/hooks.h"
#include "edge/base/jsonx.h"

static struct page_key key_of(const struct deployment_head *h)
{
    struct page_key key = {.at = h->created_at};
    snprintf(key.id, sizeof key.id, "%s", h->id);
    return key;
}

enum fail api_list_deployments(struct call *call, struct answer *answer, struct fault *fault)
{
    struct plugin p;
    struct page page;
    unsigned limit;
    struct deployment_head *list = NULL;
    size_t fetched = 0;
    enum fail fail = call_limit(call, &limit, fault);
    if (fail == FAIL_NONE)
        fail = page_init(&page, call_query(call, "cursor"), limit, fault);
    if (fail == FAIL_NONE)
        fail = api_find_plugin(call, &p, fault);
    if (fail == FAIL_NONE)
        fail = deployment_page(call->db, p.id, &page, &list, &fetched, fault);
    if (fail != FAIL_NONE)
        return fail;
    json_t *data = json_array();
    size_t shown = page_shown(&page, fetched);
    for (size_t i = 0; i != shown; ++i)
        json_array_append_new(data, deployment_json(&list[page_row(&page, fetched, i)]));
    struct page_key first = {0}, last = {0};
    if (shown != 0) {
        first = key_of(&list[page_row(&page, fetched, 0)]);
        last = key_of(&list[page_row(&page, fetched, shown - 1)]);
    }
    answer->json = page_json(&page, data, fetched, &first, &last);
    free(list);
    return FAIL_NONE;
}

static enum fail find_deployment(struct call *call, struct plugin *p, struct deployment_head *ret,
                                 struct fault *fault)
{
    enum fail fail = api_find_plugin(call, p, fault);
    return fail == FAIL_NONE ? deployment_find(call->db, p->id, call->params[1], ret, fault) : fail;
}

enum fail api_get_deployment(struct call *call, struct answer *answer, struct fault *fault)
{
    struct plugin p;
    struct deployment_head h;
    enum fail fail = find_deployment(call, &p, &h, fault);
    if (fail != FAIL_NONE)
        return fail;
    answer->json = deployment_json(&h);
    deployment_head_fini(&h);
    return FAIL_NONE;
}

static str front_text(const struct deployment_head *h, const char *key, const char *fallback)
{
    str s = jsonx_str(h->front, key);
    return s.p != NULL ? s : str_from(fallback);
}

// Pages that were not served until now may meet another project's, which came since.
static enum fail serve_pages(struct call *call, const struct plugin *p, struct fault *fault)
{
    enum fail fail =
        ingest_check_origin(call->db, p->project_id, p->id, true, api_may_share_origin(), fault);
    return fail == FAIL_NONE ? catalog_plugin_serves_pages(call->db, p->id, true, fault) : fail;
}

// Again, under the plugin's lock: it may have been deleted since it was found.
static enum fail check_is_there(struct call *call, const struct deployment_head *h,
                                struct fault *fault)
{
    struct deployment_head now;
    enum fail fail = deployment_find(call->db, h->plugin_id, str_from(h->id), &now, fault);
    if (fail == FAIL_NONE)
        deployment_head_fini(&now);
    return fail;
}

// The catalogue's row says what is live, so name and version follow the pointer.
static enum fail activate(struct call *call, const struct deployment_head *h, struct plugin *p,
                          struct fault *fault)
{
    bool is_new;
    enum fail fail = db_begin(call->db, fault);
    if (fail == FAIL_NONE) // that one: the slug alone would make another of a deleted plugin
        fail = catalog_plugin_lock(call->db, p->id, fault);
    if (fail == FAIL_NONE)
        fail = check_is_there(call, h, fault);
    if (fail == FAIL_NONE)
        fail = catalog_plugin_upsert(call->db, p->project_id, str_from(p->slug),
                                     front_text(h, "displayName", p->display_name),
                                     front_text(h, "version", p->version),
                                     front_text(h, "tier", p->tier), p, &is_new, fault);
    if (fail == FAIL_NONE && h->has_app)
        fail = serve_pages(call, p, fault);
    if (fail == FAIL_NONE)
        fail = deployment_activate(call->db, p->id, h->id, fault);
    if (fail == FAIL_NONE)
        fail = api_commit(call, p->id, "deployment.activate", h->id, fault);
    return fail;
}

// The other features follow the pointer; what they find is a warning.
static void tell_others(struct call *call, const struct deployment_head *h, const struct plugin *p,
                        struct problems *warnings)
{
    struct instance instance;
    struct deploy_facts f = {
        .project_id = call->principal->project_id, .plugin = p, .front = h->front};
    if (catalog_instance_first(call->db, f.project_id, p->id, &instance, NULL) == FAIL_NONE)
        f.instance = &instance;
    catalog_tell_deployed(call->db, &f, warnings);
}

enum fail api_activate_deployment(struct call *call, struct answer *answer, struct fault *fault)
{
    struct plugin p;
    struct deployment_head h;
    enum fail fail = find_deployment(call, &p, &h, fault);
    if (fail != FAIL_NONE)
        return fail;
    fail = activate(call, &h, &p, fault);
    struct problems warnings;
    problems_init(&warnings);
    if (fail == FAIL_NONE) {
        tell_others(call, &h, &p, &warnings);
        h.is_active = true;
        json_t *plugin = catalog_plugin_json(&p), *extra = json_object();
        fail = api_add_plugin_extra(call->db, &p, extra, fault);
        answer->json = json_pack(
            "{s:o, s:O?, s:o, s:O?, s:o}", "plugin", plugin, "instance",
            json_object_get(extra, "instance"), "deployment", deployment_json(&h), "publicAppUrl",
            json_object_get(extra, "publicAppUrl"), "warnings", pie_warnings_json(&warnings));
        json_decref(extra);
    }
    problems_fini(&warnings);
    deployment_head_fini(&h);
    return fail;
}

// What instances point at, or archives of an app without any go on from. Under the plugin's lock.
static enum fail check_is_not_live(struct call *call, const char *plugin_id, const char *id,
                                   struct fault *fault)
{
    struct deployment_head current;
    enum fail fail = deployment_current(call->db, plugin_id, &current, fault);
    if (fail != FAIL_NONE)
        return fail;
    if (strcmp(current.id, id) == 0)
        fail = fault_set(fault, FAIL_CONFLICT, "deployment_is_live",
                         "This is the live deployment. Deploy another version or roll back first, "
                         "or delete the plugin.");
    deployment_head_fini(&current);
    return fail;
}

enum fail api_delete_deployment(struct call *call, struct answer *answer, struct fault *fault)
{
    struct plugin p;
    struct deployment_head h;
    enum fail fail = find_deployment(call, &p, &h, fault);
    if (fail != FAIL_NONE)
        return fail;
    fail = db_begin(call->db, fault);
    if (fail == FAIL_NONE)
        fail = catalog_plugin_lock(call->db, p.id, fault);
    if (fail == FAIL_NONE)
        fail = check_is_not_live(call, p.id, h.id, fault);
    if (fail == FAIL_NONE)
        fail = deployment_delete(call->db, p.id, h.id, fault);
    if (fail == FAIL_NONE)
        fail = api_commit(call, p.id, "deployment.delete", h.id, fault);
    h.is_active = false;
    if (fail == FAIL_NONE)
        answer->json = deployment_json(&h);
    deployment_head_fini(&h);
    return fail;
}

enum fail api_export_files(struct call *call, struct answer *answer, struct fault *fault)
{
    struct plugin p;
    struct deployment_head h;
    struct deployment_row files;
    enum fail fail = find_deployment(call, &p, &h, fault);
    if (fail != FAIL_NONE)
        return fail;
    fail = deployment_files(call->db, h.id, &files, fault);
    if (fail == FAIL_NONE) {
        fail = export_archive(call->principal->project_id, &files, h.config, h.created_at / 1000,
                              &answer->stream, fault);
        deployment_row_fini(&files);
        answer->stream_type = "application/x-tar";
        answer->stream_size = -1;
        snprintf(answer->stream_filename, sizeof answer->stream_filename, "%s-%s.tar", p.slug,
                 h.id);
    }
    deployment_head_fini(&h);
    return fail;
}

enum fail api_export_source(struct call *call, struct answer *answer, struct fault *fault)
{
    struct plugin p;
    struct deployment_head h;
    enum fail fail = find_deployment(call, &p, &h, fault);
    if (fail != FAIL_NONE)
        return fail;
    fail = h.has_source ? export_blob(call->principal->project_id, &h.source, &answer->stream,
                                      &answer->stream_size, fault)
                        : fault_set(fault, FAIL_NOT_FOUND, "no_source",
                                    "This deployment was an archive, so there is no .pie file. Its "
                                    "files are in archive.tar.");
    answer->stream_type = "text/plain; charset=utf-8";
    snprintf(answer->stream_filename, sizeof answer->stream_filename, "%s.pie", p.slug);
    deployment_head_fini(&h);
    return fail;
}
