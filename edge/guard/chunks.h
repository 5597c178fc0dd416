// Checks the framing of a chunked body (RFC 9112 §7.1) strictly, beside libh2o's lenient decoder:
// what two servers read differently is how requests are smuggled. Pure.
#ifndef STOA_GUARD_CHUNKS_H
#define STOA_GUARD_CHUNKS_H
#include <stddef.h>
#include <stdint.h>

struct chunks {
    unsigned char state;
    unsigned char digits; // of the present size
    unsigned short line;  // bytes of the present extension
    unsigned trailer;     // bytes of the trailer section
    uint64_t left;        // of the present chunk
    uint64_t total;       // of all chunks announced so far
    uint64_t framing;     // bytes that were no content
};

enum chunks_verdict { CHUNKS_FINE, CHUNKS_BROKEN, CHUNKS_TOO_LARGE };

void chunks_init(struct chunks *c);
// The next raw bytes. Stops looking at the end of the body; what follows belongs to the next
// request. CHUNKS_TOO_LARGE as soon as a chunk's size announces that the content will pass `limit`.
// After anything but CHUNKS_FINE the struct is of no further use.
enum chunks_verdict chunks_check(struct chunks *c, const char *p, size_t n, uint64_t limit);
#endif
