// One request for a page or file, and its replies. Loop threads, but for visit_init (process start).
// serve.c leads a visit here; every reply ends it.
#ifndef STOA_BUNDLES_VISIT_H
#define STOA_BUNDLES_VISIT_H
#include "bundles/address.h"
#include "bundles/serve.h"
#include "bundles/shelf.h"

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

void visit_init(void);

// --- visit_reply.c: without a file ---
bool visit_is_preview(const struct visit *v);
// What goes with every reply that has no prebuilt headers; visit_add_common knows when.
void visit_add_preview(struct visit *v);
void visit_add_common(struct visit *v);
bool visit_asks_for_worker(struct request *r);
// security-rules.md 13: the worker that a former tenant of this host left in a browser goes.
void visit_reply_worker(struct request *r);
void visit_reply_nothing(struct visit *v);
void visit_reply_malformed(struct request *r, const char *why);
// To `origin` and `path` (percent-encoded), with the request's query.
void visit_reply_moved(struct visit *v, int status, str origin, str path);
// Too many names that no app has; seconds.
void visit_reply_too_often(struct visit *v, unsigned retry_after);
// `code` may be NULL.
void visit_reply_failure(struct visit *v, enum fail fail, const char *code);

// --- visit_file.c ---
// The encoding of `file` that the client is best given, its range and If-Range looked at, too.
enum encoding visit_encoding(struct visit *v, const struct site *site,
                             const struct site_file *file);
// v->file, v->encoding and v->mode say what `variant` is.
void visit_reply_variant(struct visit *v, struct variant *variant);
#endif
