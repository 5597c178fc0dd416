// What stands before the app on a custom domain: one name that leads to another, plain HTTP that leads to
// TLS, and the header fields a domain's owner, or its last change of hands, has brought about (contract
// §2 and §6, security-rules.md 13).
#ifndef STOA_ROUTE_DOMAIN_RULES_H
#define STOA_ROUTE_DOMAIN_RULES_H
#include "edge/http/request.h"

// ":8443" or "": what is written behind a name that is reached over TLS; NULL: there is no TLS listener,
// and nobody is sent to one. Process start; kept.
void domain_rules_init(const char *tls_port);
// Of a request with r->domain: true when it was answered. Adds header fields to the reply in both cases.
// Loop thread, before anything has waited.
bool domain_rules_answer(struct request *r);
#endif
