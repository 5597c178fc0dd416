// One lock guards the table; it is held for a few lines and never while something is read. An entry
// is a held target, a remembered "there is none", or a question under way with those who wait.
#include "public-actions/target.h"
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/clock.h"
#include "edge/base/digest.h"
#include "edge/base/jsonx.h"
#include "edge/base/log.h"
#include "edge/catalog/hooks.h"
#include "public-actions/target_living.h"

enum {
    SLOTS = 4096, // a power of two; chains behind each
    NONE_MS = 2000,
    ENTRIES_MAX = 50000,
    NONES_MAX = 4096, // made-up names never push out what is there
    BYTES_MAX = 128 * 1024 * 1024,
    TIMEOUT_MS_DEFAULT = 120000,
};

// Entries by last use: what is there or being loaded, and the names that nothing bears.
struct order {
    struct entry *newest, *oldest;
    size_t count;
};

struct entry {
    struct entry *next; // in its slot
    struct order *order;
    struct entry *newer, *older; // in it
    char ref[CATALOG_SLUG_ROOM], deployment_id[27];
    struct target *target; // a reference; NULL: there is none, or it is being loaded
    struct target_want *waiting;
    bool is_loading, is_stale; // stale: what is being loaded is not kept
    uint64_t good_until;       // of a "there is none"
    enum fail fail;
};

static struct {
    pthread_mutex_t lock; // guards all of it
    struct entry *slots[SLOTS];
    struct order held, nones;
    size_t bytes;
    uint64_t loads, hits;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};
static const char *apps_origin;
static uint64_t hash_key;

void target_init(const char *origin)
{
    apps_origin = origin;
    random_bytes(&hash_key, sizeof hash_key);
}

// --- loading ---

static void target_free(struct shared *s)
{
    struct target *t = (struct target *)s;
    if (t->handler != NULL)
        shared_unref(&t->handler->shared);
    if (t->living_bytes != 0)
        target_vacate(t->instance.project_id, t->living_bytes);
    json_decref(t->front);
    instance_settings_fini(&t->settings);
    free(t->user);
    free(t->config);
    free(t->widget_app);
    free(t);
}

static void *zeroed(size_t n)
{
    void *p = calloc(1, n);
    if (p == NULL)
        abort();
    return p;
}

void target_files_owner(const struct target *t, struct files_owner *ret)
{
    *ret = (struct files_owner){0};
    memcpy(ret->project_id, t->instance.project_id, sizeof ret->project_id);
    memcpy(ret->plugin_id, t->instance.plugin_id, sizeof ret->plugin_id);
    memcpy(ret->instance_id, t->instance.id, sizeof ret->instance_id);
    memcpy(ret->instance_slug, t->instance.slug, sizeof ret->instance_slug);
    memcpy(ret->owner_id, t->owner_id, sizeof ret->owner_id);
}

static char *dump(json_t *taken)
{
    char *text = jsonx_dump(taken, NULL);
    json_decref(taken);
    return text;
}

static void read_runtime(struct target *t, const json_t *manifest, bool *ret_is_fresh)
{
    const json_t *runtime = json_object_get(manifest, "runtime"),
                 *timeout = json_object_get(runtime, "timeoutMs");
    t->timeout_ms =
        json_is_integer(timeout) ? (uint32_t)json_integer_value(timeout) : TIMEOUT_MS_DEFAULT;
    *ret_is_fresh = str_eq(jsonx_str(runtime, "isolation"), STR("request"));
    t->has_secrets = json_object_size(json_object_get(manifest, "developerSecrets")) != 0 ||
                     json_object_size(json_object_get(manifest, "userSecrets")) != 0;
}

static enum fail read_settings(struct db *db, struct target *t, const json_t *front,
                               struct fault *fault)
{
    json_t *config = NULL;
    enum fail fail = instance_settings_load(db, t->instance.id, &t->settings, fault);
    if (fail == FAIL_NONE)
        fail = owner_config_load(db, &t->instance, front, t->settings.connection, &config, fault);
    if (fail == FAIL_NONE)
        t->config = dump(config);
    return fail;
}

// The handler's code is counted by itself: others have it too.
static enum fail occupy(struct target *t, size_t front_bytes, struct fault *fault)
{
    size_t own = sizeof *t + 16384 + front_bytes + strlen(t->config);
    t->bytes = own + (t->handler != NULL ? t->handler->code.n : 0);
    if (!target_occupy(t->instance.project_id, own))
        return fault_set(fault, FAIL_BUSY, "busy",
                         "Too much of this project's code is at work; try again in a moment.");
    t->living_bytes = own;
    return FAIL_NONE;
}

// Takes what is in `d`.
static enum fail make(struct db *db, const struct visited *v, struct deployed *d, bool is_preview,
                      struct target **ret, struct fault *fault)
{
    struct target *t = zeroed(sizeof *t);
    shared_init(&t->shared, target_free);
    t->instance = v->instance;
    memcpy(t->plugin_slug, v->plugin_slug, sizeof t->plugin_slug);
    memcpy(t->deployment_id, d->deployment_id, sizeof t->deployment_id);
    memcpy(t->owner_id, v->owner_id, sizeof t->owner_id);
    t->is_preview = is_preview;
    t->has_app = d->has_app;
    size_t front_bytes;
    t->front = target_front(d->front, &front_bytes);
    t->user = dump(json_pack("{s:s, s:s}", "id", v->owner_id, "displayName", v->owner_name));
    t->widget_app = d->has_app
                        ? dump(json_pack("{s:s, s:s, s:s, s:s}", "instanceId", v->instance.id,
                                         "instanceSlug", v->instance.slug, "pluginSlug",
                                         v->plugin_slug, "baseUrl", apps_origin))
                        : str_dup(STR("null"));
    bool is_fresh;
    read_runtime(t, json_object_get(d->front, "manifest"), &is_fresh);
    if (d->code != NULL)
        t->handler = target_handler(&t->instance, d, is_fresh);
    enum fail fail = read_settings(db, t, d->front, fault);
    if (fail == FAIL_NONE)
        fail = occupy(t, front_bytes, fault);
    if (fail == FAIL_NONE)
        *ret = t;
    else
        shared_unref(&t->shared);
    return fail;
}

enum fail target_load(struct db *db, str ref, str deployment_id, struct target **ret,
                      struct fault *fault)
{
    struct visited v;
    struct deployed d = {0};
    enum fail fail = FAIL_NONE;
    if (ref.n == 0) {
        fail = catalog_find_deployed(db, STR(""), deployment_id, true, &d, fault);
        ref = str_from(d.instance_id);
    }
    if (fail == FAIL_NONE)
        fail = catalog_visited_find(db, ref, &v, fault);
    if (fail == FAIL_NONE && d.front == NULL)
        fail = catalog_find_deployed(db, str_from(v.instance.id), deployment_id, true, &d, fault);
    if (fail == FAIL_NONE)
        fail = make(db, &v, &d, deployment_id.n != 0, ret, fault);
    deployed_fini(&d);
    return fail;
}

// --- the table; under its lock ---

static size_t slot_of(str ref, str deployment_id)
{
    uint64_t h = hash_key;
    for (size_t i = 0; i != ref.n; ++i)
        h = (h ^ (unsigned char)ref.p[i]) * UINT64_C(0x100000001b3);
    h = (h ^ '@') * UINT64_C(0x100000001b3);
    for (size_t i = 0; i != deployment_id.n; ++i)
        h = (h ^ (unsigned char)deployment_id.p[i]) * UINT64_C(0x100000001b3);
    return (h ^ h >> 29) & (SLOTS - 1);
}

static struct entry *find(str ref, str deployment_id)
{
    struct entry *e = table.slots[slot_of(ref, deployment_id)];
    while (e != NULL &&
           !(str_eq(str_from(e->ref), ref) && str_eq(str_from(e->deployment_id), deployment_id)))
        e = e->next;
    return e;
}

static void unlink_used(struct entry *e)
{
    *(e->newer != NULL ? &e->newer->older : &e->order->newest) = e->older;
    *(e->older != NULL ? &e->older->newer : &e->order->oldest) = e->newer;
    --e->order->count;
}

static void link_used(struct entry *e, struct order *order)
{
    e->order = order;
    e->newer = NULL;
    e->older = order->newest;
    *(e->older != NULL ? &e->older->newer : &order->oldest) = e;
    order->newest = e;
    ++order->count;
}

// Used last of all in its order, which may be another than before.
static void touch(struct entry *e, struct order *order)
{
    if (order->newest == e)
        return;
    unlink_used(e);
    link_used(e, order);
}

static void drop_target(struct entry *e)
{
    if (e->target == NULL)
        return;
    table.bytes -= e->target->bytes;
    shared_unref(&e->target->shared);
    e->target = NULL;
}

static void remove_entry(struct entry *e)
{
    assert(!e->is_loading);
    struct entry **at = &table.slots[slot_of(str_from(e->ref), str_from(e->deployment_id))];
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    unlink_used(e);
    drop_target(e);
    free(e);
}

static void make_room(void)
{
    while (table.nones.count > NONES_MAX)
        remove_entry(table.nones.oldest);
    for (struct entry *e = table.held.oldest, *newer;
         e != NULL && (table.held.count > ENTRIES_MAX || table.bytes > BYTES_MAX); e = newer) {
        newer = e->newer;
        if (!e->is_loading)
            remove_entry(e);
    }
}

static struct entry *add(str ref, str deployment_id)
{
    struct entry *e = zeroed(sizeof *e);
    assert(ref.n < sizeof e->ref && deployment_id.n < sizeof e->deployment_id);
    memcpy(e->ref, ref.p, ref.n);
    memcpy(e->deployment_id, deployment_id.p, deployment_id.n);
    struct entry **slot = &table.slots[slot_of(ref, deployment_id)];
    e->next = *slot;
    *slot = e;
    link_used(e, &table.held);
    return e;
}

static bool is_good(const struct entry *e)
{
    return e->target != NULL ||
           (e->fail == FAIL_NOT_FOUND && !e->is_loading && clock_monotonic_ms() < e->good_until);
}

// --- questions ---

static struct target *referenced(struct target *t)
{
    if (t != NULL)
        shared_ref(&t->shared);
    return t;
}

bool target_get(str ref, str deployment_id, struct target **ret, enum fail *ret_fail)
{
    pthread_mutex_lock(&table.lock);
    struct entry *e = find(ref, deployment_id);
    bool is_held = e != NULL && is_good(e);
    if (is_held) {
        touch(e, e->order);
        ++table.hits;
        *ret = referenced(e->target);
        *ret_fail = e->target != NULL ? FAIL_NONE : FAIL_NOT_FOUND;
    }
    pthread_mutex_unlock(&table.lock);
    return is_held;
}

static void answer(struct target_want *w, struct target *t, enum fail fail)
{
    w->ret = referenced(t);
    w->fail = fail;
    loop_post(w->loop, &w->message);
}

static void answer_all(struct target_want *waiting, struct target *t, enum fail fail)
{
    for (struct target_want *next; waiting != NULL; waiting = next) {
        next = waiting->_next;
        answer(waiting, t, fail);
    }
}

struct load {
    struct job super;
    char ref[CATALOG_SLUG_ROOM], deployment_id[27];
};

// Its entry is there: what is being loaded is not removed.
static struct target_want *take_answer(const struct load *l, struct target *t, enum fail fail)
{
    pthread_mutex_lock(&table.lock);
    struct entry *e = find(str_from(l->ref), str_from(l->deployment_id));
    struct target_want *waiting = e->waiting;
    e->waiting = NULL;
    e->is_loading = false;
    e->fail =
        e->is_stale && fail == FAIL_NOT_FOUND ? FAIL_BUSY : fail; // BUSY: asked anew next time
    e->good_until = clock_monotonic_ms() + NONE_MS;
    if (fail == FAIL_NONE && !e->is_stale) {
        e->target = referenced(t);
        table.bytes += t->bytes;
    }
    e->is_stale = false;
    touch(e, e->target != NULL ? &table.held : &table.nones);
    make_room();
    pthread_mutex_unlock(&table.lock);
    return waiting;
}

static void on_load(struct job *super)
{
    struct load *l = (struct load *)super;
    struct target *t = NULL;
    struct fault fault = {0};
    enum fail fail =
        target_load(db_of_thread(), str_from(l->ref), str_from(l->deployment_id), &t, &fault);
    if (fail != FAIL_NONE && fail != FAIL_NOT_FOUND)
        log_warn("an app's handler cannot be loaded", "instance=%s code=%s detail=%s",
                 LOG_STR(str_from(l->ref)), fault.code, LOG_STR(str_from(fault.log_text)));
    answer_all(take_answer(l, t, fail), t, fail);
    if (t != NULL)
        shared_unref(&t->shared);
}

static void on_loaded(struct job *super)
{
    free(super);
}

// False when the lane is full. Under the lock.
static bool start_loading(struct entry *e)
{
    struct load *l = zeroed(sizeof *l);
    l->super = (struct job){.run = on_load, .done = on_loaded};
    memcpy(l->ref, e->ref, sizeof l->ref);
    memcpy(l->deployment_id, e->deployment_id, sizeof l->deployment_id);
    ++table.loads;
    if (pool_post(LANE_LOAD, &l->super) == FAIL_NONE) {
        touch(e, &table.held);
        return e->is_loading = true;
    }
    free(l);
    return false;
}

void target_want(struct target_want *w)
{
    str ref = str_from(w->ref), deployment_id = str_from(w->deployment_id);
    pthread_mutex_lock(&table.lock);
    struct entry *e = find(ref, deployment_id);
    if (e == NULL)
        e = add(ref, deployment_id);
    bool is_held = is_good(e), must_load = !is_held && !e->is_loading;
    struct target *t = is_held ? referenced(e->target) : NULL;
    if (!is_held) {
        w->_next = e->waiting;
        e->waiting = w;
    }
    struct target_want *refused = NULL;
    if (must_load && !start_loading(e)) {
        refused = e->waiting;
        e->waiting = NULL;
        touch(e, &table.nones);
        make_room();
    }
    pthread_mutex_unlock(&table.lock);
    if (is_held)
        answer(w, t, t != NULL ? FAIL_NONE : FAIL_NOT_FOUND);
    if (t != NULL)
        shared_unref(&t->shared);
    answer_all(refused, NULL, FAIL_BUSY);
}

// --- forgetting ---

static void forget(struct entry *e)
{
    if (e->is_loading)
        e->is_stale = true;
    else
        remove_entry(e);
}

// What is being loaded, or was not found, may be of any plugin by now. No plugin: all are meant.
static void forget_all_of(struct order *order, str plugin_id)
{
    for (struct entry *e = order->newest, *older; e != NULL; e = older) {
        older = e->older;
        if (plugin_id.p == NULL || e->target == NULL ||
            str_eq(str_from(e->target->instance.plugin_id), plugin_id))
            forget(e);
    }
}

void target_forget_plugin(str plugin_id)
{
    pthread_mutex_lock(&table.lock);
    forget_all_of(&table.held, plugin_id);
    forget_all_of(&table.nones, plugin_id);
    pthread_mutex_unlock(&table.lock);
}

void target_forget_all(void)
{
    target_forget_plugin((str){0});
}

void target_metrics(struct buf *to)
{
    pthread_mutex_lock(&table.lock);
    buf_addf(to,
             "# TYPE stoa_action_targets gauge\nstoa_action_targets %zu\n"
             "# TYPE stoa_action_target_bytes gauge\nstoa_action_target_bytes %zu\n"
             "# TYPE stoa_action_target_loads_total counter\nstoa_action_target_loads_total %llu\n",
             table.held.count, table.bytes, (unsigned long long)table.loads);
    pthread_mutex_unlock(&table.lock);
}
