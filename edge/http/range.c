#include "edge/http/range.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/token.h"

struct asked {
    uint64_t first, last;
    size_t order;
};

// Digits to a number; one too large for 64 bits stands for the end of any file.
static bool position(str s, uint64_t *ret)
{
    uint64_t value = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        unsigned d = (unsigned)(s.p[i] - '0');
        value = value > (UINT64_MAX - d) / 10 ? UINT64_MAX : value * 10 + d;
    }
    *ret = value;
    return s.n > 0;
}

enum spec { SPEC_MALFORMED, SPEC_UNSATISFIABLE, SPEC_WHOLE, SPEC_RANGE };

static enum spec suffix_parse(str digits, uint64_t size, struct asked *ret)
{
    uint64_t length;
    if (!position(digits, &length))
        return SPEC_MALFORMED;
    if (length == 0)
        return SPEC_UNSATISFIABLE;
    if (size == 0)
        return SPEC_WHOLE; // satisfiable by §14.1.2, but no Content-Range can say it
    ret->first = length < size ? size - length : 0;
    ret->last = size - 1;
    return SPEC_RANGE;
}

static enum spec spec_parse(str spec, uint64_t size, struct asked *ret)
{
    size_t dash = str_find(spec, '-');
    if (dash == SIZE_MAX)
        return SPEC_MALFORMED;
    str last = str_skip(spec, dash + 1);
    if (dash == 0)
        return suffix_parse(last, size, ret);
    ret->last = UINT64_MAX;
    if (!position(str_of(spec.p, dash), &ret->first) ||
        (last.n > 0 && !position(last, &ret->last)) || ret->last < ret->first)
        return SPEC_MALFORMED;
    if (ret->first >= size)
        return SPEC_UNSATISFIABLE;
    if (ret->last >= size)
        ret->last = size - 1;
    return SPEC_RANGE;
}

static int by_first(const void *a, const void *b)
{
    const struct asked *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

static int by_order(const void *a, const void *b)
{
    const struct asked *x = a, *y = b;
    return (x->order > y->order) - (x->order < y->order);
}

// Joins what overlaps or touches; what is left stands where its first member was asked for.
static size_t coalesce(struct asked *asked, size_t n)
{
    size_t kept = 0;
    qsort(asked, n, sizeof *asked, by_first);
    for (size_t i = 1; i < n; i++) {
        struct asked *joined = &asked[kept];
        if (asked[i].first > joined->last && asked[i].first - joined->last > 1) {
            asked[++kept] = asked[i];
            continue;
        }
        if (asked[i].last > joined->last)
            joined->last = asked[i].last;
        if (asked[i].order < joined->order)
            joined->order = asked[i].order;
    }
    n = kept + 1;
    qsort(asked, n, sizeof *asked, by_order);
    return n;
}

// The set behind "bytes=". Sets *ret_n to the ranges that can be satisfied.
static enum range_kind set_parse(str set, uint64_t size, struct asked *asked, size_t *ret_n)
{
    size_t n = 0;
    bool any = false;
    while (set.n > 0) {
        str spec = str_trim(str_cut(&set, ','));
        struct asked one = {.order = n};
        if (spec.n == 0)
            continue;
        any = true;
        switch (spec_parse(spec, size, &one)) {
        case SPEC_MALFORMED:
        case SPEC_WHOLE:
            return RANGE_WHOLE;
        case SPEC_UNSATISFIABLE:
            continue;
        case SPEC_RANGE:
            break;
        }
        if (n == RANGES_ASKED_MAX)
            return RANGE_WHOLE;
        asked[n++] = one;
    }
    *ret_n = n;
    if (!any)
        return RANGE_WHOLE;
    return n == 0 ? RANGE_UNSATISFIABLE : RANGE_PART;
}

enum range_kind range_parse(str header, uint64_t size, struct ranges *ret)
{
    struct asked asked[RANGES_ASKED_MAX];
    size_t n = 0;
    str set = str_trim(header);
    if (!str_caseeq(str_trim(str_cut(&set, '=')), STR("bytes")))
        return RANGE_WHOLE;
    enum range_kind kind = set_parse(set, size, asked, &n);
    if (kind != RANGE_PART)
        return kind;
    n = coalesce(asked, n);
    if (n > RANGES_MAX)
        return RANGE_WHOLE;
    ret->count = n;
    for (size_t i = 0; i < n; i++)
        ret->at[i] = (struct range){asked[i].first, asked[i].last};
    return RANGE_PART;
}

size_t range_content_range(const struct range *range, uint64_t size,
                           char to[static RANGE_TEXT_ROOM])
{
    return (size_t)snprintf(to, RANGE_TEXT_ROOM, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64,
                            range->first, range->last, size);
}

size_t range_unsatisfied(uint64_t size, char to[static RANGE_TEXT_ROOM])
{
    return (size_t)snprintf(to, RANGE_TEXT_ROOM, "bytes */%" PRIu64, size);
}

void range_boundary(char to[static RANGE_BOUNDARY_ROOM])
{
    token_hex(to, RANGE_BOUNDARY_ROOM - 1);
}

// One part's head: line ends, "--", two field names and the boundary come to less than 100 bytes.
static size_t part_room(str content_type)
{
    return 100 + RANGE_BOUNDARY_ROOM + RANGE_TEXT_ROOM + content_type.n;
}

size_t range_multipart_room(const struct ranges *ranges, str content_type)
{
    return (ranges->count + 1) * part_room(content_type);
}

size_t range_multipart(const struct ranges *ranges, str body, str content_type,
                       const char *boundary, char *room, str *pieces)
{
    size_t each = part_room(content_type), n = 0;
    for (size_t i = 0; i < ranges->count; i++, room += each) {
        const struct range *range = &ranges->at[i];
        char text[RANGE_TEXT_ROOM];
        range_content_range(range, body.n, text);
        int head = snprintf(room, each, "%s--%s\r\nContent-Type: %.*s\r\nContent-Range: %s\r\n\r\n",
                            i == 0 ? "" : "\r\n", boundary, STR_FMT(content_type), text);
        pieces[n++] = str_of(room, (size_t)head);
        pieces[n++] = str_of(body.p + range->first, range->last - range->first + 1);
    }
    pieces[n++] = str_of(room, (size_t)snprintf(room, each, "\r\n--%s--\r\n", boundary));
    return n;
}
