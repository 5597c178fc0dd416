// The door from libh2o: turns a libh2o request into ours and gives it to the router. For
// edge/listener.c and edge/main.c.
#ifndef STOA_HTTP_H2O_H
#define STOA_HTTP_H2O_H
#include <h2o.h>
#include "edge/http/request.h"

// Registers one libh2o host whose every request is given to `on_request` with `site` filled in as
// `site_kind` says (the router may change it). Connections of a listener carry the returned host
// list in their accept context: that is how a request knows its listener.
h2o_hostconf_t **http_register_listener(h2o_globalconf_t *config, const char *name,
                                        enum site_kind site, void (*on_request)(struct request *r));

// The access log's line and count of a request that was refused before it became one of ours; `req`
// is NULL when its head could not be read, which is counted only. On a loop's thread; elsewhere
// (the guard's self-test) it does nothing.
void http_log_refused(h2o_req_t *req, const char *id, int status, uint64_t bytes);

// What is known of a request before it is one of ours. The listener's `site` as registered, of any
// request of a connection; the visitor's address, normalised, of one whose head has been read.
enum site_kind http_listener_of(const h2o_req_t *req);
struct ip http_visitor_of(h2o_req_t *req);
// Its Authorization, which is empty when there is none, or more than one.
str http_authorization_of(const h2o_req_t *req);
// Splits an authority into host and port (0: none), without a last dot; a name that is no host at all
// stays as it is and matches no site. The case is as sent.
str http_host_of(str authority, uint16_t *ret_port);

// Who keeps a large body in its place when its request goes (edge/guard/guard.h: guard_keep_body,
// guard_release_body). `keep` is called on the request's loop while its body stands, and returns
// NULL for one that must be copied; `release` may be called on any thread. Before loops start;
// without it all bodies are copied.
typedef void *(*http_keep_body_fn)(h2o_req_t *req, const char **ret_bytes);
void http_set_body_keeper(http_keep_body_fn keep, void (*release)(void *kept));
#endif
