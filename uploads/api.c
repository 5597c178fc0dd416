// Files, as their owner sees them. The console never gives a file's bytes: owners' pages and
// strangers' bytes share no origin, so what shows or saves a file is a fresh link to where they are.
#include <stdlib.h>
#include "edge/auth/auth.h"
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"
#include "uploads/links.h"

enum { URL_MAX = 8192 };

static char *make_url(const struct file *f, enum link_use use)
{
    struct buf url;
    buf_init(&url, URL_MAX);
    link_make(f, use, clock_real_ms(), &url);
    return buf_take(&url);
}

json_t *file_json(const struct file *f)
{
    char created[CLOCK_RFC3339_ROOM], sha256[DIGEST_HEX_ROOM];
    AUTOFREE char *url = make_url(f, LINK_INLINE);
    clock_rfc3339(f->created_at, created);
    digest_hex(&f->digest, sha256);
    return json_pack("{s:s, s:o, s:o, s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "id", f->id,
                     "filename", jsonx_string(str_from(f->filename)), "originalFilename",
                     jsonx_string(str_from(f->original)), "mimeType", f->mime, "size",
                     (json_int_t)f->size, "sha256", sha256, "createdAt", created, "source",
                     f->source == FILE_OF_VISITOR ? "visitor" : "handler", "instanceId",
                     f->owner.instance_id, "instanceSlug", f->owner.instance_slug, "pluginId",
                     f->owner.plugin_id, "url", url);
}

// --- lists ---

// Ids of what the query names, in the caller's project.
static enum fail read_filter(struct call *call, struct instance *instance, struct plugin *plugin,
                             struct file_filter *ret, struct fault *fault)
{
    str i = call_query(call, "instance"), p = call_query(call, "plugin");
    const char *project_id = call->principal->project_id;
    *ret = (struct file_filter){.project_id = project_id, .type = call_query(call, "type")};
    if (ret->type.n != 0 && str_find(ret->type, '/') == SIZE_MAX)
        return fault_set(fault, FAIL_REFUSED, "invalid_parameter",
                         "A type is one such as image/png, or a class such as image/*.");
    if (i.p != NULL && p.p != NULL)
        return fault_set(fault, FAIL_REFUSED, "invalid_parameter",
                         "Ask for the files of an instance or of a plugin, not both.");
    if (i.p != NULL) {
        ret->instance_id = instance->id;
        return catalog_instance_find(call->db, project_id, i, instance, fault);
    }
    if (p.p == NULL)
        return FAIL_NONE;
    ret->plugin_id = plugin->id;
    return catalog_plugin_used(call->db, project_id, p, plugin, fault);
}

static struct page_key key_of(const struct file *f)
{
    struct page_key key = {.at = f->created_at};
    static_assert(sizeof key.id >= sizeof f->id, "a page's key takes a file's id");
    memcpy(key.id, f->id, sizeof f->id);
    return key;
}

static json_t *list_json(const struct page *page, const struct file *files, size_t fetched)
{
    json_t *data = json_array();
    struct page_key first = {0}, last = {0};
    size_t shown = page_shown(page, fetched);
    for (size_t i = 0; i != shown; ++i)
        json_array_append_new(data, file_json(&files[page_row(page, fetched, i)]));
    if (shown != 0) {
        first = key_of(&files[page_row(page, fetched, 0)]);
        last = key_of(&files[page_row(page, fetched, shown - 1)]);
    }
    return page_json(page, data, fetched, &first, &last);
}

static enum fail list_files(struct call *call, struct answer *answer, struct fault *fault)
{
    struct page page;
    struct instance instance;
    struct plugin plugin;
    struct file_filter filter;
    AUTOFREE struct file *files = NULL;
    size_t fetched = 0;
    unsigned limit = 0;
    enum fail fail = link_check(fault);
    if (fail == FAIL_NONE)
        fail = call_limit(call, &limit, fault);
    if (fail == FAIL_NONE)
        fail = page_init(&page, call_query(call, "cursor"), limit, fault);
    if (fail == FAIL_NONE)
        fail = read_filter(call, &instance, &plugin, &filter, fault);
    if (fail == FAIL_NONE)
        fail = file_list(call->db, &filter, &page, &files, &fetched, fault);
    if (fail == FAIL_NONE)
        answer->json = list_json(&page, files, fetched);
    return fail;
}

// --- one ---

static enum fail find(struct call *call, struct file *ret, struct fault *fault)
{
    enum fail fail = link_check(fault);
    return fail == FAIL_NONE
               ? file_find(call->db, call->principal->project_id, call->params[0], ret, fault)
               : fail;
}

static enum fail get_file(struct call *call, struct answer *answer, struct fault *fault)
{
    struct file f;
    enum fail fail = find(call, &f, fault);
    if (fail == FAIL_NONE)
        answer->json = file_json(&f);
    return fail;
}

static enum fail delete_file(struct call *call, struct answer *answer, struct fault *fault)
{
    struct file f;
    const struct principal *who = call->principal;
    enum fail fail = db_begin(call->db, fault);
    if (fail == FAIL_NONE)
        fail = find(call, &f, fault);
    if (fail == FAIL_NONE)
        fail = file_delete(call->db, who->project_id, str_from(f.id), fault);
    if (fail == FAIL_NONE)
        fail = audit_append(call->db, who->project_id, who->token_id, "file.delete", f.id,
                            call->request_id, call->peer, NULL, fault);
    if (fail == FAIL_NONE)
        fail = db_commit(call->db, fault);
    if (fail != FAIL_NONE)
        return fail;
    answer->json = file_json(&f);
    json_object_del(answer->json, "url"); // there is nothing behind it any more
    return FAIL_NONE;
}

// --- its bytes: somewhere else ---

struct way {
    struct later later; // first
    char *url;
};

static void way_drop(struct later *later)
{
    struct way *w = (struct way *)later;
    free(w->url);
    free(w);
}

static void way_start(struct later *later, struct request *r)
{
    struct way *w = (struct way *)later;
    if (r != NULL)
        reply_redirect(r, 302, str_from(w->url), NULL);
    way_drop(later);
}

static enum fail redirect(struct call *call, enum link_use use, struct answer *answer,
                          struct fault *fault)
{
    struct file f;
    enum fail fail = find(call, &f, fault);
    if (fail != FAIL_NONE)
        return fail;
    struct way *w = malloc(sizeof *w);
    if (w == NULL)
        abort();
    *w = (struct way){{way_start, way_drop}, make_url(&f, use)};
    answer->later = &w->later;
    return FAIL_NONE;
}

static enum fail view_file(struct call *call, struct answer *answer, struct fault *fault)
{
    return redirect(call, LINK_INLINE, answer, fault);
}

static enum fail get_content(struct call *call, struct answer *answer, struct fault *fault)
{
    return redirect(call, LINK_ATTACHMENT, answer, fault);
}

// --- the table ---

static const struct endpoint_field list_fields[] = {
    {"instance", "string", false, "Only files of this instance, by id or slug."},
    {"plugin", "string", false, "Only files of this plugin's instances, by id or slug."},
    {"type", "string", false, "Only files of this type: image/png, or a class such as image/*."},
    {"limit", "integer", false, "How many to show, 1 to 100; 50 when left out."},
    {"cursor", "string", false, "`next` or `previous` of another page."},
    {0},
};

static const struct endpoint endpoints[] = {
    {.method = "GET",
     .path = "/api/files",
     .id = "listFiles",
     .summary = "What visitors uploaded and handlers made, newest first.",
     .scope = SCOPE_READ,
     .permission = PERMISSION_READ_DATA,
     .query = list_fields,
     .answer = "FileList",
     .success = 200,
     .codes = "instance_not_found plugin_not_found invalid_cursor invalid_parameter",
     .run = list_files},
    {.method = "GET",
     .path = "/api/files/:file",
     .id = "getFile",
     .summary = "One file, with a link to its bytes that is good for 15 minutes.",
     .scope = SCOPE_READ,
     .permission = PERMISSION_READ_DATA,
     .answer = "File",
     .success = 200,
     .codes = "file_not_found",
     .run = get_file},
    {.method = "GET",
     .path = "/api/files/:file/view",
     .id = "viewFile",
     .summary = "A way to the file, to be shown in place where its type allows it.",
     .scope = SCOPE_READ,
     .permission = PERMISSION_READ_DATA,
     .success = 302,
     .codes = "file_not_found",
     .run = view_file},
    {.method = "GET",
     .path = "/api/files/:file/content",
     .id = "getFileContent",
     .summary = "A way to the file, to be saved.",
     .scope = SCOPE_READ,
     .permission = PERMISSION_READ_DATA,
     .success = 302,
     .codes = "file_not_found",
     .run = get_content},
    {.method = "DELETE",
     .path = "/api/files/:file",
     .id = "deleteFile",
     .summary = "Delete a file for good; its links end with it.",
     .scope = SCOPE_ADMIN,
     .permission = PERMISSION_MANAGE,
     .answer = "File",
     .success = 200,
     .codes = "file_not_found",
     .run = delete_file},
};

#define TEXT "{\"type\":\"string\"}"
#define INTEGER "{\"type\":\"integer\"}"
#define TEXT_OR_NULL "{\"type\":[\"string\",\"null\"]}"

static const char schemas[] =
    "{\"File\":{\"type\":\"object\",\"required\":[\"id\",\"filename\",\"mimeType\",\"size\","
    "\"sha256\",\"createdAt\",\"source\"],\"properties\":{\"id\":" TEXT ",\"filename\":" TEXT
    ",\"originalFilename\":" TEXT ",\"mimeType\":" TEXT ",\"size\":{\"type\":\"integer\"}"
    ",\"sha256\":" TEXT ",\"createdAt\":{\"type\":\"string\",\"format\":\"date-time\"}"
    ",\"source\":{\"enum\":[\"visitor\",\"handler\"]},\"instanceId\":" TEXT
    ",\"instanceSlug\":" TEXT ",\"pluginId\":" TEXT
    ",\"url\":{\"type\":\"string\",\"format\":\"uri\"}}},"
    "\"FileList\":{\"type\":\"object\",\"required\":[\"data\",\"next\",\"previous\"],"
    "\"properties\":{\"data\":{\"type\":\"array\",\"items\":{\"$ref\":"
    "\"#/components/schemas/File\"}},\"next\":" TEXT_OR_NULL ",\"previous\":" TEXT_OR_NULL "}},"
    "\"InstanceUploads\":{\"type\":\"object\",\"required\":[\"limits\",\"used\"],"
    "\"properties\":{\"limits\":{\"type\":\"object\",\"properties\":{\"fileBytes\":" INTEGER
    ",\"filesPerHour\":" INTEGER ",\"bytesPerHour\":" INTEGER ",\"quotaBytes\":" INTEGER
    ",\"quotaFiles\":" INTEGER ",\"keepDays\":{\"type\":[\"integer\",\"null\"]}}},"
    "\"used\":{\"type\":\"object\",\"properties\":{\"bytes\":" INTEGER ",\"files\":" INTEGER
    "}}}}}";

struct service *uploads_owners_service(void)
{
    static struct service service = {.name = "uploads",
                                     .endpoints = endpoints,
                                     .endpoint_count = sizeof endpoints / sizeof endpoints[0],
                                     .schemas = schemas};
    return &service;
}
