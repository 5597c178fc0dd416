// Counting fields before decoding them is what stops an HPACK bomb: a byte of the block can stand
// for four kilobytes of a header, but it cannot stand for more than one field.
#include "edge/guard/fields.h"
#include <stdbool.h>

enum { SIZE_UPDATES_MAX = 2, INTEGER_OCTETS_MAX = 4 };

struct reader {
    const uint8_t *p, *end;
};

// RFC 7541 §5.1, with libh2o's own limit of four octets behind the prefix.
static bool read_integer(struct reader *r, unsigned prefix_bits, uint32_t *ret)
{
    uint32_t most = (1u << prefix_bits) - 1, value;
    if (r->p == r->end)
        return false;
    value = *r->p++ & most;
    if (value == most)
        for (unsigned i = 0;; ++i) {
            if (i == INTEGER_OCTETS_MAX || r->p == r->end)
                return false;
            uint8_t octet = *r->p++;
            value += (uint32_t)(octet & 127) << (7 * i);
            if ((octet & 128) == 0)
                break;
        }
    *ret = value;
    return true;
}

static bool pass_string(struct reader *r)
{
    uint32_t length;
    if (!read_integer(r, 7, &length) || length > (size_t)(r->end - r->p))
        return false;
    r->p += length;
    return true;
}

static bool pass_literal(struct reader *r, unsigned prefix_bits)
{
    uint32_t index;
    return read_integer(r, prefix_bits, &index) && (index != 0 || pass_string(r)) && pass_string(r);
}

static bool pass_field(struct reader *r)
{
    uint32_t index;
    if ((*r->p & 0x80) != 0)
        return read_integer(r, 7, &index);
    return pass_literal(r, (*r->p & 0x40) != 0 ? 6 : 4);
}

static bool is_size_update(const struct reader *r)
{
    return r->p != r->end && (*r->p & 0xe0) == 0x20;
}

struct fields fields_pass(const uint8_t *block, size_t n, size_t max, int first)
{
    struct reader r = {block, block + n};
    struct fields f = {0, 0, FIELDS_END};
    uint32_t size;

    for (unsigned updates = 0; first && is_size_update(&r); ++updates)
        if (updates == SIZE_UPDATES_MAX || !read_integer(&r, 5, &size)) {
            f.state = FIELDS_BROKEN;
            return f;
        }
    while (r.p != r.end && f.count != max) {
        if (is_size_update(&r) || !pass_field(&r)) {
            f.state = FIELDS_BROKEN;
            return f;
        }
        ++f.count;
        f.n = (size_t)(r.p - block);
    }
    f.state = r.p == r.end ? FIELDS_END : FIELDS_MORE;
    return f;
}
