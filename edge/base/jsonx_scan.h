// What the files of jsonx share.
#ifndef STOA_BASE_JSONX_SCAN_H
#define STOA_BASE_JSONX_SCAN_H
#include <endian.h>
#include "edge/base/jsonx.h"

// jsonx_is_valid, and has no more values than that; names of members are none.
bool jsonx_has_at_most(str text, unsigned depth, size_t values);
// Behind the string that begins at p; NULL: it is none.
const char *jsonx_scan_string(const char *p, const char *end);
const char *jsonx_skip_space(const char *p, const char *end);

#define JSONX_TOPS UINT64_C(0x8080808080808080)
// The top bit of each of eight bytes that a string cannot hold as it is: a control, '"', '\\'. Borrows
// may mark a plain one too, but only above one that is marked rightly.
static inline uint64_t jsonx_specials(uint64_t w)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t quote = w ^ ones * '"', backslash = w ^ ones * '\\';
    return (((w - ones * 0x20) & ~w) | ((quote - ones) & ~quote) |
            ((backslash - ones) & ~backslash)) &
           JSONX_TOPS;
}

// The first byte that is not plain, eight at a time, the lowest address in the lowest byte; near the
// end it may be one of the last seven, plain or not. `wide`: JSONX_TOPS to stop above ASCII too, or 0.
static inline const char *jsonx_skip_plain(const char *p, const char *end, uint64_t wide)
{
    uint64_t w, found = 0;
    while (end - p >= (ptrdiff_t)sizeof w && found == 0) {
        memcpy(&w, p, sizeof w);
        w = le64toh(w);
        found = jsonx_specials(w) | (w & wide);
        p += found != 0 ? __builtin_ctzll(found) / 8 : (int)sizeof w;
    }
    return p;
}
#endif
