// PNG (RFC 2083 and the W3C's third edition): a signature and chunks, each with its name, which are
// copied or not. libpng would write the pixels anew, and does not know animations.
#include <libdeflate.h>
#include <stdlib.h>
#include "edge/inspect/clean.h"

enum { CHUNK_HEAD = 8, CHUNK_EXTRA = 12, NAME = 4 };
static const char signature[] = "\x89PNG\r\n\x1a\n";

static uint32_t read_number(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static void write_number(char *to, uint32_t v)
{
    for (int i = 0; i != 4; ++i)
        to[i] = (char)(v >> (24 - 8 * i));
}

static uint32_t check_sum(const char *p, size_t n)
{
    return libdeflate_crc32(0, p, n);
}

// A whole chunk, cut from `left`; false when there is none, or its check sum is wrong.
static bool next_chunk(str *left, str *ret)
{
    if (left->n < CHUNK_EXTRA)
        return false;
    uint32_t n = read_number(left->p);
    if (n > left->n - CHUNK_EXTRA)
        return false;
    *ret = str_of(left->p, CHUNK_EXTRA + (size_t)n);
    *left = str_skip(*left, ret->n);
    return check_sum(ret->p + 4, NAME + (size_t)n) == read_number(ret->p + ret->n - 4);
}

static bool is_named(str chunk, const char *name)
{
    return memcmp(chunk.p + 4, name, NAME) == 0;
}

static bool is_kept(str chunk)
{
    static const char names[][NAME + 1] = {"IHDR", "PLTE", "IDAT", "IEND", "tRNS", "gAMA", "cHRM",
                                           "sRGB", "iCCP", "sBIT", "bKGD", "hIST", "pHYs", "acTL",
                                           "fcTL", "fdAT", "cICP", "mDCV", "cLLI"};
    for (size_t i = 0; i != sizeof names / sizeof *names; ++i)
        if (is_named(chunk, names[i]))
            return true;
    return false;
}

// A reader that does not know it could not show the image.
static bool is_critical(str chunk)
{
    return chunk.p[4] >= 'A' && chunk.p[4] <= 'Z';
}

static size_t add(char *to, str s)
{
    memcpy(to, s.p, s.n);
    return s.n;
}

static size_t add_orientation(char *to, str chunk)
{
    unsigned orientation = clean_orientation(str_of(chunk.p + CHUNK_HEAD, chunk.n - CHUNK_EXTRA));
    if (orientation == 0)
        return 0;
    write_number(to, CLEAN_EXIF_SIZE);
    memcpy(to + 4, "eXIf", NAME);
    clean_write_exif(orientation, to + CHUNK_HEAD);
    write_number(to + CHUNK_HEAD + CLEAN_EXIF_SIZE, check_sum(to + 4, NAME + CLEAN_EXIF_SIZE));
    return CHUNK_EXTRA + CLEAN_EXIF_SIZE;
}

// `to` has room for all of the image and one small chunk. Returns what was written; 0: damaged.
static size_t copy_chunks(str left, char *to)
{
    size_t n = add(to, str_of(signature, sizeof signature - 1));
    bool has_pixels = false, has_exif = false;
    for (str chunk; next_chunk(&left, &chunk);) {
        bool is_first = n == sizeof signature - 1;
        if (is_first != is_named(chunk, "IHDR") || (is_critical(chunk) && !is_kept(chunk)))
            return 0;
        has_pixels |= is_named(chunk, "IDAT");
        if (is_kept(chunk)) {
            n += add(to + n, chunk);
        } else if (is_named(chunk, "eXIf") && !has_exif) {
            n += add_orientation(to + n, chunk);
            has_exif = true;
        }
        if (is_named(chunk, "IEND"))
            return has_pixels ? n : 0;
    }
    return 0;
}

enum clean_result clean_png(str image, char **ret, size_t *ret_n)
{
    if (!str_starts(image, str_of(signature, sizeof signature - 1)))
        return CLEAN_DAMAGED;
    char *to = malloc(image.n + CHUNK_EXTRA + CLEAN_EXIF_SIZE);
    if (to == NULL)
        return CLEAN_MEMORY;
    size_t n = copy_chunks(str_skip(image, sizeof signature - 1), to);
    if (n == 0) {
        free(to);
        return CLEAN_DAMAGED;
    }
    *ret = to;
    *ret_n = n;
    return CLEAN_DONE;
}
