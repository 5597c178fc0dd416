// Which origins may frame the builder and call its API from their pages: those that an active signing
// key names (embed-protocol.md, "Frames"). An immutable table, one for the process, which each loop
// holds a reference to; embed/ builds it, the router and the embed page ask it. The list as a whole
// is shown to nobody: it names the customers.
#ifndef STOA_ROUTE_EMBEDDERS_H
#define STOA_ROUTE_EMBEDDERS_H
#include "edge/base/str.h"
#include "edge/loop/loop.h"

// One origin of one platform; strings are copied. A platform whose keys name none has one entry, with
// an empty origin: it is known all the same.
struct embedder {
    const char *platform_slug, *platform_id;
    const char *origin; // "https://app.example.com", as RFC 6454 §6.2 writes it
};
// Replaces the table on all loops. Any thread, before the loops start too; of two at once the one
// that ends later counts.
void embedders_publish(const struct embedder *list, size_t count);
void embedders_on_loop_start(struct loop *loop);

// What follows is for any thread; a loop asks its own table and takes no lock.
// Whether any platform's key allows the origin; `platform_slug` empty: any platform's, else that
// one's.
bool embedders_allow(str platform_slug, str origin);
bool embedders_allow_for(const char *platform_id, str origin);
// Whether a platform with a signing key has that slug; true while nothing was published yet.
bool embedders_know(str platform_slug);
// Appends the platform's origins with a space before each, for frame-ancestors under
// /p/{platformSlug}. False: no such platform has any.
bool embedders_add_to(str platform_slug, struct buf *to);
#endif
