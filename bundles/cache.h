// What is served, held once for the process: sites, and the bytes of their files under one budget.
// Loops have their own index of it (shelf.h) and come here only for what they lack; then a thread
// of LANE_LOAD fetches it once, however many loops and visitors wait.
//
// One lock guards the tables; it is held for a few lines and never while something is read from
// database or disk. Whatever leaves the cache is taken out of the loops' indexes by message;
// requests on their way keep their references.
//
// Keys: "plugin/instance", "plugin/instance@deployment" (the apps origin), "instance" (a host of
// its own), "@deployment" (a preview's host).
#ifndef STOA_BUNDLES_CACHE_H
#define STOA_BUNDLES_CACHE_H
#include "bundles/variant.h"
#include "edge/loop/loop.h"

struct cache_source {
    // Pool thread, blocking. FAIL_NOT_FOUND: there is no such app. FAIL_BUSY: the database is away.
    enum fail (*load_site)(str key, struct site **ret, struct fault *fault);
    // Fills *ret with `size` malloc'ed bytes whose digest was checked.
    enum fail (*load_bytes)(const struct digest *digest, uint64_t size, char **ret,
                            struct fault *fault);
    // What those instances point at now.
    enum fail (*load_current)(const char (*instance_ids)[CATALOG_ID_ROOM], size_t count,
                              struct deployment_pointer *ret, struct fault *fault);
};

// Process start. `source` is static. `budget` is for file bytes; sites may take a quarter of it.
void cache_init(const struct cache_source *source, uint64_t budget);

// A loop's question: embed it and give it away; `message.run` is called on that loop, later, once,
// with the answer in it.
struct cache_want {
    struct loop_message message;
    struct loop *loop;
    // the question
    str key;           // of a site; the bytes are the asker's
    struct site *site; // or: of which site …
    uint32_t number;   // … which variant
    // the answer
    struct site *ret_site;       // a reference
    struct variant *ret_variant; // a reference
    bool may_keep;               // false: good for those who wait now, not for an index
    enum fail fail;
    const char *code; // with a failure: a literal
    struct cache_want *_next;
};
void cache_want_site(struct cache_want *w);
void cache_want_variant(struct cache_want *w);

// Any thread. What is known of a plugin is forgotten on every loop, and what is being loaded at
// this moment is not kept.
void cache_forget_plugin(str plugin_id);
// The same for every instance that points at another deployment than the one held; asks the
// database in batches. Blocks only until a pool thread has taken it on.
void cache_check_all(void);

struct cache_counts {
    uint64_t sites, site_bytes, bodies, body_bytes, site_loads, body_loads, evictions;
};
struct cache_counts cache_counts(void);
#endif
