// What a run, and a deploy's answer, need of what owners set.
#include "edge/base/log.h"
#include "edge/catalog/hooks.h"
#include "public-actions/owner_settings/internal.h"

enum fail instance_settings_load(struct db *db, const char *instance_id,
                                 struct instance_settings *ret, struct fault *fault)
{
    json_t *stored = NULL;
    enum fail fail = owner_query_settings(db, instance_id, &stored, fault);
    if (fail != FAIL_NONE)
        return fail;
    owner_settings_read(stored, ret, NULL);
    json_decref(stored);
    return FAIL_NONE;
}

enum fail owner_config_load(struct db *db, const char *instance_id, const json_t *front,
                            json_t **ret, struct fault *fault)
{
    const json_t *fields = owner_declared(front, "userFields");
    json_t *set = NULL;
    enum fail fail = FAIL_NONE;
    if (fields != NULL)
        fail = owner_query_config(db, instance_id, &set, fault);
    if (fail == FAIL_NONE)
        *ret = owner_config_effective(fields, set);
    json_decref(set);
    return fail;
}

enum fail owner_front(struct db *db, const char *instance_id, json_t **ret, struct fault *fault)
{
    struct deployed d;
    enum fail fail = catalog_find_deployed(db, str_from(instance_id), (str){0}, false, &d, fault);
    if (fail == FAIL_NOT_FOUND) {
        *ret = json_object();
        return FAIL_NONE;
    }
    if (fail != FAIL_NONE)
        return fail;
    *ret = json_incref(d.front);
    deployed_fini(&d);
    return FAIL_NONE;
}

// --- warnings ---

static bool is_required(const json_t *declaration)
{
    return json_is_true(json_object_get(declaration, "required"));
}

static bool has_required(const json_t *declared)
{
    const char *name;
    json_t *one;
    json_object_foreach((json_t *)declared, name, one)
    {
        if (is_required(one))
            return true;
    }
    return false;
}

static enum fail warn_secrets(struct db *db, const struct owner_holder *h, const json_t *declared,
                              const char *app, struct problems *warnings, struct fault *fault)
{
    struct owner_secret *list AUTOFREE = NULL;
    size_t n = 0;
    if (!has_required(declared))
        return FAIL_NONE;
    enum fail fail = owner_query_secrets(db, h, &list, &n, fault);
    if (fail != FAIL_NONE)
        return fail;
    const char **names AUTOFREE = owner_sorted(declared);
    for (const char **name = names; *name != NULL; ++name) {
        size_t i = 0;
        while (i != n && strcmp(list[i].name, *name) != 0)
            ++i;
        if (i == n && is_required(json_object_get(declared, *name)))
            problems_add(warnings, 0, 0, "manifest",
                         "The secret %s is required and not set yet: stoa secrets %s set %s", *name,
                         app, *name);
    }
    return FAIL_NONE;
}

static enum fail warn_config(struct db *db, const char *instance_id, const json_t *front,
                             const char *app, struct problems *warnings, struct fault *fault)
{
    const json_t *fields = owner_declared(front, "userFields");
    json_t *effective = NULL;
    if (!has_required(fields))
        return FAIL_NONE;
    enum fail fail = owner_config_load(db, instance_id, front, &effective, fault);
    if (fail != FAIL_NONE)
        return fail;
    const char **names AUTOFREE = owner_sorted(fields);
    for (const char **name = names; *name != NULL; ++name)
        if (owner_config_is_missing(*name, json_object_get(fields, *name), effective))
            problems_add(warnings, 0, 0, "manifest",
                         "The field %s is required and not set yet: stoa config %s %s=VALUE", *name,
                         app, *name);
    json_decref(effective);
    return FAIL_NONE;
}

void owner_settings_warn(struct db *db, const char *plugin_id, const struct instance *i,
                         const json_t *front, struct problems *warnings)
{
    struct fault fault = {0};
    const char *app = json_string_value(json_object_get(front, "name"));
    struct owner_holder plugin = {OWNER_PLUGIN, plugin_id, ""},
                        instance = {OWNER_INSTANCE, i != NULL ? i->id : "", ""};
    app = app != NULL ? app : plugin_id;
    enum fail fail =
        warn_secrets(db, &plugin, owner_declared(front, "developerSecrets"), app, warnings, &fault);
    if (fail == FAIL_NONE && i != NULL)
        fail = warn_secrets(db, &instance, owner_declared(front, "userSecrets"), app, warnings,
                            &fault);
    if (fail == FAIL_NONE && i != NULL)
        fail = warn_config(db, i->id, front, app, warnings, &fault);
    if (fail != FAIL_NONE)
        log_warn("a deploy was not told which secrets are unset", "plugin=%s reason=%s", plugin_id,
                 LOG_STR(str_from(fault.log_text)));
}
