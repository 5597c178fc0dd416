// What a run, and a deploy's answer, need of what owners set.
#include "edge/base/jsonx.h"
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

enum fail owner_config_load(struct db *db, const struct instance *i, const json_t *front,
                            str connection, json_t **ret, struct fault *fault)
{
    const json_t *fields = declared_of(front, "userFields");
    json_t *set = NULL, *given = NULL;
    enum fail fail = FAIL_NONE;
    if (fields != NULL)
        fail = owner_query_config(db, i->id, &set, fault);
    if (fields != NULL && fail == FAIL_NONE)
        fail = catalog_find_connected(db, i, connection, CONNECTED_FIELDS, &given, fault);
    if (fail == FAIL_NONE)
        *ret = declared_effective(fields, set, given);
    json_decref(set);
    json_decref(given);
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

// `given`: what comes from elsewhere, or NULL.
static enum fail warn_secrets(struct db *db, const struct owner_holder *h, const json_t *declared,
                              const json_t *given, const char *app, struct problems *warnings,
                              struct fault *fault)
{
    struct owner_secret *list AUTOFREE = NULL;
    size_t n = 0;
    if (!has_required(declared))
        return FAIL_NONE;
    enum fail fail = owner_query_secrets(db, h, &list, &n, fault);
    if (fail != FAIL_NONE)
        return fail;
    const char **names AUTOFREE = declared_sorted(declared);
    for (const char **name = names; *name != NULL; ++name) {
        size_t i = 0;
        while (i != n && strcmp(list[i].name, *name) != 0)
            ++i;
        if (i == n && json_object_get(given, *name) == NULL &&
            is_required(json_object_get(declared, *name)))
            problems_add(warnings, 0, 0, "manifest",
                         "The secret %s is required and not set yet: stoa secrets %s set %s", *name,
                         app, *name);
    }
    return FAIL_NONE;
}

static enum fail warn_config(struct db *db, const struct instance *i, const json_t *front,
                             str connection, const char *app, struct problems *warnings,
                             struct fault *fault)
{
    const json_t *fields = declared_of(front, "userFields");
    json_t *effective = NULL;
    if (!has_required(fields))
        return FAIL_NONE;
    enum fail fail = owner_config_load(db, i, front, connection, &effective, fault);
    if (fail != FAIL_NONE)
        return fail;
    const char **names AUTOFREE = declared_sorted(fields);
    for (const char **name = names; *name != NULL; ++name)
        if (declared_is_missing(*name, json_object_get(fields, *name), effective))
            problems_add(warnings, 0, 0, "manifest",
                         "The field %s is required and not set yet: stoa config %s %s=VALUE", *name,
                         app, *name);
    json_decref(effective);
    return FAIL_NONE;
}

static enum fail warn_instance(struct db *db, const struct instance *i, const json_t *front,
                               const char *app, struct problems *warnings, struct fault *fault)
{
    const json_t *declared = declared_of(front, "userSecrets");
    struct owner_holder holder = {OWNER_INSTANCE, i->id, ""};
    json_auto_t *settings = NULL;
    json_t *given = NULL;
    enum fail fail = owner_query_settings(db, i->id, &settings, fault);
    str connection = jsonx_str(settings, "connection");
    if (fail == FAIL_NONE && has_required(declared))
        fail = catalog_find_connected(db, i, connection, CONNECTED_SECRETS, &given, fault);
    if (fail == FAIL_NONE)
        fail = warn_secrets(db, &holder, declared, given, app, warnings, fault);
    owner_forget(given);
    if (fail == FAIL_NONE)
        fail = warn_config(db, i, front, connection, app, warnings, fault);
    return fail;
}

void owner_settings_warn(struct db *db, const char *plugin_id, const struct instance *i,
                         const json_t *front, struct problems *warnings)
{
    struct fault fault = {0};
    const char *app = json_string_value(json_object_get(front, "name"));
    struct owner_holder plugin = {OWNER_PLUGIN, plugin_id, ""};
    app = app != NULL ? app : plugin_id;
    enum fail fail = warn_secrets(db, &plugin, declared_of(front, "developerSecrets"), NULL, app,
                                  warnings, &fault);
    if (fail == FAIL_NONE && i != NULL)
        fail = warn_instance(db, i, front, app, warnings, &fault);
    if (fail != FAIL_NONE)
        log_warn("a deploy was not told which secrets are unset", "plugin=%s reason=%s", plugin_id,
                 LOG_STR(str_from(fault.log_text)));
}
