// The owner's side: management endpoints of plugins, deployments and instances (contract §3), in
// the order of the table at the end.
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include "bundles/export.h"
#include "bundles/ingest.h"
#include "bundles/serve.h"
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"
#include "edge/base/log.h"
#include "edge/http/multipart/multipart.h"
#include "edge/store/blob.h"

enum { MULTIPART_OVERHEAD = 64 * 1024, COLLECT_AFTER_MS = 24 * 60 * 60 * 1000 };

static struct bundle_options options;

// --- links ---

static json_t *url_json(const char *plugin_slug, const char *instance_slug)
{
    if (options.instance_domain[0] != '\0')
        return json_sprintf("%s://%s.%s%s/", options.instance_scheme, instance_slug,
                            options.instance_domain, options.instance_port);
    return json_sprintf("%s/apps/%s/%s/", options.apps_origin, plugin_slug, instance_slug);
}

static json_t *instance_json(const struct plugin *p, const struct instance *i)
{
    char created[CLOCK_RFC3339_ROOM];
    clock_rfc3339(i->created_at, created);
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:s}", "id", i->id, "slug", i->slug, "pluginId",
                     i->plugin_id, "pluginSlug", p->slug, "url", url_json(p->slug, i->slug),
                     "createdAt", created);
}

// --- deploying ---

static enum fail refuse_problems(struct answer *answer, const struct problems *problems,
                                 const char *code, const char *what, struct fault *fault)
{
    answer->details = json_pack("{s:o}", "problems", problems_json(problems));
    size_t n = problems->count + problems->left_out;
    return fault_set(fault, FAIL_REFUSED, code,
                     "%s has %zu problem%s, listed in details.problems; nothing was changed.", what,
                     n, n == 1 ? "" : "s");
}

static json_t *deployment_answer(const struct ingest_result *r, const struct declaration *d,
                                 bool is_dry_run)
{
    json_t *o = json_pack("{s:I, s:I, s:b}", "fileCount", (json_int_t)d->file_count, "totalBytes",
                          (json_int_t)d->total_bytes, "unchanged", r->is_unchanged);
    json_object_set_new(o, "id",
                        r->deployment_id[0] != '\0' ? json_string(r->deployment_id) : json_null());
    json_object_set(o, "changes", r->changes);
    if (r->created_at != 0) {
        char created[CLOCK_RFC3339_ROOM];
        clock_rfc3339(r->created_at, created);
        json_object_set_new(o, "createdAt", json_string(created));
    }
    if (is_dry_run)
        json_object_set_new(o, "dryRun", json_true());
    return o;
}

// The answer of every deploy (contract §3). `warnings` is taken.
static json_t *ingest_answer(const struct ingest_result *r, const struct declaration *d,
                             json_t *warnings, bool is_dry_run)
{
    bool has_instance = r->instance.id[0] != '\0';
    json_t *plugin =
        json_pack("{s:s, s:s, s:s, s:s}", "slug", r->plugin.slug, "displayName",
                  r->plugin.display_name, "version", r->plugin.version, "tier", r->plugin.tier);
    json_object_set_new(plugin, "id",
                        r->plugin.id[0] != '\0' ? json_string(r->plugin.id) : json_null());
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "plugin", plugin, "instance",
                     has_instance ? instance_json(&r->plugin, &r->instance) : json_null(),
                     "deployment", deployment_answer(r, d, is_dry_run), "publicAppUrl",
                     has_instance && d->config != NULL ? url_json(r->plugin.slug, r->instance.slug)
                                                       : json_null(),
                     "warnings", warnings);
}

static enum fail deploy_declaration(struct call *call, struct declaration *d, bool is_dry_run,
                                    const struct problems *warnings, struct answer *answer,
                                    struct fault *fault)
{
    struct ingest_options o = {.is_dry_run = is_dry_run,
                               .shared_origin = options.shared_origin,
                               .has_instance_domain = options.instance_domain[0] != '\0'};
    struct ingest_result r;
    enum fail fail = ingest(call, d, &o, &r, fault);
    if (fail != FAIL_NONE)
        return fail;
    answer->status = r.is_new_plugin && !is_dry_run ? 201 : 200;
    answer->json = ingest_answer(&r, d, pie_warnings_json(warnings), is_dry_run);
    json_decref(r.changes);
    return FAIL_NONE;
}

struct upload {
    struct buf file;
    unsigned files;
    bool in_file;
};

static enum fail on_part(void *ctx, const struct multipart_part *part, struct fault *fault)
{
    struct upload *u = ctx;
    u->in_file = part->is_file;
    if (part->is_file && ++u->files > 1)
        return fault_set(fault, FAIL_REFUSED, "too_many_files", "Send exactly one file part.");
    return FAIL_NONE;
}

static enum fail on_data(void *ctx, str bytes, struct fault *fault)
{
    struct upload *u = ctx;
    if (!u->in_file)
        return FAIL_NONE;
    buf_add(&u->file, bytes);
    return u->file.full ? fault_set(fault, FAIL_TOO_LARGE, "body_too_large",
                                    "The file is larger than %llu bytes.",
                                    (unsigned long long)options.pie_bytes)
                        : FAIL_NONE;
}

static enum fail read_multipart(const struct call *call, struct buf *ret, struct fault *fault)
{
    static const struct multipart_events events = {.on_part = on_part, .on_data = on_data};
    char boundary[MULTIPART_BOUNDARY_MAX + 1];
    struct upload u = {0};
    buf_init(&u.file, options.pie_bytes);
    enum fail fail = multipart_boundary(call->content_type, boundary, fault);
    if (fail == FAIL_NONE) {
        struct multipart *m = multipart_create(boundary, &events, &u);
        fail = multipart_feed(m, call->body, fault);
        if (fail == FAIL_NONE)
            fail = multipart_end(m, fault);
        multipart_destroy(m);
    }
    if (fail == FAIL_NONE && u.files == 0)
        fail = fault_set(fault, FAIL_REFUSED, "no_file",
                         "The form holds no file. Send the .pie file as one file part.");
    if (fail == FAIL_NONE)
        *ret = u.file;
    else
        buf_fini(&u.file);
    return fail;
}

static bool type_is(str content_type, const char *want)
{
    str type = content_type;
    return str_caseeq(str_trim(str_cut(&type, ';')), str_from(want));
}

// The .pie file of a request: its body, or the one file part. `own` holds the bytes in the second
// case.
static enum fail pie_of_call(const struct call *call, struct buf *own, str *ret,
                             struct fault *fault)
{
    buf_init(own, 0);
    if (type_is(call->content_type, "multipart/form-data")) {
        enum fail fail = read_multipart(call, own, fault);
        *ret = buf_str(own);
        return fail;
    }
    if (call->content_type.n != 0 && !type_is(call->content_type, "text/plain") &&
        !type_is(call->content_type, "application/octet-stream"))
        return fault_set(
            fault, FAIL_BAD_TYPE, "unsupported_media_type",
            "Send the .pie file as text/plain, or as the one file of multipart/form-data.");
    *ret = call->body;
    return FAIL_NONE;
}

// `slug`: the plugin a PUT names, which the file must name too; p == NULL for an import.
static enum fail deploy_pie(struct call *call, str slug, str file, struct answer *answer,
                            struct fault *fault)
{
    bool is_dry_run;
    enum fail fail = call_query_bool(call, "dryRun", false, &is_dry_run, fault);
    if (fail != FAIL_NONE)
        return fail;
    struct pie_limits limits = pie_limits_default;
    limits.file_bytes = options.pie_bytes;
    struct problems problems, warnings;
    problems_init(&problems);
    problems_init(&warnings);
    struct pie pie;
    fail = pie_parse(file, &limits, &pie, &problems, &warnings);
    if (fail == FAIL_NONE) {
        if (slug.p != NULL && !str_eq(slug, pie.name)) {
            fail = fault_set(fault, FAIL_CONFLICT, "slug_mismatch",
                             "The file's name is \"%.*s\", but this plugin is \"%.*s\". Import it "
                             "to make another plugin.",
                             STR_FMT(pie.name), STR_FMT(slug));
        } else {
            struct declaration d;
            declaration_of_pie(&d, &pie, file);
            fail = deploy_declaration(call, &d, is_dry_run, &warnings, answer, fault);
            declaration_fini(&d);
        }
        pie_fini(&pie);
    } else {
        refuse_problems(answer, &problems,
                        fail == FAIL_TOO_LARGE ? "body_too_large" : "invalid_pie", "The .pie file",
                        fault);
    }
    problems_fini(&problems);
    problems_fini(&warnings);
    return fail;
}

static enum fail import_plugin(struct call *call, struct answer *answer, struct fault *fault)
{
    struct buf own;
    str file;
    enum fail fail = pie_of_call(call, &own, &file, fault);
    if (fail == FAIL_NONE)
        fail = deploy_pie(call, (str){0}, file, answer, fault);
    buf_fini(&own);
    return fail;
}

static enum fail find_plugin(struct call *call, struct plugin *ret, struct fault *fault)
{
    return catalog_plugin_find(call->db, call->principal->project_id, call->params[0], ret, fault);
}

static enum fail update_plugin(struct call *call, struct answer *answer, struct fault *fault)
{
    struct plugin p;
    struct buf own;
    str file;
    enum fail fail = find_plugin(call, &p, fault);
    if (fail != FAIL_NONE)
        return fail;
    fail = pie_of_call(call, &own, &file, fault);
    if (fail == FAIL_NONE)
        fail = deploy_pie(call, str_from(p.slug), file, answer, fault);
    buf_fini(&own);
    return fail;
}

static struct config *config_of_archive(const struct bundle_archive *archive,
                                        struct problems *problems, struct problems *warnings)
{
    str *paths = calloc(archive->count != 0 ? archive->count : 1, sizeof *paths);
    if (paths == NULL)
        abort();
    for (size_t i = 0; i != archive->count; ++i)
        paths[i] = archive->files[i].path;
    struct config *config =
        config_load(archive->public_config, archive->public_config.p != NULL, "public-config.yaml",
                    &(struct config_files){paths, archive->count}, problems, warnings);
    free(paths);
    return config;
}

static enum fail deploy_archive(struct call *call, const struct plugin *p, bool is_dry_run,
                                struct problems *problems, struct problems *warnings,
                                struct answer *answer, struct fault *fault)
{
    struct bundle_archive_limits limits = {options.archive_files, options.archive_file_bytes,
                                           options.archive_bytes};
    struct bundle_archive archive;
    enum fail fail = bundle_archive_read(call->body, &limits, &archive, problems, warnings, fault);
    if (fail != FAIL_NONE)
        return fail == FAIL_REFUSED
                   ? refuse_problems(answer, problems, "invalid_bundle", "The archive", fault)
                   : fail;
    struct config *config = config_of_archive(&archive, problems, warnings);
    struct deployment_head before = {0};
    if (config == NULL)
        fail = refuse_problems(answer, problems, "invalid_bundle", "The archive", fault);
    if (fail == FAIL_NONE)
        fail = deployment_current(call->db, p->id, &before, fault);
    if (fail == FAIL_NONE) {
        struct declaration d;
        declaration_of_archive(&d, &archive, config, p, &before);
        fail = deploy_declaration(call, &d, is_dry_run, warnings, answer, fault);
        declaration_fini(&d);
    }
    deployment_head_fini(&before);
    config_destroy(config);
    bundle_archive_fini(&archive);
    return fail;
}

static enum fail create_deployment(struct call *call, struct answer *answer, struct fault *fault)
{
    struct plugin p;
    bool is_dry_run;
    enum fail fail = call_query_bool(call, "dryRun", false, &is_dry_run, fault);
    if (fail == FAIL_NONE)
        fail = find_plugin(call, &p, fault);
    if (fail != FAIL_NONE)
        return fail;
    struct problems problems, warnings;
    problems_init(&problems);
    problems_init(&warnings);
    fail = deploy_archive(call, &p, is_dry_run, &problems, &warnings, answer, fault);
    problems_fini(&problems);
    problems_fini(&warnings);
    return fail;
}

// --- plugins ---

// What a plugin's object says beside the catalogue's own fields: its first instance here, its link,
// its present deployment.
static enum fail add_plugin_extra(struct db *db, const struct plugin *p, json_t *object,
                                  struct fault *fault)
{
    struct instance i;
    struct deployment_head head;
    bool has_app = false;
    enum fail fail = deployment_current(db, p->id, &head, fault);
    if (fail == FAIL_NONE) {
        has_app = head.has_app;
        json_object_set_new(object, "deployment", deployment_json(&head));
        deployment_head_fini(&head);
    } else if (fail == FAIL_NOT_FOUND) {
        json_object_set_new(object, "deployment", json_null());
    } else {
        return fail;
    }
    fail = catalog_instance_first(db, p->project_id, p->id, &i, fault);
    if (fail != FAIL_NONE && fail != FAIL_NOT_FOUND)
        return fail;
    json_object_set_new(object, "instance", fail == FAIL_NONE ? instance_json(p, &i) : json_null());
    json_object_set_new(object, "publicAppUrl",
                        fail == FAIL_NONE && has_app ? url_json(p->slug, i.slug) : json_null());
    return FAIL_NONE;
}

static enum fail list_plugins(struct call *call, struct answer *answer, struct fault *fault)
{
    unsigned limit;
    enum fail fail = call_limit(call, &limit, fault);
    if (fail != FAIL_NONE)
        return fail;
    return catalog_plugin_list(call->db, call->principal->project_id, limit,
                               call_query(call, "cursor"), add_plugin_extra, &answer->json, fault);
}

static enum fail get_plugin(struct call *call, struct answer *answer, struct fault *fault)
{
    struct plugin p;
    enum fail fail = find_plugin(call, &p, fault);
    if (fail != FAIL_NONE)
        return fail;
    answer->json = catalog_plugin_json(&p);
    return add_plugin_extra(call->db, &p, answer->json, fault);
}

static enum fail audit(struct call *call, const char *action, const char *subject,
                       struct fault *fault)
{
    return audit_append(call->db, call->principal->project_id, call->principal->token_id, action,
                        subject, call->request_id, call->peer, NULL, fault);
}

static enum fail remove_plugin(struct call *call, const struct plugin *p, struct fault *fault)
{
    enum fail fail = db_begin(call->db, fault);
    if (fail == FAIL_NONE)
        fail = catalog_plugin_lock(call->db, p->id, fault);
    if (fail == FAIL_NONE)
        fail = catalog_plugin_delete(call->db, call->principal->project_id, p->id, fault);
    if (fail == FAIL_NONE)
        fail = deployment_notify(call->db, p->id, fault);
    if (fail == FAIL_NONE)
        fail = audit(call, "plugin.delete", p->id, fault);
    return fail == FAIL_NONE ? db_commit(call->db, fault) : fail;
}

// `data` and `force` say what is to become of uploads, tables and verified domains; a plugin has
// none of them yet, so both are only read.
static enum fail delete_plugin(struct call *call, struct answer *answer, struct fault *fault)
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
        fail = find_plugin(call, &p, fault);
    if (fail != FAIL_NONE)
        return fail;
    answer->json = catalog_plugin_json(&p);
    fail = add_plugin_extra(call->db, &p, answer->json, fault);
    if (fail == FAIL_NONE && is_dry_run)
        json_object_set_new(answer->json, "dryRun", json_true());
    else if (fail == FAIL_NONE)
        fail = remove_plugin(call, &p, fault);
    return fail;
}

// --- deployments ---

static struct page_key key_of(const struct deployment_head *h)
{
    struct page_key key = {.at = h->created_at};
    snprintf(key.id, sizeof key.id, "%s", h->id);
    return key;
}

static enum fail list_deployments(struct call *call, struct answer *answer, struct fault *fault)
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
        fail = find_plugin(call, &p, fault);
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
    enum fail fail = find_plugin(call, p, fault);
    return fail == FAIL_NONE ? deployment_find(call->db, p->id, call->params[1], ret, fault) : fail;
}

static enum fail get_deployment(struct call *call, struct answer *answer, struct fault *fault)
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

// The catalogue's row says what is live, so name and version follow the pointer.
static enum fail activate(struct call *call, const struct deployment_head *h, struct plugin *p,
                          struct fault *fault)
{
    bool is_new;
    enum fail fail = db_begin(call->db, fault);
    if (fail == FAIL_NONE)
        fail = catalog_plugin_upsert(call->db, p->project_id, str_from(p->slug),
                                     front_text(h, "displayName", p->display_name),
                                     front_text(h, "version", p->version),
                                     front_text(h, "tier", p->tier), p, &is_new, fault);
    if (fail == FAIL_NONE)
        fail = deployment_activate(call->db, p->id, h->id, fault);
    if (fail == FAIL_NONE)
        fail = deployment_notify(call->db, p->id, fault);
    if (fail == FAIL_NONE)
        fail = audit(call, "deployment.activate", h->id, fault);
    return fail == FAIL_NONE ? db_commit(call->db, fault) : fail;
}

static enum fail activate_deployment(struct call *call, struct answer *answer, struct fault *fault)
{
    struct plugin p;
    struct deployment_head h;
    enum fail fail = find_deployment(call, &p, &h, fault);
    if (fail != FAIL_NONE)
        return fail;
    fail = activate(call, &h, &p, fault);
    if (fail == FAIL_NONE) {
        h.is_active = true;
        json_t *plugin = catalog_plugin_json(&p), *extra = json_object();
        fail = add_plugin_extra(call->db, &p, extra, fault);
        answer->json =
            json_pack("{s:o, s:O?, s:o, s:O?, s:[]}", "plugin", plugin, "instance",
                      json_object_get(extra, "instance"), "deployment", deployment_json(&h),
                      "publicAppUrl", json_object_get(extra, "publicAppUrl"), "warnings");
        json_decref(extra);
    }
    deployment_head_fini(&h);
    return fail;
}

static enum fail export_files(struct call *call, struct answer *answer, struct fault *fault)
{
    struct plugin p;
    struct deployment_head h;
    struct deployment_row files;
    enum fail fail = find_deployment(call, &p, &h, fault);
    if (fail != FAIL_NONE)
        return fail;
    fail = deployment_files(call->db, h.id, &files, fault);
    if (fail == FAIL_NONE) {
        answer->stream = export_archive(&files, h.config, h.created_at / 1000);
        answer->stream_type = "application/x-tar";
        answer->stream_size = -1;
        snprintf(answer->stream_filename, sizeof answer->stream_filename, "%s-%s.tar", p.slug,
                 h.id);
    }
    deployment_head_fini(&h);
    return fail;
}

static enum fail export_source(struct call *call, struct answer *answer, struct fault *fault)
{
    struct plugin p;
    struct deployment_head h;
    enum fail fail = find_deployment(call, &p, &h, fault);
    if (fail != FAIL_NONE)
        return fail;
    fail = h.has_source ? export_blob(&h.source, &answer->stream, &answer->stream_size, fault)
                        : fault_set(fault, FAIL_NOT_FOUND, "no_source",
                                    "This deployment was an archive, so there is no .pie file. Its "
                                    "files are in archive.tar.");
    answer->stream_type = "text/plain; charset=utf-8";
    snprintf(answer->stream_filename, sizeof answer->stream_filename, "%s.pie", p.slug);
    deployment_head_fini(&h);
    return fail;
}

// --- instances ---

static enum fail list_instances(struct call *call, struct answer *answer, struct fault *fault)
{
    struct plugin p;
    struct instance *list = NULL;
    size_t n = 0;
    enum fail fail = find_plugin(call, &p, fault);
    if (fail == FAIL_NONE)
        fail = catalog_instance_list(call->db, call->principal->project_id, p.id, &list, &n, fault);
    if (fail != FAIL_NONE)
        return fail;
    json_t *data = json_array();
    for (size_t i = 0; i != n; ++i)
        json_array_append_new(data, instance_json(&p, &list[i]));
    free(list);
    answer->json = json_pack("{s:o, s:n, s:n}", "data", data, "next", "previous");
    return FAIL_NONE;
}

static enum fail make_instance(struct call *call, const struct plugin *p, struct instance *ret,
                               struct fault *fault)
{
    struct deployment_head h;
    enum fail fail = db_begin(call->db, fault);
    if (fail == FAIL_NONE)
        fail = catalog_plugin_lock(call->db, p->id, fault);
    if (fail == FAIL_NONE)
        fail = deployment_current(call->db, p->id, &h, fault);
    if (fail != FAIL_NONE)
        return fail;
    fail = catalog_instance_create(call->db, call->principal->project_id, p, ret, fault);
    if (fail == FAIL_NONE)
        fail = deployment_activate(call->db, p->id, h.id, fault);
    if (fail == FAIL_NONE)
        fail = deployment_notify(call->db, p->id, fault);
    if (fail == FAIL_NONE)
        fail = audit(call, "instance.create", ret->id, fault);
    deployment_head_fini(&h);
    return fail == FAIL_NONE ? db_commit(call->db, fault) : fail;
}

static enum fail create_instance(struct call *call, struct answer *answer, struct fault *fault)
{
    struct plugin p;
    struct instance i;
    enum fail fail = find_plugin(call, &p, fault);
    if (fail == FAIL_NONE)
        fail = make_instance(call, &p, &i, fault);
    if (fail == FAIL_NONE)
        answer->json = instance_json(&p, &i);
    return fail;
}

static enum fail find_instance(struct call *call, str ref, struct plugin *p, struct instance *i,
                               struct fault *fault)
{
    enum fail fail = catalog_instance_find(call->db, call->principal->project_id, ref, i, fault);
    return fail == FAIL_NONE ? catalog_plugin_find(call->db, call->principal->project_id,
                                                   str_from(i->plugin_id), p, fault)
                             : fail;
}

static enum fail get_instance(struct call *call, struct answer *answer, struct fault *fault)
{
    struct plugin p;
    struct instance i;
    enum fail fail = find_instance(call, call->params[0], &p, &i, fault);
    if (fail == FAIL_NONE)
        answer->json = instance_json(&p, &i);
    return fail;
}

static enum fail delete_instance(struct call *call, struct answer *answer, struct fault *fault)
{
    struct plugin p;
    struct instance i;
    enum fail fail = find_plugin(call, &p, fault);
    if (fail == FAIL_NONE)
        fail = catalog_instance_find(call->db, call->principal->project_id, call->params[1], &i,
                                     fault);
    if (fail == FAIL_NONE && strcmp(i.plugin_id, p.id) != 0)
        fail = fault_set(fault, FAIL_NOT_FOUND, "instance_not_found",
                         "There is no such instance of this plugin.");
    if (fail == FAIL_NONE)
        fail = db_begin(call->db, fault);
    if (fail == FAIL_NONE)
        fail = catalog_instance_delete(call->db, call->principal->project_id, i.id, fault);
    if (fail == FAIL_NONE)
        fail = deployment_notify(call->db, p.id, fault);
    if (fail == FAIL_NONE)
        fail = audit(call, "instance.delete", i.id, fault);
    if (fail == FAIL_NONE)
        fail = db_commit(call->db, fault);
    if (fail == FAIL_NONE)
        answer->json = instance_json(&p, &i);
    return fail;
}

// --- the table ---

static const struct endpoint_field dry_run_query[] = {
    {"dryRun", "boolean", false, "true: say what would change, change nothing."}, {0}};
static const struct endpoint_field list_query[] = {
    {"limit", "integer", false, "1 to 100, default 50."},
    {"cursor", "string", false, "From next or previous."},
    {0}};
static const struct endpoint_field delete_query[] = {
    {"data", "string", false, "keep or delete: what becomes of uploads and tables."},
    {"force", "boolean", false, "true: also with verified domains."},
    {"dryRun", "boolean", false, "true: say what would go, change nothing."},
    {0}};

static struct endpoint endpoints[] = {
    {.method = "POST",
     .path = "/api/plugins/import",
     .id = "importPlugin",
     .summary = "Deploy a .pie file: makes the plugin, or updates the one of that name.",
     .scope = SCOPE_DEPLOY,
     .lane = LANE_INGEST,
     .body = BODY_BYTES,
     .body_types = "text/plain, multipart/form-data",
     .query = dry_run_query,
     .answer = "Deployed",
     .success = 200,
     .codes = "invalid_pie no_file too_many_files instance_domain_required disk_full",
     .run = import_plugin},
    {.method = "GET",
     .path = "/api/plugins",
     .id = "listPlugins",
     .summary = "The project's plugins, newest first.",
     .scope = SCOPE_READ,
     .lane = LANE_API,
     .query = list_query,
     .answer = "PluginList",
     .success = 200,
     .codes = "invalid_cursor",
     .run = list_plugins},
    {.method = "GET",
     .path = "/api/plugins/:plugin",
     .id = "getPlugin",
     .summary = "One plugin, by id or slug.",
     .scope = SCOPE_READ,
     .lane = LANE_API,
     .answer = "Plugin",
     .success = 200,
     .codes = "plugin_not_found",
     .run = get_plugin},
    {.method = "PUT",
     .path = "/api/plugins/:plugin",
     .id = "updatePlugin",
     .summary = "Deploy a .pie file to this plugin.",
     .scope = SCOPE_DEPLOY,
     .lane = LANE_INGEST,
     .body = BODY_BYTES,
     .body_types = "text/plain, multipart/form-data",
     .query = dry_run_query,
     .answer = "Deployed",
     .success = 200,
     .codes = "plugin_not_found slug_mismatch invalid_pie no_file too_many_files "
              "instance_domain_required disk_full",
     .run = update_plugin},
    {.method = "DELETE",
     .path = "/api/plugins/:plugin",
     .id = "deletePlugin",
     .summary = "Delete a plugin, its deployments and its instances.",
     .scope = SCOPE_ADMIN,
     .lane = LANE_API,
     .query = delete_query,
     .answer = "Plugin",
     .success = 200,
     .codes = "plugin_not_found",
     .run = delete_plugin},
    {.method = "POST",
     .path = "/api/plugins/:plugin/deployments",
     .id = "createDeployment",
     .summary =
         "Deploy an archive (zip, tar, tar.gz, tar.xz, tar.zst): replaces the public files only.",
     .scope = SCOPE_DEPLOY,
     .lane = LANE_INGEST,
     .body = BODY_BYTES,
     .body_types = "application/octet-stream",
     .query = dry_run_query,
     .answer = "Deployed",
     .success = 200,
     .codes =
         "plugin_not_found deployment_not_found invalid_bundle instance_domain_required disk_full",
     .run = create_deployment},
    {.method = "GET",
     .path = "/api/plugins/:plugin/deployments",
     .id = "listDeployments",
     .summary = "The plugin's deployments, newest first.",
     .scope = SCOPE_READ,
     .lane = LANE_API,
     .query = list_query,
     .answer = "DeploymentList",
     .success = 200,
     .codes = "plugin_not_found invalid_cursor",
     .run = list_deployments},
    {.method = "GET",
     .path = "/api/plugins/:plugin/deployments/:deployment",
     .id = "getDeployment",
     .summary = "One deployment.",
     .scope = SCOPE_READ,
     .lane = LANE_API,
     .answer = "Deployment",
     .success = 200,
     .codes = "plugin_not_found deployment_not_found",
     .run = get_deployment},
    {.method = "POST",
     .path = "/api/plugins/:plugin/deployments/:deployment/activate",
     .id = "activateDeployment",
     .summary = "Make this deployment the live one: roll back, or forward.",
     .scope = SCOPE_DEPLOY,
     .lane = LANE_API,
     .answer = "Deployed",
     .success = 200,
     .codes = "plugin_not_found deployment_not_found",
     .run = activate_deployment},
    {.method = "GET",
     .path = "/api/plugins/:plugin/deployments/:deployment/archive.tar",
     .id = "exportDeployment",
     .summary = "The deployment's public files and its config, as a tar.",
     .scope = SCOPE_READ,
     .lane = LANE_API,
     .answer = "application/x-tar",
     .success = 200,
     .codes = "plugin_not_found deployment_not_found",
     .run = export_files},
    {.method = "GET",
     .path = "/api/plugins/:plugin/deployments/:deployment/source.pie",
     .id = "exportSource",
     .summary = "The .pie file as it was sent.",
     .scope = SCOPE_READ,
     .lane = LANE_API,
     .answer = "text/plain",
     .success = 200,
     .codes = "plugin_not_found deployment_not_found no_source",
     .run = export_source},
    {.method = "GET",
     .path = "/api/plugins/:plugin/instances",
     .id = "listInstances",
     .summary = "The plugin's instances, oldest first.",
     .scope = SCOPE_READ,
     .lane = LANE_API,
     .answer = "InstanceList",
     .success = 200,
     .codes = "plugin_not_found",
     .run = list_instances},
    {.method = "POST",
     .path = "/api/plugins/:plugin/instances",
     .id = "createInstance",
     .summary = "Publish one more copy, with a link of its own.",
     .scope = SCOPE_DEPLOY,
     .lane = LANE_API,
     .answer = "Instance",
     .success = 201,
     .codes = "plugin_not_found deployment_not_found",
     .run = create_instance},
    {.method = "DELETE",
     .path = "/api/plugins/:plugin/instances/:instance",
     .id = "deleteInstance",
     .summary = "Take an instance off; its slug is never issued again.",
     .scope = SCOPE_ADMIN,
     .lane = LANE_API,
     .answer = "Instance",
     .success = 200,
     .codes = "plugin_not_found instance_not_found",
     .run = delete_instance},
    {.method = "GET",
     .path = "/api/public-apps/instances/:instance",
     .id = "getInstance",
     .summary = "One instance, by id or slug.",
     .scope = SCOPE_READ,
     .lane = LANE_API,
     .answer = "Instance",
     .success = 200,
     .codes = "instance_not_found",
     .run = get_instance},
};

static const char schemas[] =
    "{\"Plugin\":{\"type\":\"object\",\"required\":[\"id\",\"slug\",\"displayName\",\"version\","
    "\"tier\",\"createdAt\",\"updatedAt\",\"publicAppUrl\"],"
    "\"properties\":{\"id\":{\"type\":\"string\"},\"slug\":{\"type\":\"string\"},\"displayName\":{"
    "\"type\":\"string\"},\"version\":{\"type\":\"string\"},"
    "\"tier\":{\"type\":\"string\"},\"createdAt\":{\"type\":\"string\",\"format\":\"date-time\"},"
    "\"updatedAt\":{\"type\":\"string\",\"format\":\"date-time\"},"
    "\"publicAppUrl\":{\"type\":[\"string\",\"null\"]},\"instance\":{\"oneOf\":[{\"$ref\":\"#/"
    "components/schemas/Instance\"},{\"type\":\"null\"}]},"
    "\"deployment\":{\"oneOf\":[{\"$ref\":\"#/components/schemas/"
    "Deployment\"},{\"type\":\"null\"}]}}},"
    "\"PluginList\":{\"type\":\"object\",\"properties\":{\"data\":{\"type\":\"array\",\"items\":{"
    "\"$ref\":\"#/components/schemas/Plugin\"}},"
    "\"next\":{\"type\":[\"string\",\"null\"]},\"previous\":{\"type\":[\"string\",\"null\"]}}},"
    "\"Deployment\":{\"type\":\"object\",\"required\":[\"id\",\"fileCount\",\"totalBytes\"],"
    "\"properties\":{\"id\":{\"type\":[\"string\",\"null\"]},"
    "\"fileCount\":{\"type\":\"integer\"},\"totalBytes\":{\"type\":\"integer\"},\"createdAt\":{"
    "\"type\":\"string\",\"format\":\"date-time\"},"
    "\"active\":{\"type\":\"boolean\"},\"source\":{\"enum\":[\"pie\",\"archive\"]},\"unchanged\":{"
    "\"type\":\"boolean\"},\"changes\":{\"type\":\"array\","
    "\"items\":{\"type\":\"object\",\"properties\":{\"path\":{\"type\":\"string\"},\"change\":{"
    "\"enum\":[\"added\",\"modified\",\"removed\"]},"
    "\"bytes\":{\"type\":\"integer\"}}}}}},"
    "\"DeploymentList\":{\"type\":\"object\",\"properties\":{\"data\":{\"type\":\"array\","
    "\"items\":{\"$ref\":\"#/components/schemas/Deployment\"}},"
    "\"next\":{\"type\":[\"string\",\"null\"]},\"previous\":{\"type\":[\"string\",\"null\"]}}},"
    "\"Instance\":{\"type\":\"object\",\"required\":[\"id\",\"slug\",\"url\"],\"properties\":{"
    "\"id\":{\"type\":\"string\"},\"slug\":{\"type\":\"string\"},"
    "\"url\":{\"type\":\"string\"},\"pluginId\":{\"type\":\"string\"},\"pluginSlug\":{\"type\":"
    "\"string\"},\"createdAt\":{\"type\":\"string\","
    "\"format\":\"date-time\"}}},"
    "\"InstanceList\":{\"type\":\"object\",\"properties\":{\"data\":{\"type\":\"array\",\"items\":{"
    "\"$ref\":\"#/components/schemas/Instance\"}}}},"
    "\"Deployed\":{\"type\":\"object\",\"required\":[\"plugin\",\"instance\",\"deployment\","
    "\"publicAppUrl\",\"warnings\"],\"properties\":{"
    "\"plugin\":{\"type\":\"object\"},\"instance\":{\"oneOf\":[{\"$ref\":\"#/components/schemas/"
    "Instance\"},{\"type\":\"null\"}]},"
    "\"deployment\":{\"$ref\":\"#/components/schemas/"
    "Deployment\"},\"publicAppUrl\":{\"type\":[\"string\",\"null\"]},\"warnings\":{\"type\":"
    "\"array\"}}}}";

static void set_body_max(const char *id, size_t max)
{
    for (size_t i = 0; i != sizeof endpoints / sizeof endpoints[0]; ++i)
        if (strcmp(endpoints[i].id, id) == 0)
            endpoints[i].body_max = max;
}

void bundles_init(const struct bundle_options *o)
{
    options = *o;
    set_body_max("importPlugin", options.pie_bytes + MULTIPART_OVERHEAD);
    set_body_max("updatePlugin", options.pie_bytes + MULTIPART_OVERHEAD);
    set_body_max("createDeployment", options.archive_bytes);
    serve_init(&options);
}

struct service *bundles_api_service(void)
{
    static struct service service = {.name = "bundles",
                                     .endpoints = endpoints,
                                     .endpoint_count = sizeof endpoints / sizeof endpoints[0],
                                     .schemas = schemas};
    return &service;
}

struct service *bundles_pages_service(void)
{
    static struct service service = {.name = "pages",
                                     .sites = 1 << SITE_APPS,
                                     .prefix = "/apps/",
                                     .on_request = serve_on_request,
                                     .on_loop_start = serve_on_loop_start,
                                     .on_metrics = serve_on_metrics};
    return &service;
}

struct service *bundles_hosts_service(void)
{
    static struct service service = {.name = "hosts",
                                     .sites = 1 << SITE_INSTANCE | 1 << SITE_PREVIEW,
                                     .prefix = "/",
                                     .on_request = serve_on_request};
    return &service;
}

// --- collection ---

static bool is_named(void *arg, const struct digest *d)
{
    return deployment_names_blob(arg, d);
}

static void on_collect(struct job *j)
{
    size_t gone = blob_collect(clock_real_ms() - COLLECT_AFTER_MS, is_named, db_of_thread());
    if (gone != 0)
        log_info("blobs that nothing names were removed", "count=%zu", gone);
}

static void on_collected(struct job *j)
{
    free(j);
}

void bundles_collect(void)
{
    struct job *j = calloc(1, sizeof *j);
    if (j == NULL)
        abort();
    j->run = on_collect;
    j->done = on_collected;
    if (pool_post(LANE_INGEST, j) != FAIL_NONE)
        free(j); // busy: the next hour will do
}
