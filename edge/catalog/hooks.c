// A short list, filled before any thread reads it.
#include "edge/catalog/hooks.h"
#include <assert.h>
#include <stdlib.h>

enum { HOOKS_MAX = 16 };
static const struct catalog_hooks *list[HOOKS_MAX];
static size_t count;

void catalog_hooks_add(const struct catalog_hooks *hooks)
{
    assert(count < HOOKS_MAX);
    list[count++] = hooks;
}

enum fail catalog_ask_deploy(struct db *db, const struct deploy_facts *f, struct problems *problems,
                             struct problems *warnings, struct fault *fault)
{
    enum fail fail = FAIL_NONE;
    for (size_t i = 0; fail == FAIL_NONE && i != count; ++i)
        if (list[i]->on_deploy_check != NULL)
            fail = list[i]->on_deploy_check(db, f, problems, warnings, fault);
    return fail;
}

void catalog_tell_deployed(struct db *db, const struct deploy_facts *f, struct problems *warnings)
{
    for (size_t i = 0; i != count; ++i)
        if (list[i]->on_deployed != NULL)
            list[i]->on_deployed(db, f, warnings);
}

void catalog_tell_changed(const char *plugin_id)
{
    for (size_t i = 0; i != count; ++i)
        if (list[i]->on_changed != NULL)
            list[i]->on_changed(plugin_id);
}

enum fail catalog_ask_delete(struct db *db, const struct plugin *p, json_t *what,
                             bool *ret_has_data, struct fault *fault)
{
    *ret_has_data = false;
    enum fail fail = FAIL_NONE;
    for (size_t i = 0; fail == FAIL_NONE && i != count; ++i) {
        bool has_data = false;
        if (list[i]->on_delete_ask != NULL)
            fail = list[i]->on_delete_ask(db, p, what, &has_data, fault);
        *ret_has_data |= has_data;
    }
    return fail;
}

enum fail catalog_tell_delete(struct db *db, const struct plugin *p, bool keep_data,
                              struct fault *fault)
{
    enum fail fail = FAIL_NONE;
    for (size_t i = 0; fail == FAIL_NONE && i != count; ++i)
        if (list[i]->on_delete != NULL)
            fail = list[i]->on_delete(db, p, keep_data, fault);
    return fail;
}

enum fail catalog_tell_delete_instance(struct db *db, const char *instance_id, struct fault *fault)
{
    enum fail fail = FAIL_NONE;
    for (size_t i = 0; fail == FAIL_NONE && i != count; ++i)
        if (list[i]->on_delete_instance != NULL)
            fail = list[i]->on_delete_instance(db, instance_id, fault);
    return fail;
}

enum fail catalog_find_deployed(struct db *db, str instance_id, str deployment_id, bool with_code,
                                struct deployed *ret, struct fault *fault)
{
    for (size_t i = 0; i != count; ++i)
        if (list[i]->on_find_deployed != NULL)
            return list[i]->on_find_deployed(db, instance_id, deployment_id, with_code, ret, fault);
    return fault_set(fault, FAIL_NOT_FOUND, "deployment_not_found", "Nothing is deployed there.");
}

enum fail catalog_find_current(struct db *db, const struct plugin *plugins, size_t n,
                               struct deployed *ret, struct fault *fault)
{
    for (size_t i = 0; i != count; ++i)
        if (list[i]->on_find_current != NULL)
            return list[i]->on_find_current(db, plugins, n, ret, fault);
    return FAIL_NONE;
}

enum fail catalog_find_offered(struct db *db, const char *project_id, str ref, struct plugin *ret,
                               struct fault *fault)
{
    for (size_t i = 0; i != count; ++i)
        if (list[i]->on_find_offered != NULL)
            return list[i]->on_find_offered(db, project_id, ref, ret, fault);
    return fault_set(fault, FAIL_NOT_FOUND, "plugin_not_found",
                     "There is no such plugin in this project.");
}

enum fail catalog_find_connected(struct db *db, const struct instance *instance, str name,
                                 enum connected what, json_t **ret, struct fault *fault)
{
    *ret = NULL;
    for (size_t i = 0; i != count; ++i)
        if (list[i]->on_find_connected != NULL)
            return list[i]->on_find_connected(db, instance, name, what, ret, fault);
    return FAIL_NONE;
}

bool catalog_ask_blob(struct db *db, const struct digest *d)
{
    for (size_t i = 0; i != count; ++i)
        if (list[i]->on_blob_ask != NULL && list[i]->on_blob_ask(db, d))
            return true;
    return false;
}

enum fail catalog_describe_instance(struct db *db, const struct instance *i, json_t **ret,
                                    struct fault *fault)
{
    json_t *object = json_object();
    enum fail fail = FAIL_NONE;
    for (size_t n = 0; fail == FAIL_NONE && n != count; ++n)
        if (list[n]->on_describe_instance != NULL)
            fail = list[n]->on_describe_instance(db, i, object, fault);
    if (fail == FAIL_NONE)
        *ret = object;
    else
        json_decref(object);
    return fail;
}

enum fail catalog_tell_event(struct db *db, const struct catalog_event *e, struct fault *fault)
{
    enum fail fail = FAIL_NONE;
    for (size_t i = 0; fail == FAIL_NONE && i != count; ++i)
        if (list[i]->on_event != NULL)
            fail = list[i]->on_event(db, e, fault);
    return fail;
}

void deployed_fini(struct deployed *d)
{
    json_decref(d->front);
    free(d->code);
    *d = (struct deployed){0};
}
