// Health, readiness and metrics on the admin listener: the smallest service, the one to copy when
// starting another.
#ifndef STOA_HEALTH_H
#define STOA_HEALTH_H
#include "edge/http/service.h"

struct service *health_service(void);
// An operator's token for a non-loopback admin listener ("" = none), and the URL of the plugins'
// PostgreSQL (""= none); before the loops start.
void health_init(const char *admin_token, const char *plugin_database);
// Looks at what /readyz tells of: blocks while a dependency does, at most some seconds. Scheduler,
// every HEALTH_LOOK_MS.
void health_look(void);
enum { HEALTH_LOOK_MS = 5000 };
#endif
