// An instance's config values and settings.
#include <stdlib.h>
#include "edge/auth/auth.h"
#include "edge/base/jsonx.h"
#include "edge/catalog/hooks.h"
#include "public-actions/owner_settings/internal.h"

enum fail owner_commit(struct call *call, const char *plugin_id, const char *action,
                       const char *subject, json_t *facts, struct fault *fault)
{
    enum fail fail = owner_query_notify(call->db, plugin_id, fault);
    if (fail == FAIL_NONE)
        fail = audit_append(call->db, call->principal->project_id, call->principal->token_id,
                            action, subject, call->request_id, call->peer, facts, fault);
    json_decref(facts);
    if (fail == FAIL_NONE)
        fail = db_commit(call->db, fault);
    if (fail == FAIL_NONE)
        catalog_tell_changed(plugin_id);
    return fail;
}

static enum fail find(struct call *call, struct instance *ret, struct fault *fault)
{
    return catalog_instance_find(call->db, call->principal->project_id, call->params[0], ret,
                                 fault);
}

// --- config ---

// {"values","set","missing","fields"}: what a handler sees, what of it was set here, which required
// fields have no value, and the manifest's fields.
static json_t *config_json(const json_t *fields, const json_t *set)
{
    json_t *missing = json_array(), *about = json_object(),
           *values = owner_config_effective(fields, set);
    const char **names AUTOFREE = owner_sorted(fields);
    for (size_t i = 0; names[i] != NULL; ++i) {
        json_t *field = json_object_get(fields, names[i]);
        json_object_set(about, names[i], field);
        if (owner_config_is_missing(names[i], field, values))
            json_array_append_new(missing, json_string(names[i]));
    }
    return json_pack("{s:o, s:O, s:o, s:o}", "values", values, "set", set, "missing", missing,
                     "fields", about);
}

enum fail owner_api_get_config(struct call *call, struct answer *a, struct fault *fault)
{
    struct instance i;
    json_auto_t *front = NULL, *set = NULL;
    enum fail fail = find(call, &i, fault);
    if (fail == FAIL_NONE)
        fail = owner_front(call->db, i.id, &front, fault);
    if (fail == FAIL_NONE)
        fail = owner_query_config(call->db, i.id, &set, fault);
    if (fail == FAIL_NONE)
        a->json = config_json(owner_declared(front, "userFields"), set);
    return fail;
}

static enum fail check_size(const json_t *values, struct fault *fault)
{
    size_t n;
    free(jsonx_dump(values, &n));
    if (n <= CONFIG_BYTES_MAX)
        return FAIL_NONE;
    return fault_set(fault, FAIL_REFUSED, "invalid_config",
                     "The values have %zu bytes together; at most %d are kept.", n,
                     CONFIG_BYTES_MAX);
}

static enum fail check_values(const json_t *fields, const json_t *values, struct answer *a,
                              struct fault *fault)
{
    json_t *wrong = json_object();
    owner_config_check(fields, values, wrong);
    if (json_object_size(wrong) == 0) {
        json_decref(wrong);
        return check_size(values, fault);
    }
    a->details = json_pack("{s:o}", "fields", wrong);
    return fault_set(fault, FAIL_REFUSED, "invalid_config",
                     "Some values do not fit the fields that the manifest declares; details.fields "
                     "says which and why.");
}

// null is how a field goes back to its default.
static json_t *without_nulls(const json_t *values)
{
    const char *name;
    json_t *value, *kept = json_object();
    json_object_foreach((json_t *)values, name, value)
    {
        if (!json_is_null(value))
            json_object_set(kept, name, value);
    }
    return kept;
}

static json_t *names_of(const json_t *values)
{
    const char *name;
    json_t *value, *names = json_array();
    json_object_foreach((json_t *)values, name, value)
        json_array_append_new(names, json_string(name));
    return json_pack("{s:o}", "fields", names);
}

enum fail owner_api_put_config(struct call *call, struct answer *a, struct fault *fault)
{
    struct instance i;
    json_auto_t *front = NULL, *set = without_nulls(json_object_get(call->json, "values"));
    enum fail fail = find(call, &i, fault);
    if (fail == FAIL_NONE)
        fail = owner_front(call->db, i.id, &front, fault);
    const json_t *fields = owner_declared(front, "userFields");
    if (fail == FAIL_NONE)
        fail = check_values(fields, set, a, fault);
    if (fail == FAIL_NONE)
        fail = db_begin(call->db, fault);
    if (fail == FAIL_NONE)
        fail = owner_query_config_put(call->db, i.id, set, fault);
    if (fail == FAIL_NONE)
        fail = owner_commit(call, i.plugin_id, "config.set", i.id, names_of(set), fault);
    if (fail == FAIL_NONE)
        a->json = config_json(fields, set);
    return fail;
}

// --- settings ---

static enum fail read_merged(json_t *merged, struct instance_settings *ret, struct answer *a,
                             struct fault *fault)
{
    json_t *wrong = json_object();
    owner_settings_read(merged, ret, wrong);
    if (json_object_size(wrong) == 0) {
        json_decref(wrong);
        return FAIL_NONE;
    }
    instance_settings_fini(ret);
    a->details = json_pack("{s:o}", "fields", wrong);
    return fault_set(fault, FAIL_REFUSED, "invalid_settings",
                     "Some settings cannot be accepted; details.fields says which and why.");
}

static enum fail change_settings(struct call *call, const struct instance *i, struct answer *a,
                                 struct fault *fault)
{
    json_auto_t *stored = NULL, *settings = NULL;
    struct instance_settings s;
    enum fail fail = db_begin(call->db, fault);
    if (fail == FAIL_NONE)
        fail = catalog_plugin_lock(call->db, i->plugin_id, fault);
    if (fail == FAIL_NONE)
        fail = owner_query_settings(call->db, i->id, &stored, fault);
    if (fail != FAIL_NONE)
        return fail;
    owner_merge(stored, call->json);
    fail = read_merged(stored, &s, a, fault);
    if (fail != FAIL_NONE)
        return fail;
    settings = owner_settings_json(&s);
    instance_settings_fini(&s);
    fail = owner_query_settings_put(call->db, i->id, settings, fault);
    if (fail == FAIL_NONE)
        fail = owner_commit(call, i->plugin_id, "instance.settings", i->id, json_incref(settings),
                            fault);
    return fail;
}

enum fail owner_api_patch_instance(struct call *call, struct answer *a, struct fault *fault)
{
    struct instance i;
    enum fail fail = find(call, &i, fault);
    if (fail == FAIL_NONE)
        fail = change_settings(call, &i, a, fault);
    if (fail == FAIL_NONE)
        fail = catalog_describe_instance(call->db, &i, &a->json, fault);
    return fail;
}
