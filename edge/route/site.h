// Authority → site (contract §2 "Unknown authority", design.md "Origins"): the one place that
// decides which of the server's origins a request came to. The table is made once at the start and
// never changes. Loop threads.
#ifndef STOA_ROUTE_SITE_H
#define STOA_ROUTE_SITE_H
#include "edge/base/fail.h"
#include "edge/http/request.h"

struct site_options {
    const char *apps_origin,
        *console_origin; // "http://host[:port]"; while it is a loopback one, the listener decides
                         // and any loopback authority will do
    const char *instance_domain; // "" or "apps.example.com"
    const char *files_origin;    // "": none
};

// Keeps copies. The settings have been checked before.
void site_init(const struct site_options *o);
// Sets r->site and r->site_name from the authority and the listener it came in by (r->site as
// http_register_listener left it: SITE_UNKNOWN stands for the TLS listener, which carries all).
void site_decide(struct request *r);
// The same from the head alone, for a request that is none yet; `host` in any case. Loop threads.
enum site_kind site_of(enum site_kind listener, str host, uint16_t port);
// "http://a:1" in parts; false when it is no origin (RFC 6454 §6.1). The port is the scheme's own
// when none is named.
bool site_parse_origin(const char *origin, bool *ret_is_tls, str *ret_host, uint16_t *ret_port);
// Whether "Origin: …" is the console's own: its pages, the framed builder among them. Any thread.
bool site_is_console_origin(str origin);
// localhost, 127.0.0.0/8 and [::1]; `host` as request.h has it.
bool site_is_loopback(str host);
#endif
