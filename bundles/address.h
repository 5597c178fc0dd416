// Which site a request is for, and which path below it:
// "/apps/{plugin}/{instance}[@{deployment}]/…" on the apps origin, the host's own name elsewhere.
// Pure; any thread.
#ifndef STOA_BUNDLES_ADDRESS_H
#define STOA_BUNDLES_ADDRESS_H
#include "bundles/site.h"
#include "edge/http/request.h"

enum { APPS_PREFIX = 6 }; // "/apps/"

struct address {
    str key;  // of the site, as the cache knows it (cache.h)
    str base; // the path of the site's root without its slash: "/apps/demo/demo-0123abcd", or ""
    str rest; // as sent, below it: "" or "/…"
};

// False when the path names no instance. `room` is for a key that is made; it must live as long as
// the address. The key may still be nonsense: address_is_plausible tells, once nothing was found.
bool address_of(const struct request *r, struct address *ret, char room[static SITE_KEY_ROOM]);
// Whether such a site can exist: slugs and ids of the right letters and lengths.
bool address_is_plausible(str key);

// What a key asks for; absent parts are empty.
struct address_parts {
    str plugin, instance, deployment;
};
struct address_parts address_parts(str key);
#endif
