// /api/openapi.json: the OpenAPI 3.1 document of every registered endpoint, made from the table
// that serves them.
#ifndef STOA_HTTP_OPENAPI_H
#define STOA_HTTP_OPENAPI_H
#include "edge/http/endpoint.h"

// `schemas`: a JSON object of component schemas as text (a feature's own answers); kept. Before the
// loops start.
void openapi_add_schemas(const char *schemas);
// The document's own endpoint, to be registered last.
extern const struct endpoint openapi_endpoints[];
extern const size_t openapi_endpoint_count;
#endif
