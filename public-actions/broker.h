// What the visitors' services of this folder share. A request's loop.
#ifndef STOA_ACTIONS_BROKER_H
#define STOA_ACTIONS_BROKER_H
#include "edge/http/service.h"

// 429 rate_limited.
void broker_reply_too_often(struct request *r, unsigned retry_after);
// Whether the host's name is longer than any slug, which is the longest label a host may have: it is
// nobody's, and has no room here.
bool broker_is_nobodys_host(const struct request *r);
#endif
