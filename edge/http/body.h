// A request's body for whoever outlives the request, without a second copy of it in memory. A large
// body stands in an unlinked file of the data directory as it comes in (edge/guard/body.c), and is
// mapped from there; a small one is copied.
#ifndef STOA_HTTP_BODY_H
#define STOA_HTTP_BODY_H
#include "edge/base/str.h"

struct request;
struct body;

// The body as it stands; it stays whole when the request is answered or the client leaves. On the
// request's loop, before it is answered; never NULL.
struct body *body_take(struct request *r);
// Valid until body_destroy; any thread.
str body_bytes(const struct body *b);
// How many of these bytes are memory of ours, not pages of a file: all or none.
size_t body_memory(const struct body *b);
void body_destroy(struct body *b); // any thread; NULL is fine
#endif
