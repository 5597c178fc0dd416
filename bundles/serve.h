// The visitors' side: from a request to a reply (contract §2; RFC 9110). Loop threads, but for
// serve_init (process start).
#ifndef STOA_BUNDLES_SERVE_H
#define STOA_BUNDLES_SERVE_H
#include "bundles/cache.h"

enum { SERVE_WAIT_MS = 10000 }; // for what is cold

extern const struct cache_source serve_source; // database and blob store

// Keeps `o`, which bundles_init keeps, too. The cache is made here.
void serve_init(const struct bundle_options *o);
void serve_on_request(struct request *r);
void serve_on_loop_start(struct loop *loop);
void serve_on_metrics(struct buf *to);
// After a commit, on the pool thread that made it: when this returns, no loop of this process serves what was cached of the plugin, so whoever is told
// of a change sees it at once. Other nodes follow by their notice.
void serve_forget(const char *plugin_id);
#endif
