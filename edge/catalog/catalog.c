// The catalogue above its statements: making ids and slugs, and JSON.
#include "edge/catalog/catalog.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"
#include "edge/base/token.h"
#include "edge/catalog/internal.h"

enum fail catalog_project_create(struct db *db, str display_name,
                                 char ret_id[static CATALOG_ID_ROOM], char ret_owner[static 37],
                                 struct fault *fault)
{
    assert(db_is_in_transaction(db));
    struct new_project p = {.display_name = display_name};
    bool is_new = false;
    token_id("prj_", p.id);
    token_uuid(p.owner_id);
    enum fail f = catalog_query_project_insert(db, &p, &is_new, fault);
    if (f != FAIL_NONE)
        return f;
    snprintf(ret_id, CATALOG_ID_ROOM, "%s", p.id);
    snprintf(ret_owner, CATALOG_UUID_ROOM, "%s", p.owner_id);
    return FAIL_NONE;
}

enum fail catalog_plugin_upsert(struct db *db, const char *project_id, str slug, str display_name,
                                str version, str tier, struct plugin *ret, bool *ret_created,
                                struct fault *fault)
{
    struct plugin p;
    assert(slug.n < sizeof p.slug);
    token_id("plg_", p.id);
    snprintf(p.project_id, sizeof p.project_id, "%s", project_id);
    snprintf(p.slug, sizeof p.slug, "%.*s", STR_FMT(slug));
    return catalog_query_plugin_upsert(db, &p, display_name, version, tier, ret, ret_created,
                                       fault);
}

enum fail catalog_instance_create(struct db *db, const char *project_id, const struct plugin *p,
                                  struct instance *ret, struct fault *fault)
{
    assert(db_is_in_transaction(db));
    struct instance i;
    bool is_new = false;
    snprintf(i.project_id, sizeof i.project_id, "%s", project_id);
    snprintf(i.plugin_id, sizeof i.plugin_id, "%s", p->id);
    token_id("ins_", i.id);
    while (!is_new) {
        char tail[9];
        token_hex(tail, 8);
        int n = snprintf(i.slug, sizeof i.slug, "%s-%s", p->slug, tail);
        assert(n < (int)sizeof i.slug);
        enum fail f = catalog_query_slug_issue(db, i.slug, project_id, &is_new, fault);
        if (f != FAIL_NONE)
            return f;
    }
    enum fail f = catalog_query_instance_insert(db, &i, &i.created_at, fault);
    if (f == FAIL_NONE)
        *ret = i;
    return f;
}

static json_t *time_json(int64_t real_ms)
{
    char text[CLOCK_RFC3339_ROOM];
    clock_rfc3339(real_ms, text);
    return json_string(text);
}

json_t *catalog_plugin_json(const struct plugin *p)
{
    return json_pack("{ss ss ss ss ss so so}", "id", p->id, "slug", p->slug, "displayName",
                     p->display_name, "version", p->version, "tier", p->tier, "createdAt",
                     time_json(p->created_at), "updatedAt", time_json(p->updated_at));
}

static struct page_key key_of(const struct plugin *p)
{
    struct page_key key = {.at = p->created_at};
    snprintf(key.id, sizeof key.id, "%s", p->id);
    return key;
}

// As the page shows them: a page that goes back was read from its other end.
static void put_in_order(const struct page *page, struct plugin *list, size_t shown)
{
    for (size_t i = 0; page->goes_back && i < shown / 2; ++i) {
        struct plugin swapped = list[i];
        list[i] = list[shown - 1 - i];
        list[shown - 1 - i] = swapped;
    }
}

enum fail catalog_plugin_list(struct db *db, const char *project_id, unsigned limit, str cursor,
                              catalog_extra_fn *extra, json_t **ret, struct fault *fault)
{
    struct page page;
    size_t fetched = 0;
    struct plugin *list AUTOFREE = NULL;
    enum fail f = page_init(&page, cursor, limit, fault);
    if (f == FAIL_NONE)
        f = catalog_query_plugin_page(db, project_id, &page, &list, &fetched, fault);
    if (f != FAIL_NONE)
        return f;
    size_t shown = page_shown(&page, fetched);
    json_auto_t *data = json_array();
    put_in_order(&page, list, shown);
    for (size_t i = 0; i != shown; ++i)
        json_array_append_new(data, catalog_plugin_json(&list[i]));
    if (extra != NULL && shown != 0)
        f = extra(db, list, shown, data, fault);
    if (f != FAIL_NONE)
        return f;
    struct page_key first = {0}, last = {0};
    if (shown != 0) {
        first = key_of(&list[0]);
        last = key_of(&list[shown - 1]);
    }
    *ret = page_json(&page, json_incref(data), fetched, &first, &last);
    return FAIL_NONE;
}
