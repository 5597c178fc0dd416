// How a visitor came, when it is not to us that they speak TLS.
#ifndef STOA_HTTP_SCHEME_H
#define STOA_HTTP_SCHEME_H
#include "edge/http/request.h"

// Over TLS to us, or, by the word of a trusted proxy (X-Forwarded-Proto: https), to the first one in
// front. Nobody else's word is taken. Loop thread, while the request lives.
bool request_came_by_https(const struct request *r);
#endif
