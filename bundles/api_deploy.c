// Deploying: a .pie file or an archive of a request becomes a declaration, and that a deployment (contract §3).
#include "bundles/api.h"
#include <stdio.h>
#include <stdlib.h>
#include "bundles/ingest.h"
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"
#include "edge/http/multipart/multipart.h"

static enum fail refuse_problems(struct answer *answer, const struct problems *problems,
                                 const char *code, const char *what, struct fault *fault)
{
    answer->details = json_pack("{s:o}", "problems", problems_json(problems));
    size_t n = problems->count + problems->left_out;
    return fault_set(fault, FAIL_REFUSED, code, "%s has %zu problem%s; nothing was changed.", what,
                     n, n == 1 ? "" : "s");
}

static json_t *deployment_answer(const struct ingest_result *r, const struct declaration *d,
                                 bool is_dry_run)
{
    json_t *o = json_pack("{s:I, s:I, s:b}", "fileCount", (json_int_t)d->file_count, "totalBytes",
                          (json_int_t)d->total_bytes, "unchanged", r->is_unchanged);
    json_object_set_new(o, "id",
                        r->deployment_id[0] != '\0' ? json_string(r->deployment_id) : json_null());
    json_object_set_new(o, "replaces",
                        r->replaces[0] != '\0' ? json_string(r->replaces) : json_null());
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
                     has_instance ? api_instance_json(&r->plugin, &r->instance) : json_null(),
                     "deployment", deployment_answer(r, d, is_dry_run), "publicAppUrl",
                     has_instance && d->config != NULL
                         ? api_url_json(r->plugin.slug, r->instance.slug)
                         : json_null(),
                     "warnings", warnings);
}

// `plugin`: the one that is meant, or NULL for an import.
static enum fail deploy_declaration(struct call *call, struct declaration *d,
                                    const struct plugin *plugin, bool is_dry_run,
                                    struct problems *problems, struct problems *warnings,
                                    struct answer *answer, struct fault *fault)
{
    struct ingest_options o = {.is_dry_run = is_dry_run,
                               .plugin_id = plugin != NULL ? plugin->id : NULL,
                               .problems = problems,
                               .warnings = warnings,
                               .may_share = api_may_share_origin(),
                               .limits = &api_options};
    struct ingest_result r;
    enum fail fail = ingest(call, d, &o, &r, fault);
    if (fail == FAIL_REFUSED && problems->count != 0)
        return d->source.p != NULL
                   ? refuse_problems(answer, problems, "invalid_pie", "The .pie file", fault)
                   : refuse_problems(answer, problems, "invalid_bundle", "The archive", fault);
    answer->retry_after = r.retry_after;
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
                                    (unsigned long long)api_options.pie_bytes)
                        : FAIL_NONE;
}

static enum fail read_multipart(const struct call *call, struct buf *ret, struct fault *fault)
{
    static const struct multipart_events events = {.on_part = on_part, .on_data = on_data};
    char boundary[MULTIPART_BOUNDARY_MAX + 1];
    struct upload u = {0};
    buf_init(&u.file, api_options.pie_bytes);
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

// `plugin`: the one a PUT names, which the file must name too; NULL for an import.
static enum fail deploy_pie(struct call *call, const struct plugin *plugin, str file,
                            struct answer *answer, struct fault *fault)
{
    bool is_dry_run;
    enum fail fail = call_query_bool(call, "dryRun", false, &is_dry_run, fault);
    if (fail != FAIL_NONE)
        return fail;
    struct pie_limits limits = pie_limits_default;
    limits.file_bytes = api_options.pie_bytes;
    struct problems problems, warnings;
    problems_init(&problems);
    problems_init(&warnings);
    struct pie pie;
    fail = pie_parse(file, &limits, &pie, &problems, &warnings);
    if (fail == FAIL_NONE) {
        if (plugin != NULL && !str_eq(str_from(plugin->slug), pie.name)) {
            fail = fault_set(fault, FAIL_CONFLICT, "slug_mismatch",
                             "The file's name is \"%.*s\", but this plugin is \"%s\". Import it "
                             "to make another plugin.",
                             STR_FMT(pie.name), plugin->slug);
        } else {
            struct declaration d;
            declaration_of_pie(&d, &pie, file);
            fail = deploy_declaration(call, &d, plugin, is_dry_run, &problems, &warnings, answer,
                                      fault);
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

enum fail api_import_plugin(struct call *call, struct answer *answer, struct fault *fault)
{
    struct buf own;
    str file;
    enum fail fail = pie_of_call(call, &own, &file, fault);
    if (fail == FAIL_NONE)
        fail = deploy_pie(call, NULL, file, answer, fault);
    buf_fini(&own);
    return fail;
}

enum fail api_update_plugin(struct call *call, struct answer *answer, struct fault *fault)
{
    struct plugin p;
    struct buf own;
    str file;
    enum fail fail = api_find_plugin(call, &p, fault);
    if (fail != FAIL_NONE)
        return fail;
    fail = pie_of_call(call, &own, &file, fault);
    if (fail == FAIL_NONE)
        fail = deploy_pie(call, &p, file, answer, fault);
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
    struct bundle_archive_limits limits = {
        api_options.archive_files, api_options.archive_file_bytes, api_options.archive_bytes};
    struct bundle_archive archive;
    enum fail fail = bundle_archive_read(call->body, &limits, &archive, problems, warnings, fault);
    if (fail != FAIL_NONE)
        return fail == FAIL_REFUSED
                   ? refuse_problems(answer, problems, "invalid_bundle", "The archive", fault)
                   : fail;
    struct config *config = config_of_archive(&archive, problems, warnings);
    if (config == NULL) {
        fail = refuse_problems(answer, problems, "invalid_bundle", "The archive", fault);
    } else {
        struct declaration d;
        declaration_of_archive(&d, &archive, config, p);
        fail = deploy_declaration(call, &d, p, is_dry_run, problems, warnings, answer, fault);
        declaration_fini(&d);
    }
    config_destroy(config);
    bundle_archive_fini(&archive);
    return fail;
}

enum fail api_create_deployment(struct call *call, struct answer *answer, struct fault *fault)
{
    struct plugin p;
    bool is_dry_run;
    enum fail fail = call_query_bool(call, "dryRun", false, &is_dry_run, fault);
    if (fail == FAIL_NONE)
        fail = api_find_plugin(call, &p, fault);
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
