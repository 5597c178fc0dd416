// Secrets of a plugin (its author's) and of an instance (its owner's): names and times come out, a
// value never does.
#include <stdlib.h>
#include "edge/auth/auth.h"
#include "edge/base/jsonx.h"
#include "edge/catalog/hooks.h"
#include "public-actions/owner_settings/internal.h"

// What a request is about.
struct subject {
    struct owner_holder holder;
    struct plugin plugin;     // OWNER_PLUGIN
    struct instance instance; // OWNER_INSTANCE; of a plugin, its first one, for the manifest
    bool has_instance;
    json_t *front;
    const json_t *declared; // borrows from `front`
};

static void subject_fini(struct subject *s)
{
    json_decref(s->front);
}
#define SUBJECT_AUTO __attribute__((cleanup(subject_fini))) struct subject

static const char *plugin_of(const struct subject *s)
{
    return s->holder.kind == OWNER_PLUGIN ? s->plugin.id : s->instance.plugin_id;
}

static enum fail find_plugin(struct call *call, struct subject *s, struct fault *fault)
{
    const char *project = call->principal->project_id;
    enum fail fail = catalog_plugin_find(call->db, project, call->params[0], &s->plugin, fault);
    if (fail != FAIL_NONE)
        return fail;
    s->holder = (struct owner_holder){OWNER_PLUGIN, s->plugin.id, s->plugin.project_id};
    fail = catalog_instance_first(call->db, project, s->plugin.id, &s->instance, fault);
    s->has_instance = fail == FAIL_NONE;
    return fail == FAIL_NOT_FOUND ? FAIL_NONE : fail;
}

static enum fail find_instance(struct call *call, struct subject *s, struct fault *fault)
{
    enum fail fail = catalog_instance_find(call->db, call->principal->project_id, call->params[0],
                                           &s->instance, fault);
    s->holder = (struct owner_holder){OWNER_INSTANCE, s->instance.id, s->instance.project_id};
    s->has_instance = fail == FAIL_NONE;
    return fail;
}

static enum fail find_subject(struct call *call, enum owner_kind kind, struct subject *s,
                              struct fault *fault)
{
    *s = (struct subject){.front = NULL};
    enum fail fail =
        kind == OWNER_PLUGIN ? find_plugin(call, s, fault) : find_instance(call, s, fault);
    if (fail == FAIL_NONE && s->has_instance)
        fail = owner_front(call->db, s->instance.id, &s->front, fault);
    s->declared = declared_of(s->front, kind == OWNER_PLUGIN ? "developerSecrets" : "userSecrets");
    return fail;
}

// With what the manifest says of it; `s` is NULL when it is not set.
static json_t *describe(const char *name, const json_t *declaration, const struct owner_secret *s)
{
    json_t *o = owner_secret_json(name, s);
    const json_t *description = json_object_get(declaration, "description");
    json_object_set_new(o, "set", json_boolean(s != NULL));
    json_object_set_new(o, "declared", json_boolean(declaration != NULL));
    json_object_set_new(o, "required",
                        json_boolean(json_is_true(json_object_get(declaration, "required"))));
    if (json_is_string(description))
        json_object_set(o, "description", (json_t *)description);
    return o;
}

// --- list, get ---

static const struct owner_secret *stored_one(const struct owner_secret *list, size_t n,
                                             const char *name)
{
    for (size_t i = 0; i != n; ++i)
        if (strcmp(list[i].name, name) == 0)
            return &list[i];
    return NULL;
}

// Which of an instance's a connection gives: true or false for each that is declared.
static enum fail add_connected(struct call *call, const struct subject *s, json_t *data,
                               struct fault *fault)
{
    size_t i;
    json_t *one, *given = NULL;
    json_auto_t *settings = NULL;
    if (s->holder.kind != OWNER_INSTANCE)
        return FAIL_NONE;
    enum fail fail = owner_query_settings(call->db, s->instance.id, &settings, fault);
    if (fail == FAIL_NONE)
        fail = catalog_find_connected(call->db, &s->instance, jsonx_str(settings, "connection"),
                                      CONNECTED_SECRETS, &given, fault);
    json_array_foreach(data, i, one)
    {
        const char *name = json_string_value(json_object_get(one, "name"));
        json_object_set_new(one, "connected", json_boolean(json_object_get(given, name) != NULL));
    }
    owner_forget(given);
    return fail;
}

// What is declared, then what is set but no longer declared.
static enum fail list_secrets(struct call *call, enum owner_kind kind, struct answer *a,
                              struct fault *fault)
{
    SUBJECT_AUTO s;
    struct owner_secret *list AUTOFREE = NULL;
    size_t n = 0;
    enum fail fail = find_subject(call, kind, &s, fault);
    if (fail == FAIL_NONE)
        fail = owner_query_secrets(call->db, &s.holder, &list, &n, fault);
    if (fail != FAIL_NONE)
        return fail;
    json_t *data = json_array();
    const char **names AUTOFREE = declared_sorted(s.declared);
    for (size_t i = 0; names[i] != NULL; ++i)
        json_array_append_new(data, describe(names[i], json_object_get(s.declared, names[i]),
                                             stored_one(list, n, names[i])));
    for (size_t i = 0; i != n; ++i)
        if (json_object_get(s.declared, list[i].name) == NULL)
            json_array_append_new(data, describe(list[i].name, NULL, &list[i]));
    a->json = json_pack("{s:o, s:n, s:n}", "data", data, "next", "previous");
    return add_connected(call, &s, data, fault);
}

static enum fail get_secret(struct call *call, enum owner_kind kind, struct answer *a,
                            struct fault *fault)
{
    SUBJECT_AUTO s;
    struct owner_secret secret;
    enum fail fail = find_subject(call, kind, &s, fault);
    if (fail == FAIL_NONE)
        fail = owner_query_secret(call->db, &s.holder, call->params[1], &secret, fault);
    if (fail == FAIL_NONE)
        a->json = describe(secret.name, declared_one(s.declared, call->params[1]), &secret);
    return fail;
}

// --- set ---

static enum fail check_name(const struct subject *s, str name, struct answer *a,
                            struct fault *fault)
{
    char text[160];
    const char *kind = s->holder.kind == OWNER_PLUGIN ? "developerSecrets" : "userSecrets";
    if (declared_one(s->declared, name) != NULL)
        return FAIL_NONE;
    json_t *known = json_array();
    const char **names AUTOFREE = declared_sorted(s->declared);
    for (size_t i = 0; names[i] != NULL; ++i)
        json_array_append_new(known, json_string(names[i]));
    a->details = json_pack("{s:o}", "declared", known);
    return fault_set(fault, FAIL_REFUSED, "unknown_secret",
                     "The manifest's %s do not declare a secret of this name. Declared: %s.", kind,
                     declared_names(s->declared, text, sizeof text));
}

static enum fail check_value(str value, struct answer *a, struct fault *fault)
{
    if (value.n != 0 && value.n <= SECRET_BYTES_MAX)
        return FAIL_NONE;
    a->details = json_pack("{s:{s:s}}", "fields", "value",
                           value.n == 0 ? "This must not be empty; DELETE removes a secret."
                                        : "This must be at most 65536 bytes long.");
    return fault_set(fault, FAIL_REFUSED, "invalid_request",
                     "Some fields of the request cannot be accepted.");
}

// Request bytes live on in freed memory; the value need not.
static void forget_value(struct call *call)
{
    const json_t *value = json_object_get(call->json, "value");
    if (json_is_string(value))
        explicit_bzero((char *)json_string_value(value), json_string_length(value));
    if (call->body.n != 0)
        explicit_bzero((char *)call->body.p, call->body.n); // the call's own copy
}

static enum fail store(struct call *call, const struct subject *s, const char *name,
                       struct owner_secret *ret, struct fault *fault)
{
    enum fail fail = db_begin(call->db, fault);
    if (fail == FAIL_NONE)
        fail = catalog_plugin_lock(call->db, plugin_of(s), fault);
    if (fail == FAIL_NONE)
        fail = owner_secret_set(call->db, &s->holder, name, jsonx_str(call->json, "value"), ret,
                                fault);
    forget_value(call);
    if (fail == FAIL_NONE)
        fail = owner_commit(call, plugin_of(s), "secret.set", s->holder.id,
                            json_pack("{s:s}", "name", name), fault);
    return fail;
}

static enum fail put_secret(struct call *call, enum owner_kind kind, struct answer *a,
                            struct fault *fault)
{
    SUBJECT_AUTO s;
    struct owner_secret secret;
    enum fail fail = find_subject(call, kind, &s, fault);
    if (fail == FAIL_NONE)
        fail = check_name(&s, call->params[1], a, fault);
    if (fail == FAIL_NONE)
        fail = check_value(jsonx_str(call->json, "value"), a, fault);
    if (fail == FAIL_NONE) {
        AUTOFREE char *name = str_dup(call->params[1]);
        fail = store(call, &s, name, &secret, fault);
    }
    forget_value(call);
    if (fail == FAIL_NONE)
        a->json = describe(secret.name, declared_one(s.declared, call->params[1]), &secret);
    return fail;
}

// --- delete ---

static enum fail delete_secret(struct call *call, enum owner_kind kind, struct answer *a,
                               struct fault *fault)
{
    SUBJECT_AUTO s;
    struct owner_secret secret;
    enum fail fail = find_subject(call, kind, &s, fault);
    if (fail == FAIL_NONE)
        fail = db_begin(call->db, fault);
    if (fail == FAIL_NONE)
        fail = owner_query_secret_delete(call->db, &s.holder, call->params[1], &secret, fault);
    if (fail == FAIL_NONE)
        fail = owner_commit(call, plugin_of(&s), "secret.delete", s.holder.id,
                            json_pack("{s:s}", "name", secret.name), fault);
    if (fail == FAIL_NONE)
        a->json = describe(secret.name, declared_one(s.declared, call->params[1]), NULL);
    return fail;
}

// --- the table's functions ---

enum fail owner_api_list_plugin_secrets(struct call *call, struct answer *a, struct fault *fault)
{
    return list_secrets(call, OWNER_PLUGIN, a, fault);
}
enum fail owner_api_get_plugin_secret(struct call *call, struct answer *a, struct fault *fault)
{
    return get_secret(call, OWNER_PLUGIN, a, fault);
}
enum fail owner_api_put_plugin_secret(struct call *call, struct answer *a, struct fault *fault)
{
    return put_secret(call, OWNER_PLUGIN, a, fault);
}
enum fail owner_api_delete_plugin_secret(struct call *call, struct answer *a, struct fault *fault)
{
    return delete_secret(call, OWNER_PLUGIN, a, fault);
}
enum fail owner_api_list_instance_secrets(struct call *call, struct answer *a, struct fault *fault)
{
    return list_secrets(call, OWNER_INSTANCE, a, fault);
}
enum fail owner_api_get_instance_secret(struct call *call, struct answer *a, struct fault *fault)
{
    return get_secret(call, OWNER_INSTANCE, a, fault);
}
enum fail owner_api_put_instance_secret(struct call *call, struct answer *a, struct fault *fault)
{
    return put_secret(call, OWNER_INSTANCE, a, fault);
}
enum fail owner_api_delete_instance_secret(struct call *call, struct answer *a, struct fault *fault)
{
    return delete_secret(call, OWNER_INSTANCE, a, fault);
}
