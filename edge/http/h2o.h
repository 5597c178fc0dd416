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
#endif
