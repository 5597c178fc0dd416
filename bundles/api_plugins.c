// Plugins and their instances: look at, publish once more, take off.
#include "bundles/api.h"
#include <stdio.h>
#include <stdlib.h>
#include "bundles/ingest.h"
#include "bundles/serve.h"
#include "edge/catalog/hooks.h"
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"

struct bundle_options api_options;

json_t *api_url_json(const char *plugin_slug, const char *instance_slug)
{
    if (api_options.instance_domain[0] != '\0')
        return json_sprintf("%s://%s.%s%s/", api_options.instance_scheme, instance_slug,
                            api_options.instance_domain, api_options.instance_port);
    return json_sprintf("%s/apps/%s/%s/", api_options.apps_origin, plugin_slug, instance_slug);
}

json_t *api_instance_json(const struct plugin *p, const struct instance *i)
{
    char created[CLOCK_RFC3339_ROOM];
    clock_rfc3339(i->created_at, created);
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:s}", "id", i->id, "slug", i->slug, "pluginId",
                     i->plugin_id, "pluginSlug", p->slug, "url", api_url_json(p->slug, i->slug),
                     "createdAt", created);
}

bool api_may_share_origin(void)
{
    return api_options.shared_origin || api_options.instance_domain[0] != '\0';
}

enum fail api_find_plugin(struct call *call, struct plugin *ret, struct fault *fault)
{
    return catalog_plugin_find(call->db, call->principal->project_id, call->params[0], ret, fault);
}

enum fail api_commit(struct call *call, const char *plugin_id, const char *action,
                     const char *subject, struct fault *fault)
{
    enum fail fail = deployment_notify(call->db, plugin_id, fault);
    if (fail == FAIL_NONE)
        fail = audit_append(call->db, call->principal->project_id, call->principal->token_id,
                            action, subject, call->request_id, call->peer, NULL, fault);
    if (fail == FAIL_NONE)
        fail = db_commit(call->db, fault);
    if (fail == FAIL_NONE)
        serve_forget(plugin_id);
    return fail;
}

static void add_standing(const struct plugin *p, const struct deployment_standing *s,
                         json_t *object)
{
    bool is_public = s->has_instance && s->has_head && s->head.has_app;
    json_object_set_new(object, "deployment",
                        s->has_head ? deployment_json(&s->head) : json_null());
    json_object_set_new(object, "instance",
                        s->has_instance ? api_instance_json(p, &s->instance) : json_null());
    json_object_set_new(object, "publicAppUrl",
                        is_public ? api_url_json(p->slug, s->instance.slug) : json_null());
}

enum fail api_add_plugin_extra(struct db *db, const struct plugin *p, json_t *object,
                               struct fault *fault)
{
    struct deployment_standing standing;
    enum fail fail = deployment_standings(db, p, 1, &standing, fault);
    if (fail == FAIL_NONE)
        add_standing(p, &standing, object);
    return fail;
}

static enum fail add_page_extra(struct db *db, const struct plugin *plugins, size_t count,
                                json_t *objects, struct fault *fault)
{
    struct deployment_standing *list AUTOFREE = calloc(count, sizeof *list);
    if (list == NULL)
        abort();
    enum fail fail = deployment_standings(db, plugins, count, list, fault);
    for (size_t i = 0; fail == FAIL_NONE && i != count; ++i)
        add_standing(&plugins[i], &list[i], json_array_get(objects, i));
    return fail;
}

enum fail api_list_plugins(struct call *call, struct answer *answer, struct fault *fault)
{
    unsigned limit;
    enum fail fail = call_limit(call, &limit, fault);
    if (fail != FAIL_NONE)
        return fail;
    return catalog_plugin_list(call->db, call->principal->project_id, limit,
                               call_query(call, "cursor"), add_page_extra, &answer->json, fault);
}

enum fail api_get_plugin(struct call *call, struct answer *answer, struct fault *fault)
{
    struct plugin p;
    enum fail fail = api_find_plugin(call, &p, fault);
    if (fail != FAIL_NONE)
        return fail;
    answer->json = catalog_plugin_json(&p);
    return api_add_plugin_extra(call->db, &p, answer->json, fault);
}

// Each project reads in its own trail that its apps went with somebody else's plugin.
static enum fail audit_users(struct call *call, const struct plugin *p, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = catalog_plugin_users(call->db, p, &rows, fault);
    for (size_t i = 0; fail == FAIL_NONE && i != db_count(rows); ++i) {
        json_auto_t *facts = json_pack("{s:s, s:I}", "plugin", p->slug, "instances",
                                       (json_int_t)db_get_int(rows, i, 1));
        fail = audit_append(call->db, db_get(rows, i, 0).p, "platform", "plugin.delete", p->id,
                            call->request_id, (str){0}, facts, fault);
    }
    return fail;
}

static enum fail remove_plugin(struct call *call, const struct plugin *p, bool keep_data,
                               struct fault *fault)
{
    enum fail fail = db_begin(call->db, fault);
    if (fail == FAIL_NONE)
        fail = catalog_plugin_lock(call->db, p->id, fault);
    if (fail == FAIL_NONE)
        fail = audit_users(call, p, fault);
    if (fail == FAIL_NONE)
        fail = catalog_tell_delete(call->db, p, keep_data, fault);
    if (fail == FAIL_NONE)
        fail = deployment_delete_all(call->db, p->id, fault);
    if (fail == FAIL_NONE)
        fail = catalog_plugin_delete(call->db, call->principal->project_id, p->id, fault);
    if (fail == FAIL_NONE)
        fail = api_commit(call, p->id, "plugin.delete", p->id, fault);
    return fail;
}

// {"otherProjects":{"projects","instances"}} when there are any; who they are is not said.
static enum fail count_users(struct call *call, const struct plugin *p, json_t *what,
                             struct fault *fault)
{
    json_int_t instances = 0;
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = catalog_plugin_users(call->db, p, &rows, fault);
    size_t n = fail == FAIL_NONE ? db_count(rows) : 0;
    for (size_t i = 0; i != n; ++i)
        instances += db_get_int(rows, i, 1);
    if (n != 0)
        json_object_set_new(
            what, "otherProjects",
            json_pack("{s:I, s:I}", "projects", (json_int_t)n, "instances", instances));
    return fail;
}

// What other features keep for the plugin is listed in `data`; it is kept or deleted only by a
// decision of the owner's. `data` (of the query) NULL: not asked for; `is_forced` is for names that
// visitors know.
static enum fail ask_delete(struct call *call, const struct plugin *p, bool is_dry_run,
                            bool is_forced, str data, struct answer *answer, struct fault *fault)
{
    bool has_data;
    json_t *what = json_object();
    enum fail fail = catalog_ask_delete(call->db, p, what, &has_data, fault);
    if (fail == FAIL_NONE)
        fail = count_users(call, p, what, fault);
    if (fail == FAIL_NONE && json_object_get(what, "otherProjects") != NULL && !is_dry_run &&
        !is_forced) {
        answer->details = json_pack("{s:O}", "data", what);
        fail = fault_set(fault, FAIL_CONFLICT, "has_instances",
                         "Other projects have apps made from this plugin, counted in "
                         "details.data.otherProjects; they would end with it. Say force=true if "
                         "they shall.");
    } else if (fail == FAIL_NONE && json_object_get(what, "domains") != NULL && !is_dry_run &&
               !is_forced) {
        answer->details = json_pack("{s:O}", "data", what);
        fail = fault_set(fault, FAIL_CONFLICT, "has_domains",
                         "Visitors know this app by its own domains, listed in "
                         "details.data.domains. Say force=true to take those off as well.");
    } else if (fail == FAIL_NONE && has_data && !is_dry_run && data.p == NULL) {
        answer->details = json_pack("{s:O}", "data", what);
        fail =
            fault_set(fault, FAIL_CONFLICT, "has_data",
                      "This plugin has data of its own, listed in details.data. Say data=keep or "
                      "data=delete; data=delete cannot be undone.");
    }
    if (fail == FAIL_NONE)
        json_object_set(answer->json, "data", what);
    json_decref(what);
    return fail;
}

enum fail api_delete_plugin(struct call *call, struct answer *answer, struct fault *fault)
{
    struct plugin p;
    bool is_dry_run, is_forced;
    str data = call_query(call, "data");
    enum fail fail = call_query_bool(call, "dryRun", false, &is_dry_run, fault);
    if (fail == FAIL_NONE)
        fail = call_query_bool(call, "force", false, &is_forced, fault);
    if (fail == FAIL_NONE && data.p != NULL && !str_eq(data, STR("keep")) &&
        !str_eq(data, STR("delete")))
        fail = fault_set(fault, FAIL_REFUSED, "invalid_parameter",
                         "The query parameter \"data\" must be keep or delete.");
    if (fail == FAIL_NONE)
        fail = api_find_plugin(call, &p, fault);
    if (fail != FAIL_NONE)
        return fail;
    answer->json = catalog_plugin_json(&p);
    fail = api_add_plugin_extra(call->db, &p, answer->json, fault);
    if (fail == FAIL_NONE)
        fail = ask_delete(call, &p, is_dry_run, is_forced, data, answer, fault);
    if (fail == FAIL_NONE && is_dry_run)
        json_object_set_new(answer->json, "dryRun", json_true());
    else if (fail == FAIL_NONE)
        fail = remove_plugin(call, &p, !str_eq(data, STR("delete")), fault);
    return fail;
}

// --- instances: of the project's own plugins, and its own of a platform's ---

// One that the project has instances of, or may have.
static enum fail find_used_or_offered(struct call *call, struct plugin *ret, struct fault *fault)
{
    const char *project_id = call->principal->project_id;
    enum fail fail = catalog_plugin_used(call->db, project_id, call->params[0], ret, fault);
    return fail == FAIL_NOT_FOUND
               ? catalog_find_offered(call->db, project_id, call->params[0], ret, fault)
               : fail;
}

// What it may have today: its own comes first, whatever else has that slug.
static enum fail find_own_or_offered(struct call *call, struct plugin *ret, struct fault *fault)
{
    enum fail fail = api_find_plugin(call, ret, fault);
    return fail == FAIL_NOT_FOUND ? catalog_find_offered(call->db, call->principal->project_id,
                                                         call->params[0], ret, fault)
                                  : fail;
}

static struct page_key instance_key(const struct instance *i)
{
    struct page_key key = {.at = i->created_at};
    snprintf(key.id, sizeof key.id, "%s", i->id);
    return key;
}

static json_t *instances_json(const struct plugin *p, const struct page *page,
                              const struct instance *list, size_t fetched)
{
    json_t *data = json_array();
    struct page_key first = {0}, last = {0};
    size_t shown = page_shown(page, fetched);
    for (size_t i = 0; i != shown; ++i)
        json_array_append_new(data, api_instance_json(p, &list[page_row(page, fetched, i)]));
    if (shown != 0) {
        first = instance_key(&list[page_row(page, fetched, 0)]);
        last = instance_key(&list[page_row(page, fetched, shown - 1)]);
    }
    return page_json(page, data, fetched, &first, &last);
}

enum fail api_list_instances(struct call *call, struct answer *answer, struct fault *fault)
{
    struct plugin p;
    struct page page;
    unsigned limit;
    struct instance *list AUTOFREE = NULL;
    size_t fetched = 0;
    enum fail fail = call_limit(call, &limit, fault);
    if (fail == FAIL_NONE)
        fail = page_init(&page, call_query(call, "cursor"), limit, fault);
    if (fail == FAIL_NONE)
        fail = find_used_or_offered(call, &p, fault);
    if (fail == FAIL_NONE)
        fail = catalog_instance_page(call->db, call->principal->project_id, p.id, &page, &list,
                                     &fetched, fault);
    if (fail == FAIL_NONE)
        answer->json = instances_json(&p, &page, list, fetched);
    return fail;
}

// Under the plugin's lock, which all who make instances of it hold.
static enum fail check_room(struct call *call, const struct plugin *p, struct fault *fault)
{
    uint64_t count = 0;
    enum fail fail =
        catalog_instance_count(call->db, call->principal->project_id, p->id, &count, fault);
    if (fail != FAIL_NONE || count < api_options.instances_per_plugin)
        return fail;
    return fault_set(fault, FAIL_QUOTA, "quota_exceeded",
                     "This project has %llu instances of this plugin, as many as it may have. "
                     "Delete one first.",
                     (unsigned long long)count);
}

// It has pages when the others have, whatever is live: a roll back may bring them back.
static enum fail insert_instance(struct call *call, const struct plugin *p, bool has_app,
                                 struct instance *ret, struct fault *fault)
{
    const char *project_id = call->principal->project_id;
    bool has_pages = false;
    enum fail fail = catalog_plugin_has_pages(call->db, p->id, &has_pages, fault);
    has_pages = has_pages || has_app;
    if (fail == FAIL_NONE)
        fail = ingest_check_origin(call->db, project_id, p->id, has_pages, api_may_share_origin(),
                                   fault);
    if (fail == FAIL_NONE)
        fail = catalog_instance_create(call->db, project_id, p, ret, fault);
    if (fail == FAIL_NONE)
        fail = catalog_plugin_serves_pages(call->db, p->id, has_pages, fault);
    return fail;
}

static enum fail make_instance(struct call *call, const struct plugin *p, struct instance *ret,
                               struct fault *fault)
{
    struct deployment_head h;
    enum fail fail = db_begin(call->db, fault);
    if (fail == FAIL_NONE)
        fail = catalog_plugin_lock(call->db, p->id, fault);
    if (fail == FAIL_NONE)
        fail = check_room(call, p, fault);
    if (fail == FAIL_NONE)
        fail = deployment_current(call->db, p->id, &h, fault);
    if (fail != FAIL_NONE)
        return fail;
    fail = insert_instance(call, p, h.has_app, ret, fault);
    if (fail == FAIL_NONE)
        fail = deployment_activate(call->db, p->id, h.id, fault);
    if (fail == FAIL_NONE)
        fail = api_commit(call, p->id, "instance.create", ret->id, fault);
    deployment_head_fini(&h);
    return fail;
}

enum fail api_create_instance(struct call *call, struct answer *answer, struct fault *fault)
{
    struct plugin p;
    struct instance i;
    enum fail fail = find_own_or_offered(call, &p, fault);
    if (fail == FAIL_NONE)
        fail = make_instance(call, &p, &i, fault);
    if (fail == FAIL_NONE)
        answer->json = api_instance_json(&p, &i);
    return fail;
}

enum fail api_describe_instance(struct db *db, const struct instance *i, json_t *object,
                                struct fault *fault)
{
    struct plugin p;
    enum fail fail = catalog_plugin_used(db, i->project_id, str_from(i->plugin_id), &p, fault);
    if (fail == FAIL_NONE)
        json_object_update_new(object, api_instance_json(&p, i));
    return fail;
}

enum fail api_get_instance(struct call *call, struct answer *answer, struct fault *fault)
{
    struct instance i;
    enum fail fail =
        catalog_instance_find(call->db, call->principal->project_id, call->params[0], &i, fault);
    return fail == FAIL_NONE ? catalog_describe_instance(call->db, &i, &answer->json, fault) : fail;
}

enum fail api_delete_instance(struct call *call, struct answer *answer, struct fault *fault)
{
    struct plugin p;
    struct instance i;
    enum fail fail =
        catalog_plugin_used(call->db, call->principal->project_id, call->params[0], &p, fault);
    if (fail == FAIL_NONE)
        fail = catalog_instance_find(call->db, call->principal->project_id, call->params[1], &i,
                                     fault);
    if (fail == FAIL_NONE && strcmp(i.plugin_id, p.id) != 0)
        fail = fault_set(fault, FAIL_NOT_FOUND, "instance_not_found",
                         "There is no such instance of this plugin.");
    if (fail == FAIL_NONE)
        fail = db_begin(call->db, fault);
    if (fail == FAIL_NONE) // deploys switch each of its instances
        fail = catalog_plugin_lock(call->db, p.id, fault);
    if (fail == FAIL_NONE)
        fail = catalog_tell_delete_instance(call->db, i.id, fault);
    if (fail == FAIL_NONE)
        fail = catalog_instance_delete(call->db, call->principal->project_id, i.id, fault);
    if (fail == FAIL_NONE)
        fail = api_commit(call, p.id, "instance.delete", i.id, fault);
    if (fail == FAIL_NONE)
        answer->json = api_instance_json(&p, &i);
    return fail;
}
