// The endpoint functions that service.c lists in its table, and what their files share.
#ifndef STOA_DOMAINS_API_H
#define STOA_DOMAINS_API_H
#include "domains/internal.h"
#include "edge/auth/auth.h"
#include "edge/http/endpoint.h"

// The domain that the path names: by its id or its name.
enum fail domain_api_find(struct call *call, struct domain *ret, struct fault *fault) MUST_CHECK;
struct domain_actor domain_api_actor(const struct call *call);

enum fail domain_api_create(struct call *call, struct answer *a, struct fault *fault);
enum fail domain_api_list(struct call *call, struct answer *a, struct fault *fault);
enum fail domain_api_get(struct call *call, struct answer *a, struct fault *fault);
enum fail domain_api_dns(struct call *call, struct answer *a, struct fault *fault);
enum fail domain_api_verify(struct call *call, struct answer *a, struct fault *fault);
enum fail domain_api_change(struct call *call, struct answer *a, struct fault *fault);
enum fail domain_api_remove(struct call *call, struct answer *a, struct fault *fault);
// own_certificate.c
enum fail domain_api_put_certificate(struct call *call, struct answer *a, struct fault *fault);
enum fail domain_api_remove_certificate(struct call *call, struct answer *a, struct fault *fault);
#endif
