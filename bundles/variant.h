// What is served for one encoding of one file of one site: prebuilt headers and the bytes.
// Immutable, counted, shared by all loops. The bytes (`struct body`) are held once for all files
// and sites that have the same ones.
#ifndef STOA_BUNDLES_VARIANT_H
#define STOA_BUNDLES_VARIANT_H
#include "bundles/site.h"
#include "edge/http/reply.h"

struct body {
    struct shared shared;
    struct digest digest;
    uint64_t size;
    const char *bytes;
    int fd;         // a sealed file in memory whose pages are `bytes`; -1: they are plain memory
    bool is_listed; // living.h
};
// Takes `bytes` (malloc'ed). Large ones move to a file in memory, which sendfile can read: while there are few enough that descriptors
// remain for connections. Any thread; may take a millisecond.
struct body *body_create(const struct digest *digest, char *bytes, uint64_t size);

enum { VARIANT_ETAG_ROOM = 32 };

struct variant {
    struct shared shared;
    _Atomic uint32_t last_used;      // seconds of the monotonic clock
    uint32_t number;                 // in its site
    struct site *site;               // a reference
    struct body *body;               // a reference
    struct reply_headers *whole;     // 200 and 206
    struct reply_headers *unchanged; // 304
    struct reply_headers *missing;   // 404, for files named 404.html; else NULL
    char etag[VARIANT_ETAG_ROOM];
    uint8_t etag_length;
};

// What previews' answers carry beside their content, on a host of their own and on the apps origin
// (security-rules.md 11).
struct preview_policy {
    const char *sandbox;    // Content-Security-Policy
    bool may_read_anywhere; // Access-Control-Allow-Origin: *
};
// Process start.
void variant_init(bool previews_have_hosts);
const struct preview_policy *variant_preview_policy(void);

// Takes references of its own to both.
struct variant *variant_create(struct site *site, uint32_t number, struct body *body);
static inline str variant_etag(const struct variant *v)
{
    return (str){v->etag, v->etag_length};
}
static inline str variant_bytes(const struct variant *v)
{
    return (str){v->body->bytes, v->body->size};
}
static inline struct reply_file variant_file(const struct variant *v, uint64_t first)
{
    return (struct reply_file){v->body->fd, first, NULL};
}
// The strong entity tag of an encoding, with its quotes, without loading it; returns its length.
size_t variant_etag_of(const struct site_variant *v, enum encoding e,
                       char to[static VARIANT_ETAG_ROOM]);
#endif
