// The end record and the central directory of a zip file (APPNOTE.TXT 4.3.12, 4.3.16). Whatever is
// not as expected is left to libarchive to judge.
#include "edge/inspect/zip.h"

enum { END_RECORD = 22, COMMENT_MAX = 65535, CENTRAL_RECORD = 46 };

static uint32_t le(const char *p, size_t n)
{
    uint32_t v = 0;
    for (size_t i = n; i != 0; --i)
        v = v << 8 | (unsigned char)p[i - 1];
    return v;
}

bool zip_is_zip(str file)
{
    return str_starts(file, STR("PK\x03\x04")) || str_starts(file, STR("PK\x05\x06")) ||
           str_starts(file, STR("PK\x07\x08"));
}

// Where the end record is, from the end of the file backwards, or SIZE_MAX.
static size_t find_end(str file)
{
    for (size_t back = END_RECORD; back <= file.n && back <= END_RECORD + COMMENT_MAX; ++back)
        if (memcmp(file.p + file.n - back, "PK\x05\x06", 4) == 0)
            return file.n - back;
    return SIZE_MAX;
}

bool zip_is_split(str file)
{
    size_t end = find_end(file);
    return str_starts(file, STR("PK\x07\x08")) ||
           (end != SIZE_MAX && le(file.p + end + 4, 2) != 0 && le(file.p + end + 4, 2) != 0xffff);
}

// The directory ends where the end record begins, or the larger one of zip64 before it; so it is
// found by its size, whatever was put in front of the file.
static str central_directory(str file)
{
    size_t end = find_end(file);
    if (end == SIZE_MAX)
        return (str){0};
    size_t size = le(file.p + end + 12, 4), offset = le(file.p + end + 16, 4);
    if (size <= end && memcmp(file.p + end - size, "PK\x01\x02", size < 4 ? size : 4) == 0)
        return str_of(file.p + end - size, size);
    return offset < end ? str_of(file.p + offset, end - offset) : (str){0};
}

bool zip_has_nul_in_name(str file)
{
    str left = central_directory(file);
    while (left.n >= CENTRAL_RECORD && str_starts(left, STR("PK\x01\x02"))) {
        size_t name = le(left.p + 28, 2), rest = le(left.p + 30, 2) + le(left.p + 32, 2);
        if (name + rest > left.n - CENTRAL_RECORD)
            return false;
        if (str_find(str_of(left.p + CENTRAL_RECORD, name), '\0') != SIZE_MAX)
            return true;
        left = str_skip(left, CENTRAL_RECORD + name + rest);
    }
    return false;
}
