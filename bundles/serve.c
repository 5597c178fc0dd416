// A visit: one request for a page or file, from its address to its reply. When everything is at
// hand it runs from serve_on_request to reply_bytes on the stack, with one look into the loop's
// index and one into the site. What is cold is waited for: then the visit is parked in the
// request's memory, and goes on where it stopped when the shelf calls back.
//
// Written in the order it runs: serve_on_request, on_mount, resolve_visit, on_variant, reply_*.
#include "bundles/serve.h"
#include <assert.h>
#include <inttypes.h>
#include "bundles/address.h"
#include "bundles/resolve.h"
#include "bundles/shelf.h"
#include "edge/base/clock.h"
#include "edge/catalog/hooks.h"
#include "edge/http/conditional.h"
#include "edge/http/range.h"

#define ALLOW "GET, HEAD, OPTIONS"

enum mode {
    MODE_FILE,    // 200, 206, 304, 412, 416
    MODE_MISSING, // 404 with the bundle's own page
};

struct visit {
    struct request *r;
    struct address address;
    struct mount *mount; // borrowed; while parked, a reference
    uint32_t file;
    enum encoding encoding;
    enum mode mode;
    bool depends_on_dest;
    struct parked *parked; // NULL: on the stack
};

// A visit that waits. Its memory is the request's; a client that leaves is noticed by on_gone.
struct parked {
    struct shelf_wait wait; // first
    struct visit visit;
    struct loop_timer timer;
    struct mount *mount; // a reference, or NULL
};

static const struct bundle_options *options;
static const struct reply_headers *worker_headers;

// Takes itself away and has the pages it held loaded again from the network.
static const char worker_script[] =
    "self.addEventListener('install', () => self.skipWaiting());\n"
    "self.addEventListener('activate', (event) => event.waitUntil((async () => {\n"
    "  await self.registration.unregister();\n"
    "  const pages = await self.clients.matchAll({ type: 'window' });\n"
    "  await Promise.allSettled(pages.map((page) => page.navigate(page.url)));\n"
    "})()));\n";

void serve_init(const struct bundle_options *o)
{
    options = o;
    variant_init(o->instance_domain[0] != '\0');
    cache_init(&serve_source, o->cache_bytes);
    struct reply_headers *h = reply_headers_create();
    reply_headers_add(h, "content-type", STR("text/javascript; charset=utf-8"));
    reply_headers_add(h, "cache-control", STR("no-store"));
    reply_headers_add(h, "x-content-type-options", STR("nosniff"));
    worker_headers = h;
}

void serve_on_loop_start(struct loop *loop)
{
    shelf_create(loop);
}

// --- small replies ---

static bool is_preview(const struct visit *v)
{
    return str_find(v->address.key, '@') != SIZE_MAX;
}

// As variant.c does; a redirect on the way to a module script is asked for its CORS header too.
static void add_preview(struct visit *v)
{
    reply_add(v->r, "x-robots-tag", STR("noindex"));
    if (variant_preview_policy()->may_read_anywhere)
        reply_add(v->r, "access-control-allow-origin", STR("*"));
}

// What goes with every reply of ours that has no prebuilt headers.
static void add_common(struct visit *v)
{
    if (is_preview(v))
        add_preview(v);
    if (v->depends_on_dest)
        reply_add(v->r, "vary", STR("Sec-Fetch-Dest"));
}

static bool asks_for_worker(struct request *r)
{
    return str_eq(request_header(r, HEADER_SERVICE_WORKER), STR("script"));
}

// security-rules.md 13: the worker that a former tenant of this host left in a browser goes.
static void reply_worker(struct request *r)
{
    reply_bytes(r, 200, worker_headers, str_from(worker_script), NULL);
}

static void reply_nothing_here(struct visit *v)
{
    if (asks_for_worker(v->r)) {
        reply_worker(v->r);
        return;
    }
    add_common(v);
    reply_error(v->r, 404, "not_found", "There is nothing at this address.", NULL, 0);
}

static void reply_malformed(struct request *r, const char *why)
{
    reply_error(r, 400, "bad_request", why, NULL, 0);
}

// To `origin` and `path` (percent-encoded), with the request's query.
static void reply_moved(struct visit *v, int status, str origin, str path)
{
    struct request *r = v->r;
    char *to = request_alloc(r, origin.n + path.n + 1 + 3 * r->query.n);
    size_t n = origin.n + path.n;
    memcpy(to, origin.p, origin.n);
    memcpy(to + origin.n, path.p, path.n);
    if (r->query.p != NULL) {
        to[n++] = '?';
        n += resolve_encode_again(r->query, to + n);
    }
    add_common(v);
    const char *caching = status == 302 ? "no-store" : "no-cache";
    reply_redirect(r, status, str_of(to, n), is_preview(v) ? "private, no-store" : caching);
}

static void reply_failure(struct visit *v, enum fail fail, const char *code)
{
    add_common(v);
    if (fail == FAIL_BUSY || fail == FAIL_TIMEOUT)
        reply_error(v->r, 503, code != NULL ? code : "busy",
                    "This app cannot be loaded right now. Please try again in a moment.", NULL, 2);
    else
        reply_error(v->r, 500, "internal",
                    "Something went wrong on our side. Please try again later.", NULL, 0);
}

// --- waiting ---

static void on_gone(void *holder)
{
    struct parked *p = holder;
    shelf_cancel(&p->wait);
    loop_timer_stop(&p->timer);
    mount_unref(p->mount);
    p->mount = NULL;
}

static void on_timeout(struct loop_timer *t)
{
    struct parked *p = (struct parked *)((char *)t - offsetof(struct parked, timer));
    shelf_cancel(&p->wait);
    reply_failure(&p->visit, FAIL_TIMEOUT, "busy");
}

static void on_failure(struct shelf_wait *w, enum fail fail, const char *code)
{
    struct parked *p = (struct parked *)w;
    loop_timer_stop(&p->timer);
    reply_failure(&p->visit, fail, code);
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

// --- ranges ---

static void reply_unsatisfiable(struct visit *v, const struct variant *variant)
{
    char text[RANGE_TEXT_ROOM];
    size_t n = range_unsatisfied(variant->body->size, text);
    add_common(v);
    reply_add(v->r, "content-range", str_of(text, n));
    reply_add(v->r, "accept-ranges", STR("bytes"));
    reply_error(v->r, 416, "range_not_satisfiable", "The file is shorter than that.", NULL, 0);
}

static void reply_one_range(struct visit *v, struct variant *variant, const struct range *range)
{
    char text[RANGE_TEXT_ROOM];
    size_t n = range_content_range(range, variant->body->size, text);
    reply_add(v->r, "content-range", str_of(text, n));
    str part = str_of(variant->body->bytes + range->first, range->last - range->first + 1);
    reply_bytes_of(v->r, 206, variant->whole, part, variant_file(variant, range->first),
                   &variant->shared);
}

// The parts say their own type; the whole has a type of its own, so it cannot use the prebuilt
// headers but for the validators.
static void reply_ranges(struct visit *v, struct variant *variant, const struct ranges *ranges)
{
    static const char type_prefix[] = "multipart/byteranges; boundary=";
    struct request *r = v->r;
    str part_type = variant->site->files[v->file].content_type;
    char type[sizeof type_prefix + RANGE_BOUNDARY_ROOM];
    char *boundary = type + sizeof type_prefix - 1;
    memcpy(type, type_prefix, sizeof type_prefix);
    range_boundary(boundary);
    str *pieces = request_alloc(r, (2 * ranges->count + 1) * sizeof *pieces);
    char *room = request_alloc(r, range_multipart_room(ranges, part_type));
    size_t n = range_multipart(ranges, variant_bytes(variant), part_type, boundary, room, pieces);
    reply_add(r, "content-type", str_from(type));
    if (v->encoding != ENCODING_IDENTITY)
        reply_add(r, "content-encoding", encoding_name(v->encoding));
    reply_add(r, "accept-ranges", STR("bytes"));
    reply_add(r, "x-content-type-options", STR("nosniff"));
    if (is_preview(v)) {
        add_preview(v);
        reply_add(r, "content-security-policy", str_from(variant_preview_policy()->sandbox));
    }
    reply_pieces(r, 206, variant->unchanged, pieces, n, &variant->shared);
}

// --- a file that is at hand ---

static struct validators validators_of(const struct variant *variant)
{
    return (struct validators){variant_etag(variant), variant->site->last_modified};
}

static enum verdict judge(struct request *r, const struct variant *variant)
{
    struct conditions c = {
        request_header(r, HEADER_IF_MATCH), request_header(r, HEADER_IF_UNMODIFIED_SINCE),
        request_header(r, HEADER_IF_NONE_MATCH), request_header(r, HEADER_IF_MODIFIED_SINCE)};
    if (c.if_match.p == NULL && c.if_unmodified_since.p == NULL && c.if_none_match.p == NULL &&
        c.if_modified_since.p == NULL)
        return VERDICT_GO_ON;
    struct validators validators = validators_of(variant);
    return conditional_evaluate(&c, &validators, clock_real_ms() / 1000);
}

static enum range_kind ranges_of(struct request *r, const struct variant *variant,
                                 struct ranges *ret)
{
    str range = r->method == METHOD_GET ? request_header(r, HEADER_RANGE) : (str){0};
    if (range.p == NULL)
        return RANGE_WHOLE;
    str if_range = request_header(r, HEADER_IF_RANGE);
    struct validators validators = validators_of(variant);
    if (if_range.p != NULL && !conditional_if_range(if_range, &validators, clock_real_ms() / 1000))
        return RANGE_WHOLE;
    return range_parse(range, variant->body->size, ret);
}

static void reply_file(struct visit *v, struct variant *variant)
{
    struct request *r = v->r;
    struct ranges ranges;
    switch (judge(r, variant)) {
    case VERDICT_NOT_MODIFIED:
        if (v->depends_on_dest)
            add_common(v);
        reply_bytes(r, 304, variant->unchanged, STR(""), &variant->shared);
        return;
    case VERDICT_FAILED:
        add_common(v);
        reply_error(r, 412, "precondition_failed", "The file is another one by now.", NULL, 0);
        return;
    case VERDICT_GO_ON:
        break;
    }
    if (v->depends_on_dest)
        reply_add(r, "vary", STR("Sec-Fetch-Dest"));
    switch (ranges_of(r, variant, &ranges)) {
    case RANGE_UNSATISFIABLE:
        reply_unsatisfiable(v, variant);
        return;
    case RANGE_PART:
        if (ranges.count == 1)
            reply_one_range(v, variant, &ranges.at[0]);
        else
            reply_ranges(v, variant, &ranges);
        return;
    case RANGE_WHOLE:
        break;
    }
    reply_bytes_of(r, 200, variant->whole, variant_bytes(variant), variant_file(variant, 0),
                   &variant->shared);
}

static void reply_variant(struct visit *v, struct variant *variant)
{
    struct request *r = v->r;
    uint32_t now = (uint32_t)(loop_now(r->loop) / 1000);
    if (atomic_load_explicit(&variant->last_used, memory_order_relaxed) != now)
        atomic_store_explicit(&variant->last_used, now, memory_order_relaxed);
    r->encoding = encoding_name(v->encoding).p;
    if (v->mode == MODE_FILE) {
        reply_file(v, variant);
        return;
    }
    if (v->depends_on_dest)
        reply_add(r, "vary", STR("Sec-Fetch-Dest"));
    reply_bytes(r, 404, variant->missing, variant_bytes(variant), &variant->shared);
}

static void on_variant(struct shelf_wait *w, struct variant *variant)
{
    struct parked *p = (struct parked *)w;
    loop_timer_stop(&p->timer);
    reply_variant(&p->visit, variant);
}

// --- choosing the encoding ---

// The encoding whose entity tag If-Range names, if the client takes it; else `chosen`.
static enum encoding encoding_of_tag(const struct site *site, const struct site_file *file, str tag,
                                     str accept, enum encoding chosen)
{
    for (enum encoding e = 0; e < ENCODINGS; e++) {
        char etag[VARIANT_ETAG_ROOM];
        if ((file->encodings & 1u << e) == 0)
            continue;
        size_t n = variant_etag_of(&site->variants[site_variant_of(file, e)], e, etag);
        if (str_eq(tag, str_of(etag, n)))
            return negotiate_accepts(accept, e) ? e : chosen;
    }
    return chosen;
}

// Parts of a compressed file are of use only to a client that has the rest of that very one, as
// If-Range tells; to all others bytes of the file itself are given. A date does not say which one
// it was: then what was chosen then is chosen now.
static enum encoding encoding_for_range(struct request *r, const struct site *site,
                                        const struct site_file *file, str accept,
                                        enum encoding chosen)
{
    struct ranges ranges;
    str if_range = request_header(r, HEADER_IF_RANGE);
    if (if_range.p != NULL)
        return encoding_of_tag(site, file, str_trim(if_range), accept, chosen);
    uint64_t size = site->variants[file->first_variant].size;
    bool usable = range_parse(request_header(r, HEADER_RANGE), size, &ranges) != RANGE_WHOLE;
    return usable && negotiate_accepts(accept, ENCODING_IDENTITY) ? ENCODING_IDENTITY : chosen;
}

static enum encoding encoding_for(struct visit *v, const struct site *site,
                                  const struct site_file *file)
{
    struct request *r = v->r;
    if (file->encodings == 1u << ENCODING_IDENTITY)
        return ENCODING_IDENTITY;
    str accept = request_header(r, HEADER_ACCEPT_ENCODING);
    enum encoding e = negotiate_encoding(accept, file->encodings);
    if (e != ENCODING_IDENTITY && v->mode == MODE_FILE && r->method == METHOD_GET &&
        request_header(r, HEADER_RANGE).p != NULL)
        e = encoding_for_range(r, site, file, accept, e);
    return e;
}

static void serve_file(struct visit *v, uint32_t number)
{
    const struct site *site = v->mount->site;
    v->file = number;
    v->encoding = encoding_for(v, site, &site->files[number]);
    uint32_t slot = site_variant_of(&site->files[number], v->encoding);
    struct variant *variant = v->mount->slots[slot];
    if (variant != NULL) {
        reply_variant(v, variant);
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
        reply_nothing_here(v);
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
    if (!found.is_exact && found.kind != RESOLVED_MALFORMED && asks_for_worker(r)) {
        reply_worker(r);
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
        reply_moved(v, 308, v->address.base, found.path);
        return;
    case RESOLVED_ELSEWHERE:
        reply_moved(v, 302, v->address.base, found.path);
        return;
    case RESOLVED_MALFORMED:
        reply_malformed(r, found.why);
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
    if (asks_for_worker(r)) { // one of the days before instance_domain: to a browser a redirect is
        reply_worker(r);      // a failed update, and the old worker stays
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
    reply_moved(v, 308, own, str_of(path, resolve_encode_again(rest, path)));
}

static void serve_from_mount(struct visit *v)
{
    struct site *site = v->mount->site;
    if (site == NULL) {
        reply_nothing_here(v);
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
        if (asks_for_worker(v->r))
            reply_worker(v->r);
        else
            reply_moved(v, 308, v->address.base, STR("/"));
        return;
    }
    uint32_t file = resolve_plain(site, v->address.rest);
    bool is_root = v->address.rest.n == 1;
    if (file == SITE_NO_FILE)
        resolve_visit(v);
    else if (is_root && asks_for_worker(v->r))
        reply_worker(v->r);
    else
        serve_file(v, file);
}

static void on_mount(struct shelf_wait *w, struct mount *m)
{
    struct parked *p = (struct parked *)w;
    loop_timer_stop(&p->timer);
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
        reply_malformed(r, why != NULL ? why : "The address leads out of the apps.");
        return;
    }
    str there = str_of(encoded, resolve_encode(str_of(path, n), encoded));
    if (r->site == SITE_APPS && !str_eq(there, r->path) && !asks_for_worker(r))
        reply_moved(v, 308, STR(""), there);
    else
        reply_nothing_here(v);
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
    struct parked *p = park(&v);
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
