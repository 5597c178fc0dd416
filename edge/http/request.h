// One request on its loop, as features see it: no feature includes libh2o. It lives from the moment
// its head and body are there until its reply is out or the client has gone; everything it holds is
// the request's, borrowed by whoever looks.
#ifndef STOA_HTTP_REQUEST_H
#define STOA_HTTP_REQUEST_H
#include "edge/base/ip.h"
#include "edge/base/token.h"
#include "edge/http/forwarded.h"
#include "edge/loop/loop.h"

enum method {
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_PATCH,
    METHOD_DELETE,
    METHOD_OPTIONS,
    METHOD_OTHER
};

// Which of the server's origins a request came to (edge/route/site.h decides).
enum site_kind {
    SITE_UNKNOWN,  // an authority that is nobody's
    SITE_CONSOLE,  // management, documents
    SITE_APPS,     // /apps/{plugin}/{instance}/…
    SITE_INSTANCE, // an instance's own host or custom domain: `site_name` is the instance's slug
    SITE_PREVIEW,  // a deployment's own host: `site_name` is its id
    SITE_FILES,    // files_origin: signed links and nothing else
    SITE_ADMIN,    // health and metrics
};

// The request headers features ask for; every other one is the server's own business.
enum header {
    HEADER_ACCEPT,
    HEADER_ACCEPT_ENCODING,
    HEADER_ACCESS_CONTROL_REQUEST_HEADERS,
    HEADER_ACCESS_CONTROL_REQUEST_METHOD,
    HEADER_AUTHORIZATION,
    HEADER_CDN_LOOP,
    HEADER_CONTENT_ENCODING,
    HEADER_CONTENT_TYPE,
    HEADER_HOST,
    HEADER_IF_MATCH,
    HEADER_IF_MODIFIED_SINCE,
    HEADER_IF_NONE_MATCH,
    HEADER_IF_RANGE,
    HEADER_IF_UNMODIFIED_SINCE,
    HEADER_LAST_EVENT_ID,
    HEADER_ORIGIN,
    HEADER_RANGE,
    HEADER_REFERER,
    HEADER_SEC_FETCH_DEST,
    HEADER_SEC_FETCH_MODE,
    HEADER_SERVICE_WORKER,
    HEADER_USER_AGENT,
    HEADERS
};

struct host;
struct request {
    enum method method;
    str method_name;
    str path;      // as sent, percent-encoded, without query; begins with '/' (or is "*")
    str query;     // as sent, without '?'; p == NULL when there was no '?'
    str authority; // host[:port] as decided by RFC 9112 §3.2 / RFC 9113 §8.3.1, as sent
    str host;      // of it: lower case, no port, no trailing dot; IPv6 literals with their brackets
    uint16_t port; // 0: none was named
    bool is_tls;
    unsigned version; // 0x100, 0x101, 0x200
    enum site_kind site;
    str site_name;
    const struct host
        *domain;       // the custom domain (edge/route/hosts.h), until the loop turns; NULL: none
    str platform_slug; // on the console origin below /p/{slug}, which `path` no longer has; else empty
    str body;          // all of it; valid until the reply is out
    char id[TOKEN_REQUEST_ID_ROOM]; // X-Request-Id
    char peer[IP_ROOM]; // the visitor's address as text, IPv4-mapped ones as IPv4; behind
                        // a trusted proxy the one it names (security-rules.md 19)
    struct ip visitor;  // the same, normalised: what limits count by
    struct loop *loop;
    // For the access log; literals, set by whoever answers ("" until then).
    const char *route;    // "bundle", "api importPlugin", …
    const char *encoding; // "br" | "zstd" | "gzip" | "identity"
    const char *cache;    // "hit" | "miss" | "wait"
    void *_h2o;
    bool _started;
};

// Whose word on the visitor's address is taken, and the name that our own requests bear in CDN-Loop.
// Both are kept, not copied; NULL: nobody, none. Before loops start.
void http_trust_proxies(const struct http_proxies *proxies);
void http_set_cdn_loop(const char *name);
// Whether a peer is one of the proxies: limits per address are not for it. Any thread.
bool http_is_trusted_proxy(const struct sockaddr *sa);

// The values of all fields of that name joined with ", " (RFC 9110 §5.2), p == NULL when there is
// none. A single one is not copied.
str request_header(struct request *r, enum header h);
// Whether the body is not what it stands for (RFC 9110 §8.4): nothing here decodes one.
bool request_is_encoded(struct request *r);
// Whether the request has been sent by ourselves, by way of whoever may stand between: its CDN-Loop
// (RFC 8586) names us. False while no name is set.
bool request_is_looped(struct request *r);
// Memory that goes with the request.
void *request_alloc(struct request *r, size_t n);
// Memory that goes with the request, zeroed; `on_gone` is called when the request's memory goes,
// whether it was answered or the client left: the one notice of the latter (unlink timers, drop
// what waits). It must not touch the request.
void *request_holder(struct request *r, size_t n, void (*on_gone)(void *holder));
// True when a person's browser asks for a page: refusals are then a small page, else JSON (contract
// §1).
bool request_wants_html(struct request *r);
#endif
