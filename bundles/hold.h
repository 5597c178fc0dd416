// What the cache holds, and what has to go when it is too much. Everything here is guarded by the
// cache's lock: cache.c takes it before it calls. Whoever is let go leaves the loops' indexes by
// message.
#ifndef STOA_BUNDLES_HOLD_H
#define STOA_BUNDLES_HOLD_H
#include "bundles/cache.h"

struct held_site {
    struct site *site; // a reference
    uint64_t hash;     // of its key
    uint64_t loops;    // who has it in its index: a bit each
    size_t at;         // in sites_list
};

struct held_variant {
    struct variant *variant; // a reference
    uint64_t hash;
    uint64_t loops;            // who has it in a slot: a bit each
    struct held_variant *next; // of the same body
};

struct held_body {
    struct body *body; // a reference
    uint64_t hash;
    size_t at; // in bodies_list
    struct held_variant *variants;
};

// Process start.
void hold_init(uint64_t budget);

// NULL when it is not held. Adding takes a reference of its own and makes room first.
struct held_site *hold_find_site(str key, uint64_t hash);
bool hold_has_site(const struct site *site); // this very one
struct held_site *hold_site(struct site *site);
void hold_let_site_go(struct held_site *h); // its bodies stay
// All held sites: 0 ≤ i < hold_site_count(); letting one go puts the last in its place.
size_t hold_site_count(void);
struct held_site *hold_site_at(size_t i);

uint64_t hold_digest_hash(const struct digest *d);
struct held_body *hold_find_body(const struct digest *digest);
// Whether a body of that size is worth holding at all.
bool hold_takes_body(uint64_t size);
struct held_body *hold_body(struct body *b);

struct held_variant *hold_find_variant(const struct site *site, uint32_t number);
// Takes the reference. The site must be held.
struct held_variant *hold_variant(struct held_body *body, struct variant *v);

// Fills in what is held and what went.
void hold_count(struct cache_counts *ret);
#endif
