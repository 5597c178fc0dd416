// Signed links to files (contract §5, security-rules.md 21). A link is all the right there is to a
// file's bytes, for 15 minutes, on one host: nothing of it is kept, and a wrong one costs a few
// hashes and no question to the database. Its signature is
//   version (1 byte, 1) | master key's id (8) | instance and type (16, of their SHA-256) | HMAC (32)
// in base64url. The HMAC covers version, host and port, what the row must say, file, name, expiry
// and disposition, under a key of its own purpose. While the key is among the master keys, first or
// not, links made under it are good. Any thread; no state.
#ifndef STOA_UPLOADS_LINKS_H
#define STOA_UPLOADS_LINKS_H
#include "edge/http/request.h"
#include "uploads/internal.h"

enum { LINK_SECONDS = 15 * 60, LINK_BOUND_BYTES = 16 };

enum link_state {
    LINK_GOOD,
    LINK_EXPIRED, // it was good
    LINK_WRONG,   // altered, made up, or another host's
    LINK_NONE,    // the path is no file's
};
struct link {
    char id[FILES_ID_ROOM];
    enum link_use use;
    int64_t expires_at;              // real s
    uint8_t bound[LINK_BOUND_BYTES]; // what the row must say
};
// Whether it looks like a link, good or not: "/files/{id}/{name}" with an id such as ours. What else
// lies below "/files/" is the app's.
bool link_is_meant(const struct request *r);
// What a request's path and query say. *ret is filled in for LINK_GOOD only; whether the file exists,
// and is the one the link was made for (link_is_of), is still to be seen.
enum link_state link_read(const struct request *r, int64_t now_ms, struct link *ret);
bool link_is_of(const struct link *link, const struct request *r, const struct file *f);
// The origin that links to the file are on: "https://files.example.com".
void link_origin(const struct file *f, struct buf *to);
#endif
