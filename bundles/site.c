// A site is built in one allocation: the struct, its arrays, its strings. Two passes over the rows:
// the first adds up what is needed, the second fills it in.
#include "bundles/site.h"
#include <assert.h>
#include <stdlib.h>
#include "bundles/content_type.h"
#include "bundles/table.h"

enum { TYPES_MAX = 128 }; // distinct content types that are stored once each

struct plan {
    size_t variants, index_room, string_bytes;
    struct config *config;
};

struct strings {
    char *at;
};

static str keep(struct strings *to, str s)
{
    str kept = {to->at, s.n};
    if (s.n > 0)
        memcpy(to->at, s.p, s.n);
    to->at[s.n] = '\0';
    to->at += s.n + 1;
    return kept;
}

static uint8_t encodings_of(const struct bundle_file *f)
{
    unsigned set = 1u << ENCODING_IDENTITY;
    for (enum encoding e = ENCODING_BR; e < ENCODINGS; e++)
        if (f->has[e])
            set |= 1u << e;
    return (uint8_t)set;
}

static void plan_make(struct plan *plan, str key, const struct deployment_row *row)
{
    plan->string_bytes = key.n + strlen(row->instance_slug) + strlen(plan->config->entry) + 3;
    for (size_t i = 0; i < plan->config->route_count; i++)
        plan->string_bytes += strlen(plan->config->routes[i].path) + 1;
    for (size_t i = 0; i < row->file_count; i++) {
        plan->variants += (size_t)__builtin_popcount(encodings_of(&row->files[i]));
        plan->string_bytes += row->files[i].path.n + row->files[i].content_type.n + 2;
    }
    plan->index_room = 4;
    while (plan->index_room < row->file_count * 2)
        plan->index_room *= 2;
}

static void index_add(const struct site *site, uint32_t *index, uint32_t number)
{
    uint64_t at = table_hash(site->files[number].path);
    while (index[at & site->_index_mask] != 0)
        at++;
    index[at & site->_index_mask] = number + 1;
}

// A content type that an earlier file has is not stored again.
static str keep_type(struct strings *to, str type, str *types, size_t *type_count)
{
    for (size_t i = 0; i < *type_count; i++)
        if (str_eq(types[i], type))
            return types[i];
    str kept = keep(to, type);
    if (*type_count < TYPES_MAX)
        types[(*type_count)++] = kept;
    return kept;
}

static uint32_t depth_of(str path)
{
    uint32_t depth = 0;
    for (size_t i = 0; i < path.n; i++)
        depth += path.p[i] == '/';
    return depth;
}

static void fill_files(struct site *site, const struct deployment_row *row, struct site_file *files,
                       struct site_variant *variants, uint32_t *index, struct strings *strings)
{
    str types[TYPES_MAX];
    size_t type_count = 0;
    uint32_t next = 0;
    for (uint32_t i = 0; i < row->file_count; i++) {
        const struct bundle_file *from = &row->files[i];
        files[i] = (struct site_file){
            .path = keep(strings, from->path),
            .content_type = keep_type(strings, from->content_type, types, &type_count),
            .first_variant = next,
            .encodings = encodings_of(from),
            .is_immutable = from->is_immutable,
            .is_html = content_type_is_html(from->content_type)};
        for (enum encoding e = 0; e < ENCODINGS; e++)
            if ((files[i].encodings & 1u << e) != 0)
                variants[next++] = (struct site_variant){from->sha256[e], from->size[e]};
        if (depth_of(from->path) > site->depth)
            site->depth = depth_of(from->path);
        index_add(site, index, i);
    }
    site->variant_count = next;
}

static void fill_config(struct site *site, const struct config *from, struct config_route *routes,
                        struct strings *strings)
{
    for (size_t i = 0; i < from->route_count; i++) {
        str path = keep(strings, str_from(from->routes[i].path));
        routes[i] = (struct config_route){(char *)path.p, from->routes[i].spa};
    }
    site->config = (struct config){.entry = (char *)keep(strings, str_from(from->entry)).p,
                                   .route_count = from->route_count,
                                   .routes = routes};
}

static void on_site_free(struct shared *s)
{
    free(s); // one allocation, the struct's first member at its start
}

static void fill_names(struct site *site, str key, bool is_preview,
                       const struct deployment_row *row, struct strings *strings)
{
    shared_init(&site->shared, on_site_free);
    site->key = keep(strings, key);
    site->instance_slug = keep(strings, str_from(row->instance_slug));
    memcpy(site->plugin_id, row->plugin_id, sizeof site->plugin_id);
    memcpy(site->instance_id, row->instance_id, sizeof site->instance_id);
    memcpy(site->deployment_id, row->id, sizeof site->deployment_id);
    site->is_preview = is_preview;
    site->last_modified = row->shown_since;
    clock_http_date((time_t)site->last_modified, site->last_modified_text);
}

static struct site *site_build(str key, bool is_preview, const struct deployment_row *row,
                               const struct plan *plan)
{
    size_t routes_bytes = plan->config->route_count * sizeof(struct config_route);
    size_t files_bytes = row->file_count * sizeof(struct site_file);
    size_t variants_bytes = plan->variants * sizeof(struct site_variant);
    size_t index_bytes = plan->index_room * sizeof(uint32_t);
    size_t bytes = sizeof(struct site) + files_bytes + routes_bytes + variants_bytes + index_bytes +
                   plan->string_bytes;
    char *memory = calloc(1, bytes);
    if (memory == NULL)
        abort();
    struct site *site = (struct site *)memory;
    struct site_file *files = (struct site_file *)(memory + sizeof *site);
    struct config_route *routes = (struct config_route *)((char *)files + files_bytes);
    struct site_variant *variants = (struct site_variant *)((char *)routes + routes_bytes);
    uint32_t *index = (uint32_t *)((char *)variants + variants_bytes);
    struct strings strings = {(char *)index + index_bytes};
    site->bytes = bytes;
    site->file_count = (uint32_t)row->file_count;
    site->files = files;
    site->variants = variants;
    site->_index = index;
    site->_index_mask = (uint32_t)plan->index_room - 1;
    fill_names(site, key, is_preview, row, &strings);
    fill_config(site, plan->config, routes, &strings);
    fill_files(site, row, files, variants, index, &strings);
    assert(strings.at <= memory + bytes);
    site->entry = site_find(site, str_from(site->config.entry));
    return site;
}

enum fail site_create(str key, bool is_preview, const struct deployment_row *row, struct site **ret,
                      struct fault *fault)
{
    struct plan plan = {0};
    if (row->config == NULL)
        return fault_set(fault, FAIL_NOT_FOUND, "not_found", "There is no app here.");
    plan.config = config_from_json(row->config);
    if (plan.config == NULL) {
        fault_log(fault, "deployment %s: its config is none", row->id);
        return fault_set(fault, FAIL_INTERNAL, "internal", "This app cannot be read.");
    }
    plan_make(&plan, key, row);
    struct site *site = site_build(key, is_preview, row, &plan);
    config_destroy(plan.config);
    if (site->entry == SITE_NO_FILE) {
        shared_unref(&site->shared);
        fault_log(fault, "deployment %s: its entry is no file", row->id);
        return fault_set(fault, FAIL_INTERNAL, "internal", "This app cannot be read.");
    }
    *ret = site;
    return FAIL_NONE;
}

uint32_t site_find(const struct site *site, str path)
{
    for (uint64_t at = table_hash(path);; at++) {
        uint32_t number = site->_index[at & site->_index_mask];
        if (number == 0)
            return SITE_NO_FILE;
        if (str_eq(site->files[number - 1].path, path))
            return number - 1;
    }
}

uint32_t site_variant_of(const struct site_file *file, enum encoding e)
{
    unsigned before = file->encodings & ((1u << e) - 1);
    return file->first_variant + (uint32_t)__builtin_popcount(before);
}

// Files stand in the order of their variants: a binary search for the last that begins at or
// before.
enum encoding site_encoding_of(const struct site *site, uint32_t variant, uint32_t *ret_file)
{
    uint32_t low = 0, high = site->file_count - 1;
    assert(variant < site->variant_count);
    while (low < high) {
        uint32_t middle = (low + high + 1) / 2;
        if (site->files[middle].first_variant <= variant)
            low = middle;
        else
            high = middle - 1;
    }
    *ret_file = low;
    for (enum encoding e = 0;; e++)
        if ((site->files[low].encodings & 1u << e) != 0 &&
            site_variant_of(&site->files[low], e) == variant)
            return e;
}
