// The catalogue. A platform's owner project deploys plugins as anybody does; the platform says which
// of them its other projects are offered, and under which tags. What a project is offered follows from
// the filter that its last exchange left (NONE: all, ALLOWED: those with one of its tags), at the
// moment it is asked. An app that was made stays when its plugin is offered no longer: visitors know
// its address.
#include "embed/catalogue.h"
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"
#include "edge/catalog/declared.h"
#include "edge/http/call_fields.h"

// --- finding ---

static enum fail not_found(struct fault *fault)
{
    return fault_set(fault, FAIL_NOT_FOUND, "piece_not_found",
                     "Nothing of this name is offered to this project.");
}

enum fail piece_find_offered(struct db *db, const char *project_id, str ref, struct plugin *ret,
                             struct fault *fault)
{
    bool is_found = false;
    enum fail fail = pieces_query_offered(db, project_id, ref, ret, &is_found, fault);
    if (fail != FAIL_NONE || is_found)
        return fail;
    return fault_set(fault, FAIL_NOT_FOUND, "plugin_not_found",
                     "There is no such plugin in this project.");
}

static const json_t *names_of(const json_t *front)
{
    const json_t *names = json_object_get(json_object_get(front, "manifest"), "pieceNames");
    return json_is_array(names) ? names : NULL;
}

static bool has_name(const json_t *front, str name)
{
    const json_t *one;
    size_t i;
    json_array_foreach((json_t *)names_of(front), i, one)
    {
        if (json_is_string(one) &&
            str_eq(name, str_of(json_string_value(one), json_string_length(one))))
            return true;
    }
    return false;
}

static enum fail take(struct db *db, const struct plugin *p, struct plugin *ret,
                      struct deployed *ret_deployed, struct fault *fault)
{
    *ret = *p;
    return catalog_find_current(db, p, 1, ret_deployed, fault);
}

// The first that has it among its manifest's piece names.
static enum fail find_by_piece_name(struct db *db, const struct piece *list, size_t count, str name,
                                    struct plugin *ret, struct deployed *ret_deployed,
                                    struct fault *fault)
{
    enum { AT_ONCE = 8 };
    for (size_t from = 0; from < count; from += AT_ONCE) {
        struct plugin plugins[AT_ONCE];
        struct deployed all[AT_ONCE] = {0};
        size_t n = count - from < AT_ONCE ? count - from : AT_ONCE, found = n;
        for (size_t i = 0; i != n; ++i)
            plugins[i] = list[from + i].plugin;
        enum fail fail = catalog_find_current(db, plugins, n, all, fault);
        for (size_t i = 0; fail == FAIL_NONE && i != n && found == n; ++i)
            if (has_name(all[i].front, name))
                found = i;
        if (found != n) {
            *ret = plugins[found];
            *ret_deployed = all[found];
            all[found] = (struct deployed){0};
        }
        for (size_t i = 0; i != n; ++i)
            deployed_fini(&all[i]);
        if (fail != FAIL_NONE || found != n)
            return fail;
    }
    return not_found(fault);
}

// Among the first `count` of the list, all of one place.
static enum fail find_in_place(struct db *db, const struct piece *list, size_t count, str name,
                               struct plugin *ret, struct deployed *ret_deployed,
                               struct fault *fault)
{
    for (size_t i = 0; i != count; ++i)
        if (str_eq(name, str_from(list[i].plugin.slug)))
            return take(db, &list[i].plugin, ret, ret_deployed, fault);
    return find_by_piece_name(db, list, count, name, ret, ret_deployed, fault);
}

static enum fail find_among(struct db *db, const struct piece *list, size_t count, str name,
                            struct plugin *ret, struct deployed *ret_deployed, struct fault *fault)
{
    enum fail fail = FAIL_NOT_FOUND;
    for (size_t i = 0; i != count; ++i)
        if (str_eq(name, str_from(list[i].plugin.id)))
            return take(db, &list[i].plugin, ret, ret_deployed, fault);
    for (size_t from = 0, to; fail == FAIL_NOT_FOUND && from != count; from = to) {
        for (to = from; to != count && list[to].place == list[from].place;)
            ++to;
        fail = find_in_place(db, list + from, to - from, name, ret, ret_deployed, fault);
    }
    return fail == FAIL_NOT_FOUND ? not_found(fault) : fail;
}

enum fail piece_find(struct db *db, const char *project_id, str name, struct plugin *ret,
                     struct deployed *ret_deployed, struct fault *fault)
{
    struct piece *list = NULL;
    size_t n = 0;
    *ret_deployed = (struct deployed){0};
    enum fail fail = pieces_query_usable(db, project_id, &list, &n, fault);
    if (fail != FAIL_NONE)
        return fail;
    fail = find_among(db, list, n, name, ret, ret_deployed, fault);
    pieces_free(list, n);
    return fail;
}

// --- showing ---

// The slug first: it is always one.
static json_t *names_json(const struct plugin *p, const json_t *front)
{
    json_t *names = json_pack("[s]", p->slug), *one;
    size_t i;
    json_array_foreach((json_t *)names_of(front), i, one) json_array_append(names, one);
    return names;
}

static json_t *declared_json(const json_t *front, const char *kind)
{
    const json_t *declared = declared_of(front, kind);
    return declared != NULL ? json_incref((json_t *)declared) : json_object();
}

static json_t *piece_json(const struct plugin *p, const struct deployed *d)
{
    json_t *o = catalog_plugin_json(p), *description = json_object_get(d->front, "description");
    json_object_set(o, "description", json_is_string(description) ? description : json_null());
    json_object_set_new(o, "pieceNames", names_json(p, d->front));
    json_object_set_new(o, "userSecrets", declared_json(d->front, "userSecrets"));
    json_object_set_new(o, "userFields", declared_json(d->front, "userFields"));
    json_object_set_new(o, "hasApp", json_boolean(d->has_app));
    return o;
}

// Tags and offers are the platform's own business.
static json_t *owned_json(const struct piece *piece, const struct deployed *d)
{
    json_t *o = piece_json(&piece->plugin, d);
    json_object_set_new(o, "offered", json_boolean(piece->is_offered));
    json_object_set(o, "tags", piece->tags);
    return o;
}

static enum fail list_json(struct db *db, const struct piece *list, size_t n, bool is_owner,
                           json_t **ret, struct fault *fault)
{
    struct plugin *plugins AUTOFREE = calloc(n + 1, sizeof *plugins);
    struct deployed *deployed AUTOFREE = calloc(n + 1, sizeof *deployed);
    if (plugins == NULL || deployed == NULL)
        abort();
    for (size_t i = 0; i != n; ++i)
        plugins[i] = list[i].plugin;
    enum fail fail = n != 0 ? catalog_find_current(db, plugins, n, deployed, fault) : FAIL_NONE;
    if (fail == FAIL_NONE)
        *ret = json_array();
    for (size_t i = 0; i != n; ++i) {
        if (fail == FAIL_NONE)
            json_array_append_new(*ret, is_owner ? owned_json(&list[i], &deployed[i])
                                                 : piece_json(&plugins[i], &deployed[i]));
        deployed_fini(&deployed[i]);
    }
    return fail;
}

// Tokens of the owner project see everything.
static enum fail is_owner(const struct call *call, bool *ret, struct fault *fault)
{
    *ret = false;
    if (call->principal->role != ROLE_NONE)
        return FAIL_NONE;
    return pieces_query_is_owner(call->db, call->principal->project_id, ret, fault);
}

static struct page_key key_of(const struct piece *p)
{
    struct page_key key = {.at = p->plugin.created_at};
    snprintf(key.id, sizeof key.id, "%s", p->plugin.id);
    return key;
}

static void put_in_order(const struct page *page, struct piece *list, size_t shown)
{
    for (size_t i = 0; page->goes_back && i < shown / 2; ++i) {
        struct piece swapped = list[i];
        list[i] = list[shown - 1 - i];
        list[shown - 1 - i] = swapped;
    }
}

static enum fail list_page(struct call *call, struct answer *a, struct fault *fault)
{
    struct page page;
    unsigned limit;
    bool all = false;
    struct piece *list = NULL;
    size_t fetched = 0;
    json_t *data = NULL;
    enum fail fail = call_limit(call, &limit, fault);
    if (fail == FAIL_NONE)
        fail = page_init(&page, call_query(call, "cursor"), limit, fault);
    if (fail == FAIL_NONE)
        fail = is_owner(call, &all, fault);
    if (fail == FAIL_NONE)
        fail = pieces_query_page(call->db, call->principal->project_id, all, &page, &list, &fetched,
                                 fault);
    if (fail != FAIL_NONE)
        return fail;
    size_t shown = page_shown(&page, fetched);
    put_in_order(&page, list, shown);
    fail = list_json(call->db, list, shown, all, &data, fault);
    if (fail == FAIL_NONE) {
        struct page_key first = {0}, last = {0};
        if (shown != 0) {
            first = key_of(&list[0]);
            last = key_of(&list[shown - 1]);
        }
        a->json = page_json(&page, data, fetched, &first, &last);
    }
    pieces_free(list, fetched);
    return fail;
}

// What a dialog asks for a name of: whatever the project may use, at most one.
static enum fail list_named(struct call *call, str name, struct answer *a, struct fault *fault)
{
    struct plugin p;
    struct deployed d;
    enum fail fail = piece_find(call->db, call->principal->project_id, name, &p, &d, fault);
    if (fail != FAIL_NONE && fail != FAIL_NOT_FOUND)
        return fail;
    json_t *data = json_array();
    if (fail == FAIL_NONE) {
        json_array_append_new(data, piece_json(&p, &d));
        deployed_fini(&d);
    }
    a->json = json_pack("{s:o, s:n, s:n}", "data", data, "next", "previous");
    return FAIL_NONE;
}

enum fail pieces_api_list(struct call *call, struct answer *a, struct fault *fault)
{
    str name = call_query(call, "pieceName");
    return name.p != NULL ? list_named(call, name, a, fault) : list_page(call, a, fault);
}

static enum fail get_owned(struct call *call, str ref, struct answer *a, struct fault *fault)
{
    struct piece *list = NULL;
    size_t n = 0;
    json_auto_t *refs = json_array(), *data = NULL;
    json_array_append_new(refs, jsonx_string(ref));
    enum fail fail =
        pieces_query_named(call->db, call->principal->project_id, refs, &list, &n, fault);
    if (fail == FAIL_NONE && n != 0)
        fail = list_json(call->db, list, 1, true, &data, fault);
    pieces_free(list, n);
    if (fail == FAIL_NONE)
        a->json = json_incref(json_array_get(data, 0)); // NULL: none
    return fail;
}

enum fail pieces_api_get(struct call *call, struct answer *a, struct fault *fault)
{
    struct plugin p;
    struct deployed d;
    bool is_owners = false;
    enum fail fail = is_owner(call, &is_owners, fault);
    if (fail == FAIL_NONE && is_owners)
        fail = get_owned(call, call->params[0], a, fault);
    if (fail != FAIL_NONE || a->json != NULL)
        return fail;
    fail = piece_find(call->db, call->principal->project_id, call->params[0], &p, &d, fault);
    if (fail == FAIL_NONE) {
        a->json = piece_json(&p, &d);
        deployed_fini(&d);
    }
    return fail;
}

// --- changing ---

static void check_texts(const json_t *body, const char *name, size_t min, size_t max,
                        size_t characters_max, json_t *wrong)
{
    const json_t *list = json_object_get(body, name), *one;
    size_t i;
    bool is_good = json_array_size(list) >= min && json_array_size(list) <= max;
    json_array_foreach((json_t *)list, i, one)
    {
        str text = str_of(json_string_value(one), json_string_length(one));
        is_good = is_good && json_is_string(one) && call_is_text(text, characters_max);
    }
    if (!is_good)
        json_object_set_new(wrong, name,
                            json_sprintf("This must be a list of %zu to %zu texts of 1 to %zu "
                                         "characters, none of them control characters.",
                                         min, max, characters_max));
}

static enum fail check_change(const json_t *body, struct answer *a, struct fault *fault)
{
    json_t *wrong = json_object();
    check_texts(body, "ids", 1, PIECES_AT_ONCE_MAX, CATALOG_SLUG_ROOM, wrong);
    check_texts(body, "addTags", 0, PIECE_TAGS_MAX, PIECE_TAG_MAX, wrong);
    check_texts(body, "removeTags", 0, PIECE_TAGS_MAX, PIECE_TAG_MAX, wrong);
    if (json_object_size(wrong) == 0) {
        json_decref(wrong);
        return FAIL_NONE;
    }
    a->details = json_pack("{s:o}", "fields", wrong);
    return fault_set(fault, FAIL_REFUSED, "invalid_request",
                     "Some fields of the request cannot be accepted.");
}

static bool is_among(const struct piece *list, size_t n, const char *ref)
{
    for (size_t i = 0; i != n; ++i)
        if (strcmp(ref, list[i].plugin.id) == 0 || strcmp(ref, list[i].plugin.slug) == 0)
            return true;
    return false;
}

// All or nothing.
static enum fail check_found(const json_t *refs, const struct piece *list, size_t n,
                             struct answer *a, struct fault *fault)
{
    json_t *missing = json_array(), *one;
    size_t i;
    json_array_foreach((json_t *)refs, i, one)
    {
        if (!is_among(list, n, json_string_value(one)))
            json_array_append(missing, one);
    }
    if (json_array_size(missing) == 0) {
        json_decref(missing);
        return FAIL_NONE;
    }
    a->details = json_pack("{s:o}", "ids", missing);
    return fault_set(fault, FAIL_NOT_FOUND, "plugin_not_found",
                     "The owner project has no apps of these names; nothing was changed.");
}

static json_t *or_empty(const json_t *body, const char *name)
{
    json_t *list = json_object_get(body, name);
    return json_is_array(list) ? json_incref(list) : json_array();
}

static enum fail audit(struct call *call, const struct piece *list, size_t n, json_t *add,
                       json_t *remove, json_t *is_offered, struct fault *fault)
{
    json_auto_t *facts = json_pack("{s:o, s:O, s:O, s:O*}", "pieces", json_array(), "addTags", add,
                                   "removeTags", remove, "offered", is_offered);
    for (size_t i = 0; i != n; ++i)
        json_array_append_new(json_object_get(facts, "pieces"), json_string(list[i].plugin.slug));
    return audit_append(call->db, call->principal->project_id, call->principal->token_id,
                        "pieces.change", call->principal->platform_id, call->request_id, call->peer,
                        facts, fault);
}

static enum fail change(struct call *call, const json_t *refs, json_t *is_offered, struct answer *a,
                        struct fault *fault)
{
    const char *project_id = call->principal->project_id;
    json_auto_t *add = or_empty(call->json, "addTags"),
                *remove = or_empty(call->json, "removeTags");
    struct piece *list = NULL;
    size_t n = 0;
    int64_t most = 0;
    enum fail fail = db_begin(call->db, fault);
    if (fail == FAIL_NONE)
        fail = pieces_query_named(call->db, project_id, refs, &list, &n, fault);
    if (fail == FAIL_NONE)
        fail = check_found(refs, list, n, a, fault);
    if (fail == FAIL_NONE)
        fail =
            pieces_query_change(call->db, project_id, refs, is_offered, add, remove, &most, fault);
    if (fail == FAIL_NONE && most > PIECE_TAGS_MAX)
        fail = fault_set(fault, FAIL_REFUSED, "too_many_tags",
                         "A plugin may have %d tags; nothing was changed.", PIECE_TAGS_MAX);
    if (fail == FAIL_NONE)
        fail = audit(call, list, n, add, remove, is_offered, fault);
    if (fail == FAIL_NONE)
        fail = db_commit(call->db, fault);
    pieces_free(list, n);
    return fail;
}

enum fail pieces_api_change(struct call *call, struct answer *a, struct fault *fault)
{
    json_t *refs = json_object_get(call->json, "ids"),
           *is_offered = json_object_get(call->json, "offered");
    struct piece *list = NULL;
    size_t n = 0;
    json_t *data = NULL;
    is_offered = json_is_boolean(is_offered) ? is_offered : NULL;
    enum fail fail = check_change(call->json, a, fault);
    if (fail == FAIL_NONE)
        fail = change(call, refs, is_offered, a, fault);
    if (fail == FAIL_NONE)
        fail = pieces_query_named(call->db, call->principal->project_id, refs, &list, &n, fault);
    if (fail == FAIL_NONE)
        fail = list_json(call->db, list, n, true, &data, fault);
    pieces_free(list, n);
    if (fail == FAIL_NONE)
        a->json = json_pack("{s:o, s:n, s:n}", "data", data, "next", "previous");
    return fail;
}
