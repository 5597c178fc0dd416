// What a feature implements to answer requests: the seam between edge and features. A feature fills
// in one struct with static life, main.c registers it, the router knows the struct and never the
// feature.
#ifndef STOA_HTTP_SERVICE_H
#define STOA_HTTP_SERVICE_H
#include "edge/http/endpoint.h"
#include "edge/http/reply.h"
#include "edge/http/request.h"

// What a request may bring at a path that is no other's of its service, and the words of the 413 for
// what is larger ("body_too_large" and a general sentence when NULL); literals. Such a body is refused
// before it is known whose site it is for; where pages of other origins may send, `is_for_pages` lets
// any of them read why, which says nothing of anybody.
struct body_bound {
    size_t max;
    const char *code, *message;
    bool is_for_pages;
};

struct service {
    const char *name; // for logs and metrics
    // Management endpoints on the console origin, served on pool threads. May be NULL.
    const struct endpoint *endpoints;
    size_t endpoint_count;
    const char *schemas; // a JSON object: the OpenAPI schemas of their answers; NULL: none
    // The visitors' side, on the loop. `sites` is a bit set of 1 << enum site_kind; requests of
    // those sites whose path begins with `prefix` (longest wins) come here. May be NULL.
    unsigned sites;
    const char *prefix; // "/apps/", "/api/public-actions/", "/"
    void (*on_request)(struct request *r);
    // Whether such a request is this service's at all; false: it goes to the next longest prefix. NULL:
    // all are. On the loop.
    bool (*takes)(const struct request *r);
    size_t body_max; // of requests below `prefix`; 0: a page's
    // The paths below `prefix` that have a bound of their own: true with it. Pure; any thread. May be
    // NULL.
    bool (*on_body_ask)(str path, struct body_bound *ret);
    // Called on each loop's thread before its first turn, and never again.
    void (*on_loop_start)(struct loop *loop);
    // Adds this service's lines to /metrics (Prometheus text); admin loop's thread. May be NULL.
    void (*on_metrics)(struct buf *to);
};
#endif
