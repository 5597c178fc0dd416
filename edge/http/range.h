// Byte ranges (RFC 9110 §14) and the multipart/byteranges body that carries several (§14.6). Pure;
// any thread.
#ifndef STOA_HTTP_RANGE_H
#define STOA_HTTP_RANGE_H
#include "edge/base/str.h"

enum {
    RANGES_MAX = 16,         // after coalescing; more than that is an attack or not worth it
    RANGES_ASKED_MAX = 1024, // looked at; more: the whole file
    RANGE_BOUNDARY_ROOM = 25,
    RANGE_TEXT_ROOM = 72, // "bytes 1-2/3" of three 64-bit numbers
};

enum range_kind {
    RANGE_WHOLE,         // no usable Range: 200
    RANGE_PART,          // 206
    RANGE_UNSATISFIABLE, // 416
};

struct ranges {
    size_t count; // 1–RANGES_MAX, in the order they were asked for, none touching another
    struct range {
        uint64_t first, last; // inclusive
    } at[RANGES_MAX];
};

// Reads a Range field for a representation of `size` bytes. Other units and malformed sets are
// ignored (§14.2), ranges that overlap or touch are joined. *ret is filled for RANGE_PART only.
enum range_kind range_parse(str header, uint64_t size, struct ranges *ret);

// "bytes 0-9/100", NUL-terminated; returns its length.
size_t range_content_range(const struct range *range, uint64_t size,
                           char to[static RANGE_TEXT_ROOM]);
// "bytes */100" for a 416.
size_t range_unsatisfied(uint64_t size, char to[static RANGE_TEXT_ROOM]);

// The body of a multipart answer as pieces: two a range and the last line. `boundary` is what
// Content-Type names; part heads are written into `room` (range_multipart_room bytes); `pieces` has
// place for 2 * count + 1. Returns how many there are.
size_t range_multipart_room(const struct ranges *ranges, str content_type);
size_t range_multipart(const struct ranges *ranges, str body, str content_type,
                       const char *boundary, char *room, str *pieces);
// A random boundary: nobody can have put it into the file.
void range_boundary(char to[static RANGE_BOUNDARY_ROOM]);
#endif
