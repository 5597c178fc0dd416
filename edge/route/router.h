// Path → service. Knows the service struct, never the feature.
#ifndef STOA_ROUTE_ROUTER_H
#define STOA_ROUTE_ROUTER_H
#include "edge/http/service.h"

// Before the loops start; services are kept. Endpoints and schemas are registered too.
void router_add(struct service *s);
// Decides the site, then the service, and hands the request over. Loop thread.
void router_on_request(struct request *r);
// The largest body a request to that site may bring, for the guard: known from its head alone. Any
// thread.
struct body_bound router_body_bound(enum site_kind site, str method, str path);
// Who answers /.well-known/acme-challenge/, on every authority: `answer` takes the request and is true, or
// lets it be, and it is 404. Before the loops start.
void router_answer_challenges_by(bool (*answer)(struct request *r));
// Calls every service's on_loop_start, and on_metrics.
void router_loop_start(struct loop *loop);
void router_metrics(struct buf *to);
#endif
