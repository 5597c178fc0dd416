// Health, readiness and metrics on the admin listener: the smallest service, the one to copy when
// starting another.
#ifndef STOA_HEALTH_H
#define STOA_HEALTH_H
#include "edge/http/service.h"

struct service *health_service(void);
// An operator's token for a non-loopback admin listener ("" = none); before the loops start.
void health_init(const char *admin_token);
#endif
