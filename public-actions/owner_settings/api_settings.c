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

// {"values","set","connected","missing","fields"}: what a handler sees, but for what a connection
// gives, which is named alone; what of it was set here; which required fields have no value; and the
// manifest's fields.
static json_t *config_json(const json_t *fields, const json_t *set, const json_t *given)
{
    json_t *missing = json_array(), *connected = json_array(), *about = json_object(),
           *values = declared_effective(fields, set, NULL),
           *seen = declared_effective(fields, set, given);
    const char **names AUTOFREE = declared_sorted(fields);
    for (size_t i = 0; names[i] != NULL; ++i) {
        json_t *field = json_object_get(fields, names[i]);
        json_object_set(about, names[i], field);
        if (declared_is_missing(names[i], field, seen))
            json_array_append_new(missing, json_string(names[i]));
        if (json_object_get(given, names[i]) != NULL && json_object_get(set, names[i]) == NULL)
            json_array_append_new(connected, json_string(names[i]));
    }
    json_decref(seen);
    return json_pack("{s:o, s:O, s:o, s:o, s:o}", "values", values, "set", set, "connected",
                     connected, "missing", missing, "fields", about);
}

static enum fail find_given(struct db *db, const struct instance *i, json_t **ret,
                            struct fault *fault)
{
    json_auto_t *settings = NULL;
    enum fail fail = owner_query_settings(db, i->id, &settings, fault);
    return fail == FAIL_NONE ? catalog_find_connected(db, i, jsonx_str(settings, "connection"),
                                                      CONNECTED_FIELDS, ret, fault)
                             : fail;
}

enum fail owner_api_get_config(struct call *call, struct answer *a, struct fault *fault)
{
    struct instance i;
    json_auto_t *front = NULL, *set = NULL, *given = NULL;
    enum fail fail = find(call, &i, fault);
    if (fail == FAIL_NONE)
        fail = owner_front(call->db, i.id, &front, fault);
    if (fail == FAIL_NONE)
        fail = owner_query_config(call->db, i.id, &set, fault);
    if (fail == FAIL_NONE)
        fail = find_given(call->db, &i, &given, fault);
    if (fail == FAIL_NONE)
        a->json = config_json(declared_of(front, "userFields"), set, given);
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
    declared_check(fields, values, wrong);
    if (json_object_size(wrong) == 0) {
        json_decref(wrong);
        return check_size(values, fault);
    }
    a->details = json_pack("{s:o}", "fields", wrong);
    return fault_set(fault, FAIL_REFUSED, "invalid_config",
                     "Some values do not fit the fields that the manifest declares.");
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
    json_auto_t *front = NULL, *given = NULL,
                *set = without_nulls(json_object_get(call->json, "values"));
    enum fail fail = find(call, &i, fault);
    if (fail == FAIL_NONE)
        fail = owner_front(call->db, i.id, &front, fault);
    const json_t *fields = declared_of(front, "userFields");
    if (fail == FAIL_NONE)
        fail = check_values(fields, set, a, fault);
    if (fail == FAIL_NONE)
        fail = db_begin(call->db, fault);
    if (fail == FAIL_NONE)
        fail = owner_query_config_put(call->db, i.id, set, fault);
    if (fail == FAIL_NONE)
        fail = owner_commit(call, i.plugin_id, "config.set", i.id, names_of(set), fault);
    if (fail == FAIL_NONE)
        fail = find_given(call->db, &i, &given, fault);
    if (fail == FAIL_NONE)
        a->json = config_json(fields, set, given);
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
    return fault_set(fault, FAIL_REFUSED, "invalid_settings", "Some settings cannot be accepted.");
}

static bool is_connection(struct db *db, const struct instance *i, str name)
{
    json_auto_t *given = NULL;
    struct fault unheard;
    return catalog_find_connected(db, i, name, CONNECTED_FIELDS, &given, &unheard) != FAIL_NONE ||
           given != NULL;
}

static enum fail check_connection(struct call *call, const struct instance *i,
                                  const struct instance_settings *s, struct answer *a,
                                  struct fault *fault)
{
    if (!json_is_string(json_object_get(call->json, "connection")) ||
        is_connection(call->db, i, s->connection))
        return FAIL_NONE;
    a->details = json_pack("{s:{s:s}}", "fields", "connection",
                           "This project has no connection of this name to this plugin.");
    return fault_set(fault, FAIL_REFUSED, "invalid_settings", "Some settings cannot be accepted.");
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
    fail = check_connection(call, i, &s, a, fault);
    settings = owner_settings_json(&s);
    instance_settings_fini(&s);
    if (fail == FAIL_NONE)
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
