// Running management endpoints: matching, limits, authentication, the pool, the reply. main.c hands
// over the tables of all features once.
#ifndef STOA_HTTP_MANAGEMENT_H
#define STOA_HTTP_MANAGEMENT_H
#include "edge/http/endpoint.h"
#include "edge/http/request.h"

// "Authorization" of a request into a principal that may do what the call's endpoint does:
// registered by edge/auth. Of the call neither principal nor query nor body are there yet. *ret
// is malloc'ed and freed by us. Pool thread.
typedef enum fail (*authenticate_fn)(const struct call *call, str authorization,
                                     struct principal **ret, struct fault *fault);

// Before the loops start. The tables are kept. `body_memory` bounds the bodies of all running calls
// together.
void management_init(authenticate_fn authenticate, size_t body_memory);
// Whether a page of that origin may use the principal: asked when a request has an Origin, before
// the endpoint does anything. Registered by who knows; none: all may. Before the loops start; pool
// threads.
typedef enum fail (*origin_check_fn)(const struct principal *p, str origin, struct fault *fault);
void management_check_origins_by(origin_check_fn check);
// Of endpoints on LANE_INGEST, and of those on LANE_DATA, each holder (its project) has one call running and
// TURNS_WAITING_MAX waiting; more are FAIL_TOO_MANY "too_many_waiting". None registered: all run.
// Before the loops start.
typedef const char *(*holder_fn)(const struct principal *p);
void management_take_turns_by(holder_fn holder);
void management_set_memory(size_t body_memory); // at a reload; any thread
void management_register(const struct endpoint *list, size_t count);

// Answers the request; `path` begins with "/api/". Loop thread.
void management_on_request(struct request *r);
// The largest body that the endpoint of this method and path takes, or SIZE_MAX when there is no
// such endpoint. Any thread.
size_t management_body_max(str method, str path);
// Every registered endpoint, for /api/openapi.json and tests.
size_t management_count(void);
const struct endpoint *management_at(size_t index);
// How many calls are running or queued. Any thread.
size_t management_running(void);
#endif
