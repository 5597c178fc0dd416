// Domains as URLs have them: UTS 46, not transitional (url.spec.whatwg.org, "domain to ASCII").
#ifndef STOA_RUNTIME_WEB_DOMAIN_H
#define STOA_RUNTIME_WEB_DOMAIN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WEB_DOMAIN_MAX = 1024 }; // units, before and after; a name that can be asked for has 253

// Opens the tables at the first call, which must come before the cage is entered. Not strict: neither
// hyphens nor lengths are judged, and what may not stand in a host is the caller's to refuse. False:
// it is no domain, or too long.
bool web_domain_to_ascii(const uint16_t *from, size_t n, char to[static WEB_DOMAIN_MAX],
                         size_t *ret_n);
#endif
