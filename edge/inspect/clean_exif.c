// The one thing of an EXIF block that changes how an image looks. By hand: a library reads all that a
// block may hold, directories that name each other by the thousand too, which takes it ten seconds
// for 64 KB; this is one directory, read once.
#include "edge/inspect/clean.h"

// TIFF 6.0 section 2
enum { HEADER = 8, ENTRY = 12, ORIENTATION = 0x112, SHORT = 3 };

struct tiff {
    str bytes;
    bool is_big_endian;
};

static uint32_t number(const struct tiff *t, size_t at, size_t n)
{
    uint32_t v = 0;
    for (size_t i = 0; i != n; ++i)
        v = v << 8 | (unsigned char)t->bytes.p[at + (t->is_big_endian ? i : n - 1 - i)];
    return v;
}

static bool is_tiff(str s)
{
    return s.n >= HEADER && (str_starts(s, STR("II*\0")) || str_starts(s, STR("MM\0*")));
}

// The value of the first entry that says it, or 0.
static unsigned find_orientation(const struct tiff *t)
{
    size_t at = number(t, 4, 4);
    if (at > t->bytes.n || t->bytes.n - at < 2)
        return 0;
    size_t entries = number(t, at, 2);
    for (at += 2; entries != 0 && t->bytes.n - at >= ENTRY; --entries, at += ENTRY)
        if (number(t, at, 2) == ORIENTATION && number(t, at + 2, 2) == SHORT &&
            number(t, at + 4, 4) == 1)
            return number(t, at + 8, 2);
    return 0;
}

unsigned clean_orientation(str exif)
{
    if (str_starts(exif, STR("Exif\0\0")))
        exif = str_skip(exif, 6);
    if (!is_tiff(exif))
        return 0;
    struct tiff t = {exif, *exif.p == 'M'};
    unsigned orientation = find_orientation(&t);
    return orientation >= 2 && orientation <= 8 ? orientation : 0;
}

void clean_write_exif(unsigned orientation, char to[static CLEAN_EXIF_SIZE])
{
    // one entry, tag 0x112, a short
    static const char block[CLEAN_EXIF_SIZE] = "MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01";
    memcpy(to, block, sizeof block);
    to[19] = (char)orientation;
}
