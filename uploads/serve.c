// A visit with a link, in the order it happens: on_request (the link, on the loop: a wrong one goes
// no further) → on_load (row and bytes, on a pool thread) → on_loaded (the client may have left) →
// reply_*.
//
// Bytes are mapped from their blob, never copied: a thousand slow readers hold a thousand
// descriptors and the system's page cache, which gives way. Descriptors and mappings do not: a
// visitor has so many, all together have so many, and nobody more than are left for others (hold). The pool thread brings them into memory
// and, the first time in this process, checks them against their digest, so that the loop seldom
// waits for a disk. What goes out in clear text goes from the file by the kernel.
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include "edge/base/clock.h"
#include "edge/base/mapped.h"
#include "edge/http/conditional.h"
#include "edge/http/range.h"
#include "edge/limits/limits.h"
#include "edge/limits/places.h"
#include "edge/loop/pool.h"
#include "edge/store/blob.h"
#include "uploads/links.h"

#define ALLOW "GET, HEAD, OPTIONS"

enum {
    CHECKED_SLOTS = 4096,     // digests known to be whole
    VISITOR_INTERVAL = 50000, // µs: 1,200 a minute of good links …
    VISITOR_BURST = 600, // … and so many at once: a page of thumbnails, a film with its ranges
    HELD_EACH = 256,     // files under way to one visitor
    HELD_MOST = 16384,   // to all of them: a process has 65,530 mappings …
    HELD_SHARE = 4,      // … and of its descriptors one of this many is for files
};

// What a file under way counts against.
struct held {
    uint64_t visitor; // a key
    struct share_holder who;
};

// A file that is being given. Immutable; the last reply that sends of it frees it.
struct given {
    struct shared shared; // first
    struct file file;
    struct held held; // what let_go takes
    bool is_inline;   // its type and bytes may be shown
    bool is_utf8;     // text, and all of it is
    int fd;
    struct mapped mapped; // of its bytes, when there are any
};

// Outlives its request when the client leaves.
struct visit {
    struct job job;          // first
    struct request *request; // NULL once the client has left; this loop only
    struct visit **holder;
    struct link link;
    struct held held;    // what let_go takes; with a file it is the file's
    struct given *given; // a reference
    struct fault fault;
    enum fail fail;
};

// --- what every answer says ---

// Refusals and 304s as well as bytes (security-rules.md 21): no guessing of types, no script, no
// plugin, no origin of its own, no address passed on.
static void add_guards(struct request *r)
{
    reply_add(r, "content-security-policy",
              STR("default-src 'none'; style-src 'unsafe-inline'; sandbox"));
    reply_add(r, "cross-origin-resource-policy", STR("cross-origin"));
    reply_add(r, "referrer-policy", STR("no-referrer"));
}

static void refuse(struct request *r, int status, const char *code, const char *message,
                   unsigned retry_after)
{
    add_guards(r);
    reply_error(r, status, code, message, NULL, retry_after);
}

static void refuse_busy(struct request *r)
{
    refuse(r, 503, "busy", "There is too much going on right now. Please try again in a moment.",
           2);
}

static void refuse_link(struct request *r, enum link_state state)
{
    if (state == LINK_NONE)
        refuse(r, 404, "not_found", "There is nothing at this address.", 0);
    else if (state == LINK_EXPIRED)
        refuse(r, 403, "link_expired",
               "This link has expired. Open the file again where you found it, to get a fresh one.",
               0);
    else
        refuse(
            r, 403, "link_invalid",
            "This link is not valid. Open the file again where you found it, to get a fresh one.",
            0);
}

// --- how many at once: any thread ---

static struct places held = {.kind = 2};

static unsigned held_most(void)
{
    struct rlimit files = {.rlim_cur = 1024};
    getrlimit(RLIMIT_NOFILE, &files);
    rlim_t share = files.rlim_cur / HELD_SHARE;
    return share < HELD_MOST ? (unsigned)share : HELD_MOST;
}

static void let_go(const struct held *h)
{
    limits_leave(h->visitor);
    places_give_back(&held, &h->who, 1);
}

static uint64_t key_of(const struct request *r, str what)
{
    str parts[] = {what, limits_visitor(&r->visitor)};
    return limits_key_of(LIMIT_OTHER, parts, 2);
}

// False: it was refused. A connection has a hundred streams, and each may be read as slowly as the
// guard allows.
static bool hold(struct request *r, struct held *ret)
{
    struct held h = {key_of(r, STR("files held")), share_holder_of_address(&r->visitor)};
    if (!limits_enter(h.visitor, HELD_EACH)) {
        refuse(r, 429, "rate_limited",
               "These are many files at once. Please wait until some of them have come.", 2);
        return false;
    }
    if (!places_take(&held, &h.who, 1, held_most())) {
        limits_leave(h.visitor);
        refuse_busy(r);
        return false;
    }
    *ret = h;
    return true;
}

// --- loading: pool thread ---

// The digests that were found whole, each in the slot its first bytes name. Half a digest tells one
// from another; at worst a damaged file is given as it is.
static _Atomic uint64_t checked[CHECKED_SLOTS];

static uint64_t word_of(const struct digest *d, size_t at)
{
    uint64_t w;
    memcpy(&w, d->b + at, sizeof w);
    return w;
}

// A disk that lies or loses is found out by reading, not by touching a mapping.
static enum fail check_blob(const struct digest *d, struct fault *fault)
{
    _Atomic uint64_t *slot = &checked[word_of(d, 0) % CHECKED_SLOTS];
    AUTOFREE char *bytes = NULL;
    size_t n;
    if (atomic_load_explicit(slot, memory_order_relaxed) == word_of(d, 8))
        return FAIL_NONE;
    enum fail f = blob_get(d, SIZE_MAX, &bytes, &n, fault);
    if (f == FAIL_NONE)
        atomic_store_explicit(slot, word_of(d, 8), memory_order_relaxed);
    return f;
}

static enum fail lost(const struct file *f, struct fault *fault)
{
    char why[sizeof fault->log_text];
    snprintf(why, sizeof why, "%.200s",
             fault->log_text[0] != '\0' ? fault->log_text : "the content is gone");
    fault_set(fault, FAIL_INTERNAL, "file_damaged",
              "This file cannot be read any more. The server's log has the reason.");
    fault_log(fault, "%s: %s", f->id, why);
    return FAIL_INTERNAL;
}

// Not the file's fault, and over in a moment.
static enum fail busy(struct fault *fault, const char *why)
{
    fault_set(fault, FAIL_BUSY, "busy",
              "There is too much going on right now. Please try again in a moment.");
    fault_log(fault, "%s", why);
    return FAIL_BUSY;
}

static bool is_text(const struct file *f)
{
    return str_starts(str_from(f->mime), STR("text/"));
}

static void given_free(struct shared *s)
{
    struct given *g = (struct given *)s;
    if (g->file.size != 0)
        mapped_close(&g->mapped);
    if (g->fd >= 0)
        close(g->fd);
    let_go(&g->held);
    free(g);
}

// 0, or an errno; EIO: they are not there.
static int map_file(struct mapped *m, const struct file *f, int fd, size_t n)
{
    if (n != f->size)
        return EIO;
    if (n == 0)
        return 0;
    int failure = mapped_open(m, fd, n);
    if (failure == 0 && !mapped_has(m, m->p, m->n)) {
        mapped_close(m);
        return EIO;
    }
    return failure;
}

static str bytes_of(const struct given *g)
{
    return g->file.size != 0 ? str_of(g->mapped.p, g->mapped.n) : STR("");
}

// Takes fd.
static enum fail make_given(const struct file *f, int fd, size_t n, struct given **ret,
                            struct fault *fault)
{
    struct mapped mapped = {0};
    int failure = map_file(&mapped, f, fd, n);
    if (failure != 0) {
        close(fd);
        return failure == ENOMEM ? busy(fault, "no memory to map it") : lost(f, fault);
    }
    struct given *g = calloc(1, sizeof *g);
    if (g == NULL)
        abort();
    shared_init(&g->shared, given_free);
    g->file = *f;
    g->fd = fd;
    g->mapped = mapped;
    g->is_inline = type_is_inline(f->mime, bytes_of(g));
    g->is_utf8 = is_text(f) && str_is_utf8(bytes_of(g));
    *ret = g;
    return FAIL_NONE;
}

static enum fail load(struct visit *v)
{
    struct file f;
    int fd;
    size_t n;
    enum fail fail = file_find(db_of_thread(), NULL, str_from(v->link.id), &f, &v->fault);
    if (fail != FAIL_NONE)
        return fail;
    fail = check_blob(&f.digest, &v->fault);
    if (fail == FAIL_NONE)
        fail = blob_open_read(&f.digest, &fd, &n, &v->fault);
    if (fail == FAIL_BUSY)
        return fail;
    if (fail != FAIL_NONE)
        return lost(&f, &v->fault);
    fail = make_given(&f, fd, n, &v->given, &v->fault);
    if (fail == FAIL_NONE)
        v->given->held = v->held;
    return fail;
}

static void on_load(struct job *job)
{
    struct visit *v = (struct visit *)job;
    v->fail = load(v);
}

// --- what is said of a file ---

static bool is_attr_char(unsigned char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
           (c != '\0' && strchr("!#$&+-.^_`|~", c) != NULL);
}

// RFC 6266: a name for everybody, in ASCII, and the name itself as RFC 8187 has it. In the first no
// byte that somebody reads otherwise: quotes, backslashes, percent signs.
static void add_disposition(struct request *r, const struct link *link, const struct given *g)
{
    struct buf b;
    str name = str_from(g->file.filename);
    buf_init(&b, 8 * FILE_NAME_ROOM);
    bool is_shown = link->use == LINK_INLINE && g->is_inline;
    buf_addf(&b, "%s; filename=\"", is_shown ? "inline" : "attachment");
    for (size_t i = 0; i != name.n; ++i) {
        unsigned char c = (unsigned char)name.p[i];
        if (c < 0x80) // of a longer character, one byte stands for all
            buf_addc(&b, c < 0x20 || c == 0x7f || strchr("\"\\%", c) != NULL ? '_' : (char)c);
        else if (c >= 0xc0)
            buf_addc(&b, '_');
    }
    buf_add(&b, STR("\"; filename*=UTF-8''"));
    for (size_t i = 0; i != name.n; ++i)
        if (is_attr_char((unsigned char)name.p[i]))
            buf_addc(&b, name.p[i]);
        else
            buf_addf(&b, "%%%02X", (unsigned char)name.p[i]);
    reply_add(r, "content-disposition", buf_str(&b));
    buf_fini(&b);
}

// Script and style are taken into a page by their type alone, whatever the other fields say: they go
// out as text, which nosniff keeps out of there. Everything else is what it is.
static bool is_taken_into_pages(str mime)
{
    static const char *const words[] = {"javascript", "ecmascript", "jscript", "livescript",
                                        "text/css"};
    for (size_t i = 0; i != sizeof words / sizeof words[0]; ++i)
        if (str_find_str(mime, str_from(words[i])) != SIZE_MAX)
            return true;
    return false;
}

static str content_type(struct request *r, const struct given *g)
{
    str mime = str_from(g->file.mime);
    if (is_taken_into_pages(mime))
        mime = STR("text/plain");
    if (!g->is_utf8)
        return mime;
    str charset = STR("; charset=utf-8");
    char *text = request_alloc(r, mime.n + charset.n);
    memcpy(text, mime.p, mime.n);
    memcpy(text + mime.n, charset.p, charset.n);
    return str_of(text, mime.n + charset.n);
}

enum { ETAG_ROOM = DIGEST_HEX_ROOM + 2 };

static struct validators validators_of(const struct given *g, char etag[static ETAG_ROOM])
{
    etag[0] = '"';
    digest_hex(&g->file.digest, etag + 1);
    memcpy(etag + DIGEST_HEX_ROOM, "\"", 2);
    return (struct validators){str_of(etag, DIGEST_HEX_ROOM + 1), g->file.created_at / 1000};
}

// Kept no longer than the link is good, and by nobody but who asked.
static void add_validators(struct request *r, const struct link *link, const struct given *g)
{
    char etag[ETAG_ROOM], date[CLOCK_HTTP_ROOM], caching[48];
    int64_t left = link->expires_at - clock_real_ms() / 1000;
    struct validators v = validators_of(g, etag);
    clock_http_date(v.last_modified, date);
    snprintf(caching, sizeof caching, "private, max-age=%lld", (long long)(left > 0 ? left : 0));
    add_guards(r);
    reply_add(r, "x-content-type-options", STR("nosniff"));
    reply_add(r, "cache-control", str_from(caching));
    reply_add(r, "etag", v.etag);
    reply_add(r, "last-modified", str_from(date));
    reply_add(r, "accept-ranges", STR("bytes"));
}

// --- replies: loop ---

static struct reply_file file_of(const struct given *g, uint64_t offset)
{
    return (struct reply_file){g->fd, offset, g->file.size != 0 ? &g->mapped : NULL};
}

static void reply_one_range(struct request *r, struct given *g, const struct range *range)
{
    char text[RANGE_TEXT_ROOM];
    reply_add(r, "content-type", content_type(r, g));
    reply_add(r, "content-range", str_of(text, range_content_range(range, g->file.size, text)));
    reply_bytes_of(r, 206, NULL, str_of(g->mapped.p + range->first, range->last - range->first + 1),
                   file_of(g, range->first), &g->shared);
}

static void reply_ranges(struct request *r, struct given *g, const struct ranges *ranges)
{
    static const char prefix[] = "multipart/byteranges; boundary=";
    char type[sizeof prefix + RANGE_BOUNDARY_ROOM], *boundary = type + sizeof prefix - 1;
    str part_type = content_type(r, g);
    memcpy(type, prefix, sizeof prefix);
    range_boundary(boundary);
    str *pieces = request_alloc(r, (2 * ranges->count + 1) * sizeof *pieces);
    char *room = request_alloc(r, range_multipart_room(ranges, part_type));
    size_t n = range_multipart(ranges, bytes_of(g), part_type, boundary, room, pieces);
    reply_add(r, "content-type", str_from(type));
    reply_pieces(r, 206, NULL, pieces, n, &g->shared);
}

static void reply_unsatisfiable(struct request *r, const struct given *g)
{
    char text[RANGE_TEXT_ROOM];
    reply_add(r, "content-range", str_of(text, range_unsatisfied(g->file.size, text)));
    reply_add(r, "accept-ranges", STR("bytes"));
    refuse(r, 416, "range_not_satisfiable", "The file is shorter than that.", 0);
}

static enum range_kind ranges_of(struct request *r, const struct given *g, struct ranges *ret)
{
    char etag[ETAG_ROOM];
    struct validators v = validators_of(g, etag);
    str range = r->method == METHOD_GET ? request_header(r, HEADER_RANGE) : (str){0};
    str if_range = request_header(r, HEADER_IF_RANGE);
    if (range.p == NULL ||
        (if_range.p != NULL && !conditional_if_range(if_range, &v, clock_real_ms() / 1000)))
        return RANGE_WHOLE;
    return range_parse(range, g->file.size, ret);
}

static void reply_content(struct request *r, const struct link *link, struct given *g)
{
    struct ranges ranges;
    enum range_kind kind = ranges_of(r, g, &ranges);
    if (kind == RANGE_UNSATISFIABLE) {
        reply_unsatisfiable(r, g);
        return;
    }
    add_validators(r, link, g);
    add_disposition(r, link, g);
    if (kind == RANGE_WHOLE) {
        reply_add(r, "content-type", content_type(r, g));
        reply_bytes_of(r, 200, NULL, bytes_of(g), file_of(g, 0), &g->shared);
    } else if (ranges.count == 1) {
        reply_one_range(r, g, &ranges.at[0]);
    } else {
        reply_ranges(r, g, &ranges);
    }
}

static void reply_given(struct request *r, const struct link *link, struct given *g)
{
    char etag[ETAG_ROOM];
    struct validators v = validators_of(g, etag);
    struct conditions c = {
        request_header(r, HEADER_IF_MATCH), request_header(r, HEADER_IF_UNMODIFIED_SINCE),
        request_header(r, HEADER_IF_NONE_MATCH), request_header(r, HEADER_IF_MODIFIED_SINCE)};
    switch (conditional_evaluate(&c, &v, clock_real_ms() / 1000)) {
    case VERDICT_NOT_MODIFIED:
        add_validators(r, link, g);
        reply_bytes(r, 304, NULL, STR(""), NULL);
        return;
    case VERDICT_FAILED:
        refuse(r, 412, "precondition_failed", "The file is another one by now.", 0);
        return;
    case VERDICT_GO_ON:
        reply_content(r, link, g);
    }
}

// --- a visit ---

static void on_gone(void *p)
{
    struct visit **holder = p;
    if (*holder != NULL)
        (*holder)->request = NULL;
}

static void answer(struct request *r, struct visit *v)
{
    if (v->fail != FAIL_NONE) {
        v->fault.fail = v->fail;
        add_guards(r);
        reply_fault(r, &v->fault, NULL, 0);
    } else if (!link_is_of(&v->link, r, &v->given->file)) {
        refuse_link(r, LINK_WRONG);
    } else {
        reply_given(r, &v->link, v->given);
    }
}

static void on_loaded(struct job *job)
{
    struct visit *v = (struct visit *)job;
    if (v->request != NULL) {
        *v->holder = NULL; // the request's memory may go inside the reply
        answer(v->request, v);
    }
    if (v->given != NULL)
        shared_unref(&v->given->shared); // the reply holds its own
    else
        let_go(&v->held);
    free(v);
}

static void start(struct request *r, const struct link *link)
{
    struct held h;
    if (!hold(r, &h))
        return;
    struct visit *v = calloc(1, sizeof *v);
    if (v == NULL)
        abort();
    v->job.run = on_load;
    v->job.done = on_loaded;
    v->request = r;
    v->link = *link;
    v->held = h;
    if (pool_post(LANE_LOAD, &v->job) != FAIL_NONE) {
        free(v);
        let_go(&h);
        refuse_busy(r);
        return;
    }
    v->holder = request_holder(r, sizeof *v->holder, on_gone);
    *v->holder = v;
}

// Each good link is a question to the database: one visitor gets only so many answered.
static bool may_ask(const struct request *r, unsigned *ret_retry_after)
{
    uint64_t wait_us = 0;
    bool may =
        limits_conforms(key_of(r, STR("file link")), VISITOR_INTERVAL, VISITOR_BURST, &wait_us);
    *ret_retry_after = (unsigned)((wait_us + 999999) / 1000000);
    return may;
}

static void on_request(struct request *r)
{
    struct link link;
    unsigned retry_after;
    r->route = "file";
    if (r->method == METHOD_OPTIONS) {
        add_guards(r);
        reply_options(r, ALLOW);
        return;
    }
    if (r->method != METHOD_GET && r->method != METHOD_HEAD) {
        add_guards(r);
        reply_method_not_allowed(r, ALLOW);
        return;
    }
    enum link_state state = link_read(r, clock_real_ms(), &link);
    if (state != LINK_GOOD)
        refuse_link(r, state);
    else if (!may_ask(r, &retry_after))
        refuse(r, 429, "rate_limited",
               "That was too often in a short time. Please wait a moment and try again.",
               retry_after);
    else
        start(r, &link);
}

struct service *uploads_links_service(void)
{
    static struct service service = {.name = "files",
                                     .sites =
                                         1u << SITE_APPS | 1u << SITE_INSTANCE | 1u << SITE_FILES,
                                     .prefix = "/files/file_",
                                     .on_request = on_request,
                                     .takes = link_is_meant};
    return &service;
}
