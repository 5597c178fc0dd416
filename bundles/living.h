// All bodies that somebody still has a reference to, held by the cache or only on their way to slow
// readers: so that a file is in memory once however many read it, and that what is in memory has a
// bound. Any thread.
#ifndef STOA_BUNDLES_LIVING_H
#define STOA_BUNDLES_LIVING_H
#include "bundles/variant.h"

// Process start.
void living_init(void);
// Lists it; it leaves the list when its last reference goes.
void living_add(struct body *b);
// A reference to the one of that digest, or NULL.
struct body *living_find(const struct digest *digest);
uint64_t living_bytes(void);
// For who frees one that is_listed.
void living_remove(struct body *b);
#endif
