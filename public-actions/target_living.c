#include "public-actions/target_living.h"
#include <pthread.h>
#include <stdlib.h>
#include "edge/catalog/declared.h"
#include "edge/limits/holdings.h"

enum { SLOTS = 1024, OBJECT_BYTES = 256, MEMBER_BYTES = 160 }; // jansson's, generously

struct living {
    struct handler super;
    struct living *next; // in its slot
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // guards these
static struct living *slots[SLOTS];
static struct holdings held; // of each project

// --- handlers ---

static struct living **slot_of(const char *instance_id)
{
    uint32_t hash = 2166136261;
    for (const char *p = instance_id; *p != '\0'; ++p)
        hash = (hash ^ (uint8_t)*p) * 16777619;
    return &slots[hash % SLOTS];
}

static size_t bytes_of(const struct handler *h)
{
    return sizeof(struct living) + h->code.n;
}

static void on_free(struct shared *s)
{
    struct living *l = (struct living *)s;
    pthread_mutex_lock(&lock);
    struct living **at = slot_of(l->super.instance_id);
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    holdings_remove(&held, l->super.project_id, bytes_of(&l->super));
    pthread_mutex_unlock(&lock);
    free((char *)l->super.code.p);
    free(l);
}

// A reference to one that is alive. Under the lock.
static struct handler *find(const char *instance_id, const char *deployment_id)
{
    for (struct living *l = *slot_of(instance_id); l != NULL; l = l->next)
        if (strcmp(l->super.instance_id, instance_id) == 0 &&
            strcmp(l->super.deployment_id, deployment_id) == 0 &&
            shared_ref_if_alive(&l->super.shared))
            return &l->super;
    return NULL;
}

static struct living *make(const struct instance *i, struct deployed *d, bool is_fresh)
{
    struct living *l = calloc(1, sizeof *l);
    if (l == NULL)
        abort();
    struct handler *h = &l->super;
    shared_init(&h->shared, on_free);
    memcpy(h->instance_id, i->id, sizeof h->instance_id);
    memcpy(h->plugin_id, i->plugin_id, sizeof h->plugin_id);
    memcpy(h->project_id, i->project_id, sizeof h->project_id);
    memcpy(h->deployment_id, d->deployment_id, sizeof h->deployment_id);
    h->code = str_of(d->code, d->code_size);
    h->first_line = d->code_line;
    d->code = NULL;
    h->is_fresh = is_fresh;
    return l;
}

struct handler *target_handler(const struct instance *i, struct deployed *d, bool is_fresh)
{
    pthread_mutex_lock(&lock);
    struct handler *h = find(i->id, d->deployment_id);
    if (h == NULL) {
        struct living *l = make(i, d, is_fresh), **slot = slot_of(i->id);
        h = &l->super;
        l->next = *slot;
        *slot = l;
        holdings_add(&held, h->project_id, bytes_of(h));
    }
    pthread_mutex_unlock(&lock);
    return h;
}

// --- room ---

bool target_occupy(const char *project_id, size_t bytes)
{
    pthread_mutex_lock(&lock);
    bool has_room = holdings_of(&held, project_id).bytes + bytes <= TARGET_PROJECT_BYTES_MAX;
    if (has_room)
        holdings_add(&held, project_id, bytes);
    pthread_mutex_unlock(&lock);
    return has_room;
}

void target_vacate(const char *project_id, size_t bytes)
{
    pthread_mutex_lock(&lock);
    holdings_remove(&held, project_id, bytes);
    pthread_mutex_unlock(&lock);
}

// --- front matter ---

static void keep_text(json_t *to, const char *name, const json_t *from, size_t *bytes)
{
    json_t *value = json_object_get(from, name);
    if (!json_is_string(value))
        return;
    *bytes += MEMBER_BYTES + json_string_length(value);
    json_object_set_new(to, name, json_copy(value));
}

static json_t *keep_matchers(const json_t *matchers, size_t *bytes)
{
    static const char *const names[] = {"source", "action", "actionId"};
    json_t *ret = json_array(), *matcher;
    size_t i;
    json_array_foreach((json_t *)matchers, i, matcher)
    {
        json_t *kept = json_object();
        *bytes += OBJECT_BYTES;
        for (size_t n = 0; n != sizeof names / sizeof names[0]; ++n)
            keep_text(kept, names[n], matcher, bytes);
        json_array_append_new(ret, kept);
    }
    return ret;
}

static json_t *keep_events(const json_t *events, size_t *bytes)
{
    json_t *ret = json_array(), *event;
    size_t i;
    json_array_foreach((json_t *)events, i, event)
    {
        json_t *kept = json_object();
        *bytes += 2 * OBJECT_BYTES;
        keep_text(kept, "id", event, bytes);
        if (json_is_false(json_object_get(event, "enabled")))
            json_object_set_new(kept, "enabled", json_false());
        json_object_set_new(kept, "matchers",
                            keep_matchers(json_object_get(event, "matchers"), bytes));
        json_array_append_new(ret, kept);
    }
    return ret;
}

// Which there are; what is said of them, deploys and owners ask elsewhere.
static void keep_names(json_t *to, const char *kind, const json_t *front, size_t *bytes)
{
    const json_t *declared = declared_of(front, kind);
    json_t *kept, *value;
    const char *name;
    if (declared == NULL)
        return;
    json_object_set_new(to, kind, kept = json_object());
    *bytes += OBJECT_BYTES;
    json_object_foreach((json_t *)declared, name, value)
    {
        *bytes += MEMBER_BYTES + strlen(name);
        json_object_set_new(kept, name, json_true());
    }
}

json_t *target_front(const json_t *front, size_t *ret_bytes)
{
    const json_t *manifest = json_object_get(front, "manifest");
    json_t *kept = json_object();
    *ret_bytes = 4 * OBJECT_BYTES;
    keep_names(kept, "developerSecrets", front, ret_bytes);
    keep_names(kept, "userSecrets", front, ret_bytes);
    json_t *events = keep_events(
        json_object_get(json_object_get(manifest, "heartbeatEvents"), "events"), ret_bytes);
    json_object_set_new(kept, "heartbeatEvents", json_pack("{so}", "events", events));
    return json_pack("{so}", "manifest", kept);
}
