// Where the serving cache gets what it lacks: sites from the database, bytes from the blob store.
// Pool threads.
#include <stdlib.h>
#include "bundles/address.h"
#include "bundles/cache.h"
#include "bundles/serve.h"
#include "edge/store/blob.h"
#include "edge/store/db.h"

static enum fail load_row(str key, struct deployment_row *ret, struct fault *fault)
{
    struct address_parts parts = address_parts(key);
    if (parts.instance.n == 0)
        return bundle_load_preview(db_of_thread(), parts.deployment, ret, fault);
    enum fail f = bundle_load(db_of_thread(), parts.instance, parts.deployment, ret, fault);
    if (f == FAIL_NONE && parts.plugin.n > 0 && !str_eq(parts.plugin, str_from(ret->plugin_slug))) {
        deployment_row_fini(ret);
        return fault_set(fault, FAIL_NOT_FOUND, "not_found", "There is no app here.");
    }
    return f;
}

static enum fail load_site(str key, struct site **ret, struct fault *fault)
{
    struct deployment_row row;
    enum fail f = load_row(key, &row, fault);
    if (f != FAIL_NONE)
        return f;
    f = site_create(key, str_find(key, '@') != SIZE_MAX, &row, ret, fault);
    deployment_row_fini(&row);
    return f;
}

static enum fail load_bytes(const struct digest *digest, uint64_t size, char **ret,
                            struct fault *fault)
{
    size_t n;
    char *bytes;
    enum fail f = blob_get(digest, size, &bytes, &n, fault);
    if (f != FAIL_NONE)
        return f;
    if (n == size) {
        *ret = bytes;
        return FAIL_NONE;
    }
    free(bytes);
    fault_log(fault, "a blob has %zu bytes, its row says %llu", n, (unsigned long long)size);
    return fault_set(fault, FAIL_INTERNAL, "internal", "This file cannot be read.");
}

static enum fail load_current(const char (*instance_ids)[CATALOG_ID_ROOM], size_t count,
                              struct deployment_pointer *ret, struct fault *fault)
{
    return bundle_current(db_of_thread(), instance_ids, count, ret, fault);
}

const struct cache_source serve_source = {load_site, load_bytes, load_current};
