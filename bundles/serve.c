// A visit: one request for a page or file, from its address to its reply. When everything is at
// hand it runs from serve_on_request to reply_bytes on the stack, with one look into the loop's
// index and one into the site. What is cold is waited for: then the visit is parked in the
// request's memory, and goes on where it stopped when the shelf calls back.
//
// Written in the order it runs, from the end: serve_on_request, on_mount, resolve_visit, serve_file,
// on_variant. What it is answered with is in visit_reply.c and visit_file.c.
#include "bundles/serve.h"
#include <assert.h>
#include <inttypes.h>
#include "bundles/resolve.h"
#include "bundles/visit.h"
#include "edge/catalog/hooks.h"
#include "edge/limits/limits.h"

#define ALLOW "GET, HEAD, OPTIONS"

// Of names that no app has and that nobody has asked for lately, each of which is a query.
enum { MISSES_PER_MINUTE = 600, MISSES_AT_ONCE = 300 };
static const uint64_t miss_us = 60 * 1000000 / MISSES_PER_MINUTE;
// A miss is known as one when its query has been answered: so many may be under way to an address, and to a network half of what the pool lets wait.
enum { LOOKS_EACH = 300, LOOKS_OF_NETWORK = 1000 };

// Keys; `visitor` 0: none.
struct look {
    uint64_t visitor, network;
};

// A visit that waits. Its memory is the request's; a client that leaves is noticed by on_gone.
struct parked {
    struct shelf_wait wait; // first
    struct visit visit;
    struct loop_timer timer;
    struct mount *mount; // a reference, or NULL
    struct look look;    // while it waits for its app
};

static const struct bundle_options *options;

void serve_init(const struct bundle_options *o)
{
    options = o;
    variant_init(o->instance_domain[0] != '\0');
    cache_init(&serve_source, o->cache_bytes);
    visit_init();
}

void serve_on_loop_start(struct loop *loop)
{
    shelf_create(loop);
}

// --- waiting ---

static uint64_t looks_of(str sender)
{
    str parts[] = {STR("looks for an app"), sender};
    return limits_key_of(LIMIT_OTHER, parts, 2);
}

static bool look_begin(const struct request *r, struct look *ret)
{
    struct look l = {looks_of(limits_visitor(&r->visitor)), looks_of(limits_network(&r->visitor))};
    if (!limits_enter(l.visitor, LOOKS_EACH))
        return false;
    if (!limits_enter(l.network, LOOKS_OF_NETWORK)) {
        limits_leave(l.visitor);
        return false;
    }
    *ret = l;
    return true;
}

static void look_end(struct look *l)
{
    if (l->visitor == 0)
        return;
    limits_leave(l->visitor);
    limits_leave(l->network);
    l->visitor = 0;
}

static void on_gone(void *holder)
{
    struct parked *p = holder;
    look_end(&p->look);
    shelf_cancel(&p->wait);
    loop_timer_stop(&p->timer);
    mount_unref(p->mount);
    p->mount = NULL;
}

static void on_timeout(struct loop_timer *t)
{
    struct parked *p = (struct parked *)((char *)t - offsetof(struct parked, timer));
    shelf_cancel(&p->wait);
    look_end(&p->look);
    visit_reply_failure(&p->visit, FAIL_TIMEOUT, "busy");
}

static void on_failure(struct shelf_wait *w, enum fail fail, const char *code)
{
    struct parked *p = (struct parked *)w;
    loop_timer_stop(&p->timer);
    look_end(&p->look);
    visit_reply_failure(&p->visit, fail, code);
}

static void on_mount(struct shelf_wait *w, struct mount *m);
static void on_variant(struct shelf_wait *w, struct variant *variant);

// A preview host's key is made on the stack of serve_on_request.
static void keep_key(struct visit *v)
{
    str key = v->address.key;
    if (v->r->site != SITE_PREVIEW)
        return;
    char *kept = request_alloc(v->r, key.n);
    memcpy(kept, key.p, key.n);
    v->address.key.p = kept;
}

// The visit's copy in the request's memory, with its deadline running.
static struct parked *park(struct visit *v)
{
    struct parked *p = v->parked;
    if (p == NULL) {
        keep_key(v);
        p = request_holder(v->r, sizeof *p, on_gone);
        p->wait.on_mount = on_mount;
        p->wait.on_variant = on_variant;
        p->wait.on_failure = on_failure;
        p->timer.run = on_timeout;
        p->visit = *v;
        p->visit.parked = p;
    }
    if (v->mount != NULL && p->mount == NULL) {
        mount_ref(v->mount);
        p->mount = v->mount;
    }
    v->r->cache = "miss";
    loop_timer_start(&p->timer, SERVE_WAIT_MS);
    return p;
}

static void on_variant(struct shelf_wait *w, struct variant *variant)
{
    struct parked *p = (struct parked *)w;
    loop_timer_stop(&p->timer);
    visit_reply_variant(&p->visit, variant);
}

static void serve_file(struct visit *v, uint32_t number)
{
    const struct site *site = v->mount->site;
    v->file = number;
    v->encoding = visit_encoding(v, site, &site->files[number]);
    uint32_t slot = site_variant_of(&site->files[number], v->encoding);
    struct variant *variant = v->mount->slots[slot];
    if (variant != NULL) {
        visit_reply_variant(v, variant);
        return;
    }
    struct parked *p = park(v);
    p->visit = *v;
    p->visit.parked = p;
    shelf_wait_variant(shelf_of(v->r->loop), v->mount, slot, &p->wait);
}

// --- what answers ---

static void serve_missing(struct visit *v, const struct resolution *found)
{
    if (found->file == SITE_NO_FILE) {
        visit_reply_nothing(v);
        return;
    }
    v->mode = MODE_MISSING;
    serve_file(v, found->file);
}

// Paths that need a second look: percent-encoding, folders, client-side routes, nothing at all.
static void resolve_visit(struct visit *v)
{
    struct request *r = v->r;
    const struct site *site = v->mount->site;
    char *room = request_alloc(r, resolve_room(site, v->address.rest));
    struct resolution found =
        resolve(site, v->address.rest, request_header(r, HEADER_SEC_FETCH_DEST), room);
    v->depends_on_dest = found.depends_on_dest;
    if (!found.is_exact && found.kind != RESOLVED_MALFORMED && visit_asks_for_worker(r)) {
        visit_reply_worker(r);
        return;
    }
    switch (found.kind) {
    case RESOLVED_FILE:
    case RESOLVED_ENTRY:
        serve_file(v, found.file);
        return;
    case RESOLVED_MISSING:
        serve_missing(v, &found);
        return;
    case RESOLVED_REDIRECT:
        visit_reply_moved(v, 308, v->address.base, found.path);
        return;
    case RESOLVED_ELSEWHERE:
        visit_reply_moved(v, 302, v->address.base, found.path);
        return;
    case RESOLVED_MALFORMED:
        visit_reply_malformed(r, found.why);
        return;
    }
}

// With instance_domain the apps origin serves no tenant's byte (security-rules.md 11): the same
// path is on the instance's, or the preview's, own host.
static void move_to_own_host(struct visit *v)
{
    const struct site *site = v->mount->site;
    struct request *r = v->r;
    struct buf origin;
    if (visit_asks_for_worker(
            r)) {              // one of the days before instance_domain: to a browser a redirect is
        visit_reply_worker(r); // a failed update, and the old worker stays
        return;
    }
    buf_init(&origin, 1024);
    buf_addf(&origin, "%s://", options->instance_scheme);
    if (site->is_preview)
        buf_addf(&origin, "p-%s", site->deployment_id);
    else
        buf_add(&origin, site->instance_slug);
    buf_addf(&origin, ".%s%s", options->instance_domain, options->instance_port);
    assert(!origin.full);
    char *copy = request_alloc(r, origin.n);
    memcpy(copy, origin.p, origin.n);
    str own = str_of(copy, origin.n);
    buf_fini(&origin);
    str rest = v->address.rest.n > 0 ? v->address.rest : STR("/");
    char *path = request_alloc(r, 3 * rest.n);
    visit_reply_moved(v, 308, own, str_of(path, resolve_encode_again(rest, path)));
}

static void serve_from_mount(struct visit *v)
{
    struct site *site = v->mount->site;
    if (site == NULL) {
        visit_reply_nothing(v);
        return;
    }
    uint32_t now = (uint32_t)(loop_now(v->r->loop) / 1000);
    if (atomic_load_explicit(&site->last_used, memory_order_relaxed) != now)
        atomic_store_explicit(&site->last_used, now, memory_order_relaxed);
    if (v->r->site == SITE_APPS && options->instance_domain[0] != '\0') {
        move_to_own_host(v);
        return;
    }
    if (v->address.rest.n == 0) {
        if (visit_asks_for_worker(v->r))
            visit_reply_worker(v->r);
        else
            visit_reply_moved(v, 308, v->address.base, STR("/"));
        return;
    }
    uint32_t file = resolve_plain(site, v->address.rest);
    bool is_root = v->address.rest.n == 1;
    if (file == SITE_NO_FILE)
        resolve_visit(v);
    else if (is_root && visit_asks_for_worker(v->r))
        visit_reply_worker(v->r);
    else
        serve_file(v, file);
}

static uint64_t misses_of(const struct request *r)
{
    str parts[] = {STR("no app"), limits_visitor(&r->visitor)};
    return limits_key_of(LIMIT_OTHER, parts, 2);
}

static void on_mount(struct shelf_wait *w, struct mount *m)
{
    struct parked *p = (struct parked *)w;
    uint64_t wait_us;
    loop_timer_stop(&p->timer);
    look_end(&p->look);
    if (m->site == NULL)
        limits_conforms(misses_of(p->visit.r), miss_us, MISSES_AT_ONCE, &wait_us);
    p->visit.mount = m;
    serve_from_mount(&p->visit);
}

// --- addresses that name no site ---

// "/apps//demo/…", "/apps/demo/x%2Dy/": the same by its one name, if that differs.
static void refuse_address(struct visit *v)
{
    struct request *r = v->r;
    char *path = request_alloc(r, r->path.n * 4);
    char *encoded = path + r->path.n;
    size_t n = 0;
    bool canonical = true;
    const char *why = resolve_decode(r->path, path, &n, &canonical);
    bool is_inside = why == NULL && (canonical || resolve_canonicalise(path, &n)) &&
                     (r->site != SITE_APPS || str_starts(str_of(path, n), STR("/apps/")));
    if (!is_inside) {
        visit_reply_malformed(r, why != NULL ? why : "The address leads out of the apps.");
        return;
    }
    str there = str_of(encoded, resolve_encode(str_of(path, n), encoded));
    if (r->site == SITE_APPS && !str_eq(there, r->path) && !visit_asks_for_worker(r))
        visit_reply_moved(v, 308, STR(""), there);
    else
        visit_reply_nothing(v);
}

static bool takes_method(struct request *r)
{
    if (r->method == METHOD_GET || r->method == METHOD_HEAD)
        return true;
    if (r->method == METHOD_OPTIONS)
        reply_options(r, ALLOW);
    else
        reply_method_not_allowed(r, ALLOW);
    return false;
}

void serve_on_request(struct request *r)
{
    struct visit v = {.r = r};
    char room[SITE_KEY_ROOM];
    r->route = "bundle";
    r->cache = "hit";
    if (!takes_method(r))
        return;
    if (!address_of(r, &v.address, room)) {
        refuse_address(&v);
        return;
    }
    struct shelf *shelf = shelf_of(r->loop);
    v.mount = shelf_find(shelf, v.address.key);
    if (v.mount != NULL) {
        serve_from_mount(&v);
        return;
    }
    if (!address_is_plausible(v.address.key)) {
        refuse_address(&v);
        return;
    }
    uint64_t wait_us;
    if (!limits_would_conform(misses_of(r), miss_us, MISSES_AT_ONCE, &wait_us)) {
        visit_reply_too_often(&v, (unsigned)(wait_us / 1000000) + 1);
        return;
    }
    struct look look;
    if (!look_begin(r, &look)) {
        visit_reply_failure(&v, FAIL_BUSY, "busy");
        return;
    }
    struct parked *p = park(&v);
    p->look = look;
    shelf_wait_mount(shelf, p->visit.address.key, &p->wait);
}

// --- what the edge tells and asks ---

static void on_turn(struct loop *loop, void *arg)
{
    // nothing: that it is called says that all messages before it were read
}

void serve_forget(const char *plugin_id)
{
    cache_forget_plugin(str_from(plugin_id));
    catalog_tell_changed(plugin_id);
    loop_broadcast_wait(on_turn, NULL);
}

void bundles_on_notice(str payload)
{
    if (payload.n > 0 && payload.n < CATALOG_ID_ROOM)
        cache_forget_plugin(payload);
}

void bundles_on_listener_back(void)
{
    cache_check_all();
}

void serve_on_metrics(struct buf *to)
{
    struct cache_counts c = cache_counts();
    const struct {
        const char *name, *type, *help;
        uint64_t value;
    } lines[] = {
        {"sites", "gauge", "Apps held for serving.", c.sites},
        {"site_bytes", "gauge", "Memory of their file lists.", c.site_bytes},
        {"files", "gauge", "File contents held, each encoding by itself.", c.bodies},
        {"file_bytes", "gauge", "Their bytes; bounded by cache_bytes.", c.body_bytes},
        {"site_loads_total", "counter", "Apps read from the database.", c.site_loads},
        {"file_loads_total", "counter", "File contents read from the blob store.", c.body_loads},
        {"evictions_total", "counter", "Apps and file contents that had to make room.",
         c.evictions},
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        buf_addf(to,
                 "# HELP stoa_cache_%s %s\n# TYPE stoa_cache_%s %s\nstoa_cache_%s %" PRIu64 "\n",
                 lines[i].name, lines[i].help, lines[i].name, lines[i].type, lines[i].name,
                 lines[i].value);
}
