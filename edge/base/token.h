// Random names: ids, slugs' tails, secrets. 128 random bits or more wherever a stranger might
// guess. Any thread.
#ifndef STOA_BASE_TOKEN_H
#define STOA_BASE_TOKEN_H
#include "edge/base/str.h"

enum { TOKEN_ID_ROOM = 33, TOKEN_REQUEST_ID_ROOM = 25, TOKEN_UUID_ROOM = 37 };

// `prefix` (at most 5 characters, e.g. "plg_") and 26 characters of lower-case base32 (Crockford's
// letters): 130 random bits. Ids are opaque to clients; the prefix only helps people.
void token_id(const char *prefix, char to[static TOKEN_ID_ROOM]);
// The same for what is written by the thousand: its first ten characters are the present real time in
// ms, so that new ones come behind old ones in an index; then 80 random bits. Seldom a system call.
void token_ordered_id(const char *prefix, char to[static TOKEN_ID_ROOM]);
// 24 lower-case hex characters for a request: a random start per thread and a counter, so that it
// costs no system call.
void token_request_id(char to[static TOKEN_REQUEST_ID_ROOM]);
// A random (version 4) UUID, RFC 9562.
void token_uuid(char to[static TOKEN_UUID_ROOM]);
// n lower-case hex characters and a NUL.
void token_hex(char *to, size_t n);
#endif
