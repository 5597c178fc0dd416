// The exchange of a provisioning token for a session (contract §7, embed-protocol.md): the one
// endpoint that strangers may ask something of the database with. Pool threads.
#ifndef STOA_EMBED_EXCHANGE_H
#define STOA_EMBED_EXCHANGE_H
#include "edge/http/endpoint.h"

extern const struct endpoint_field exchange_fields[];
enum fail exchange_token(struct call *call, struct answer *answer, struct fault *fault);
#endif
