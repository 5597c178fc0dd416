// A Range field of a stranger: parts lie within the file, do not touch each other, and come out as a
// body of the length their sum says.
#include <assert.h>
#include <stdlib.h>
#include "edge/http/range.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_parts(const struct ranges *ranges, uint64_t size)
{
    assert(ranges->count >= 1 && ranges->count <= RANGES_MAX);
    for (size_t i = 0; i < ranges->count; i++) {
        const struct range *a = &ranges->at[i];
        assert(a->first <= a->last && a->last < size);
        for (size_t j = 0; j < i; j++) {
            const struct range *b = &ranges->at[j];
            assert(a->last < b->first ? b->first - a->last > 1
                                      : b->last < a->first && a->first - b->last > 1);
        }
    }
}

static void check_body(const struct ranges *ranges, uint64_t size)
{
    char *body = calloc(1, size), boundary[RANGE_BOUNDARY_ROOM];
    str pieces[2 * RANGES_MAX + 1], type = STR("text/html; charset=utf-8");
    char *room = malloc(range_multipart_room(ranges, type));
    range_boundary(boundary);
    size_t n = range_multipart(ranges, str_of(body, size), type, boundary, room, pieces);
    assert(n == 2 * ranges->count + 1);
    for (size_t i = 0; i < ranges->count; i++) {
        assert(str_find_str(pieces[2 * i], str_from(boundary)) != SIZE_MAX);
        assert(pieces[2 * i + 1].n == ranges->at[i].last - ranges->at[i].first + 1);
    }
    free(room);
    free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t sizes[] = {0, 1, 10, 1000, 100000, UINT64_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct ranges ranges;
        if (range_parse(str_of(data, size), sizes[i], &ranges) != RANGE_PART)
            continue;
        check_parts(&ranges, sizes[i]);
        char text[RANGE_TEXT_ROOM];
        assert(range_content_range(&ranges.at[0], sizes[i], text) < sizeof text);
        if (sizes[i] <= 1000)
            check_body(&ranges, sizes[i]);
    }
    return 0;
}
