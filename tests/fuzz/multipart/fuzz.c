// multipart/form-data: a body read in random pieces gives the same events and the same answer as
// one read whole, which are views into it, each where the one before ended. A cleaned name keeps its
// promises. The first byte seeds the pieces, the first line is the Content-Type; all is a name too.
#include <stdint.h>
#include <stdlib.h>
#include "edge/http/multipart/multipart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

// Whether any of these, each ending in a NUL, stands in it.
static bool has_any(str s, const char *list)
{
    for (; *list != '\0'; list += strlen(list) + 1)
        if (str_find_str(s, str_from(list)) != SIZE_MAX)
            return true;
    return false;
}

static void check_name(str s)
{
    check(s.n != 0 && s.n <= MULTIPART_NAME_MAX && str_is_utf8(s));
    check(!has_any(s, "/\0\\\0\n\0\r\0\x1b\0\x7f\0"));
    check(!has_any(s, "\xc2\x85\0\xc2\x9b\0\xd8\x9c\0\xe2\x80\x8f\0\xe2\x80\xa8\0\xe2\x80\xae\0"
                      "\xe2\x81\xa6\0\xe2\x81\xa9\0\xef\xbb\xbf\0"));
    check(s.p[0] != ' ' && s.p[s.n - 1] != ' ');
    check(!str_eq(s, STR(".")) && !str_eq(s, STR("..")));
}

static void check_cleaning(str raw)
{
    char once[MULTIPART_NAME_MAX + 1], twice[MULTIPART_NAME_MAX + 1];
    multipart_clean_filename(raw, once);
    check_name(str_from(once));
    multipart_clean_filename(str_from(once), twice);
    check(strcmp(once, twice) == 0);
}

static enum fail on_part(void *ctx, const struct multipart_part *part, struct fault *fault)
{
    struct buf *seen = ctx;
    check(part->name.n != 0 && part->name.n <= 255 && str_is_utf8(part->name));
    if (part->is_file)
        check_name(part->filename);
    buf_addf(seen, "[%.*s|", STR_FMT(part->name));
    if (part->is_file)
        buf_add(seen, part->filename);
    buf_addf(seen, "|%.*s]", STR_FMT(part->content_type));
    return FAIL_NONE;
}

static enum fail on_data(void *ctx, str bytes, struct fault *fault)
{
    check(bytes.n != 0);
    buf_add(ctx, bytes);
    return FAIL_NONE;
}

static enum fail on_part_end(void *ctx, struct fault *fault)
{
    buf_addc(ctx, '.');
    return FAIL_NONE;
}

static const struct multipart_events events = {on_part, on_data, on_part_end};

static str whole_body;
static const char *next_bytes; // NULL: a part begins

static enum fail on_data_in_place(void *ctx, str bytes, struct fault *fault)
{
    check(bytes.p >= whole_body.p && bytes.p + bytes.n <= whole_body.p + whole_body.n);
    check(next_bytes == NULL || next_bytes == bytes.p);
    next_bytes = bytes.p + bytes.n;
    return on_data(ctx, bytes, fault);
}

static enum fail on_part_end_in_place(void *ctx, struct fault *fault)
{
    next_bytes = NULL;
    return on_part_end(ctx, fault);
}

static const struct multipart_events in_place = {on_part, on_data_in_place, on_part_end_in_place};

static enum fail parse(str body, const char *boundary, uint32_t seed, struct buf *seen)
{
    struct fault fault = {0};
    struct multipart *m = multipart_create(boundary, &events, seen);
    enum fail fail = FAIL_NONE;
    while (body.n != 0 && fail == FAIL_NONE) {
        seed = seed * 1664525 + 1013904223;
        size_t n = seed == 0 ? body.n : (seed >> 16) % 17;
        n = n < body.n ? n : body.n;
        char *piece = malloc(n != 0 ? n : 1); // an own allocation, so that a read past it is seen
        if (piece == NULL)
            abort();
        memcpy(piece, body.p, n);
        fail = multipart_feed(m, str_of(piece, n), &fault);
        free(piece);
        body = str_skip(body, n);
    }
    if (fail == FAIL_NONE)
        fail = multipart_end(m, &fault);
    check((fail == FAIL_NONE) == (fault.fail == FAIL_NONE));
    check(fail == FAIL_NONE || fault.public_text[0] != '\0');
    multipart_destroy(m);
    return fail;
}

static enum fail parse_whole(str body, const char *boundary, struct buf *seen)
{
    whole_body = body;
    next_bytes = NULL;
    struct multipart *m = multipart_create(boundary, &in_place, seen);
    enum fail fail = multipart_feed(m, body, NULL);
    if (fail == FAIL_NONE)
        fail = multipart_end(m, NULL);
    multipart_destroy(m);
    return fail;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_cleaning(str_of((const char *)data, size));
    if (size == 0)
        return 0;
    str rest = str_of(data + 1, size - 1), type = str_cut(&rest, '\n');
    char boundary[MULTIPART_BOUNDARY_MAX + 1];
    if (multipart_boundary(type, boundary, NULL) != FAIL_NONE)
        return 0;
    struct buf whole, pieces;
    buf_init(&whole, 1 << 24);
    buf_init(&pieces, 1 << 24);
    enum fail a = parse_whole(rest, boundary, &whole);
    enum fail b = parse(rest, boundary, data[0], &pieces);
    check(a == b);
    if (a == FAIL_NONE)
        check(str_eq(buf_str(&whole), buf_str(&pieces)));
    buf_fini(&whole);
    buf_fini(&pieces);
    return 0;
}
