// A loop's own index of what it serves: keys to sites, and for each site the variants at hand. Only
// the loop's thread touches it, without a lock. What is missing is asked of the cache once for all
// who wait; that a site does not exist is remembered for two seconds.
#ifndef STOA_BUNDLES_SHELF_H
#define STOA_BUNDLES_SHELF_H
#include "bundles/cache.h"

enum { SHELF_ABSENT_MS = 2000, SHELF_ABSENT_MAX = 4096 };

// A site on this loop. Counted by a plain number: the index and waiting requests hold it.
struct mount {
    str key;
    uint64_t hash;
    unsigned refs;
    struct site *site;           // NULL: there is no such app
    uint64_t absent_until;       // then
    struct mount *older, *newer; // the absent ones, in the order they came
    struct variant *slots[];     // NULL: not at hand
};

// The shelf of a loop, made at its start.
void shelf_create(struct loop *loop);
struct shelf *shelf_of(struct loop *loop);
// What is known of the key: NULL: nothing; a mount with site == NULL: that it does not exist.
struct mount *shelf_find(struct shelf *shelf, str key);
void mount_ref(struct mount *m);
void mount_unref(struct mount *m);

// One waiting request: embed it. The callback comes once, later, never from inside the call and
// never after shelf_cancel.
struct shelf_wait {
    void (*on_mount)(struct shelf_wait *w, struct mount *m); // site may be NULL: not found
    void (*on_variant)(struct shelf_wait *w, struct variant *v);
    void (*on_failure)(struct shelf_wait *w, enum fail fail, const char *code);
    struct shelf_pending *_pending;
    struct shelf_wait *_prev, *_next;
};
void shelf_wait_mount(struct shelf *shelf, str key, struct shelf_wait *w);
// The caller holds a reference to the mount until it is answered or has cancelled.
void shelf_wait_variant(struct shelf *shelf, struct mount *m, uint32_t number,
                        struct shelf_wait *w);
void shelf_cancel(struct shelf_wait *w); // may be called when nothing is waited for

// --- messages of the cache's, on the loop's thread ---
void shelf_drop_site(struct shelf *shelf, struct site *site);
void shelf_drop_variant(struct shelf *shelf, struct variant *v);
// Absent ones are forgotten, and what is being waited for does not answer those who come later.
void shelf_forget_unsettled(struct shelf *shelf);
#endif
