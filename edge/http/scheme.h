// How a visitor came, when it is not to us that they speak TLS.
#ifndef STOA_HTTP_SCHEME_H
#define STOA_HTTP_SCHEME_H
#include "edge/http/request.h"

// Over TLS to us, or, by the word of a trusted proxy, to the first one in front: `proto` of the
// element of Forwarded that names the visitor, where that is the named header and has one, else
// X-Forwarded-Proto. Nobody else's word is taken. Loop thread, while the request lives.
bool request_came_by_https(const struct request *r);
#endif
