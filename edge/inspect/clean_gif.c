// GIF (CompuServe's 89a): a screen, its colours, and blocks, each of a kind, which are copied or not.
// What people and programs leave in one (comments, XMP, whatever else has an application's name)
// stands in extensions; of these only what times, repeats and colours the pictures is kept.
#include <stdlib.h>
#include "edge/inspect/clean.h"

enum {
    SCREEN = 13, // signature and logical screen descriptor
    PICTURE = 10,
    CONTROL = 8,
    INTRODUCER = 0x21,
    SEPARATOR = 0x2c,
    TRAILER = 0x3b,
    CONTROL_LABEL = 0xf9,
    APPLICATION_LABEL = 0xff,
    APPLICATION = 11, // bytes of its name and authentication code
};

static size_t colours_size(unsigned char packed)
{
    return (packed & 0x80) != 0 ? (size_t)3 << ((packed & 7) + 1) : 0;
}

// How many bytes of sub-blocks there are, the empty one that ends them too; 0: they have no end.
static size_t blocks_size(str s)
{
    size_t n = 0;
    while (n < s.n) {
        unsigned char size = (unsigned char)s.p[n];
        n += 1 + (size_t)size;
        if (size == 0)
            return n;
    }
    return 0;
}

// Of `s`, which begins with the separator; 0: cut short.
static size_t picture_size(str s)
{
    if (s.n < PICTURE)
        return 0;
    size_t n = PICTURE + colours_size((unsigned char)s.p[9]) + 1; // and the codes' first width
    if (n >= s.n)
        return 0;
    size_t blocks = blocks_size(str_skip(s, n));
    return blocks != 0 ? n + blocks : 0;
}

static bool is_application(str s, const char *name)
{
    return s.n > 3 + APPLICATION && s.p[2] == APPLICATION &&
           memcmp(s.p + 3, name, APPLICATION) == 0;
}

// How much of the extension `s`, of `n` bytes, is kept.
static size_t kept_of_extension(str s, size_t n)
{
    static const char repeat[] = {3, 1};
    unsigned char label = (unsigned char)s.p[1];
    if (label == CONTROL_LABEL)
        return n == CONTROL ? n : 0;
    if (label != APPLICATION_LABEL)
        return 0;
    if (is_application(s, "ICCRGBG1012"))
        return n;
    // how often to repeat: one sub-block of three bytes, and nothing behind it
    bool repeats = is_application(s, "NETSCAPE2.0") || is_application(s, "ANIMEXTS1.0");
    return repeats && n == 19 && memcmp(s.p + 14, repeat, sizeof repeat) == 0 ? n : 0;
}

// `to` has room for all of it and a trailer. Returns what was written; 0: damaged.
static size_t copy_blocks(str left, char *to)
{
    size_t written = 0;
    bool has_picture = false;
    while (left.n != 0 && (unsigned char)*left.p != TRAILER) {
        bool is_picture = (unsigned char)*left.p == SEPARATOR;
        size_t n = is_picture ? picture_size(left)
                   : (unsigned char)*left.p == INTRODUCER && left.n > 2
                       ? blocks_size(str_skip(left, 2))
                       : 0;
        if (n == 0)
            return 0;
        n += is_picture ? 0 : 2;
        size_t kept = is_picture ? n : kept_of_extension(left, n);
        memcpy(to + written, left.p, kept);
        written += kept;
        has_picture |= is_picture;
        left = str_skip(left, n);
    }
    if (!has_picture)
        return 0;
    to[written] = TRAILER; // some have none
    return written + 1;
}

enum clean_result clean_gif(str image, char **ret, size_t *ret_n)
{
    if (image.n < SCREEN || !(str_starts(image, STR("GIF89a")) || str_starts(image, STR("GIF87a"))))
        return CLEAN_DAMAGED;
    size_t head = SCREEN + colours_size((unsigned char)image.p[10]);
    if (head >= image.n)
        return CLEAN_DAMAGED;
    char *to = malloc(image.n + 1);
    if (to == NULL)
        return CLEAN_MEMORY;
    memcpy(to, image.p, head);
    size_t n = copy_blocks(str_skip(image, head), to + head);
    if (n == 0) {
        free(to);
        return CLEAN_DAMAGED;
    }
    *ret = to;
    *ret_n = head + n;
    return CLEAN_DONE;
}
