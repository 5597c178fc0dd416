// The end record and the central directory of a zip file (APPNOTE.TXT 4.3.12, 4.3.16). In an archive
// whatever is not as expected is left to libarchive to judge.
#include "edge/inspect/zip.h"

enum {
    END_RECORD = 22,
    COMMENT_MAX = 65535,
    CENTRAL_RECORD = 46,
    LOCAL_RECORD = 30,
    ZIP64_LOCATOR = 20,
    ZIP64_RECORD = 56,
};
#define OOXML "application/vnd.openxmlformats-officedocument."

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

// --- what kind of package it is ---

static uint64_t le64(const char *p)
{
    return (uint64_t)le(p + 4, 4) << 32 | le(p, 4);
}

// Zip64's record is looked for where it always is, right before its locator (APPNOTE.TXT 4.3.14,
// 4.3.15). It may be there without need, as streams have it. Moves *end there.
static bool read_zip64(str tail, size_t *end, struct zip_directory *ret)
{
    if (*end < ZIP64_LOCATOR + ZIP64_RECORD)
        return false;
    size_t locator = *end - ZIP64_LOCATOR, record = locator - ZIP64_RECORD;
    if (memcmp(tail.p + locator, "PK\x06\x07", 4) != 0 ||
        memcmp(tail.p + record, "PK\x06\x06", 4) != 0)
        return false;
    *ret = (struct zip_directory){.entries = le64(tail.p + record + 32),
                                  .size = le64(tail.p + record + 40),
                                  .at = le64(tail.p + record + 48),
                                  .is_zip64 = true};
    *end = record;
    return true;
}

static bool agrees(uint64_t said, uint64_t all_ones, uint64_t in_zip64)
{
    return said == all_ones || said == in_zip64;
}

bool zip_find_directory(str tail, uint64_t size, struct zip_directory *ret)
{
    size_t end = find_end(tail);
    if (end == SIZE_MAX || le(tail.p + end + 20, 2) != tail.n - end - END_RECORD)
        return false;
    struct zip_directory said = {.entries = le(tail.p + end + 10, 2),
                                 .size = le(tail.p + end + 12, 4),
                                 .at = le(tail.p + end + 16, 4)};
    *ret = said;
    if (read_zip64(tail, &end, ret) &&
        !(agrees(said.entries, UINT16_MAX, ret->entries) &&
          agrees(said.size, UINT32_MAX, ret->size) && agrees(said.at, UINT32_MAX, ret->at)))
        return false;
    uint64_t ends_at = size - tail.n + end;
    return ret->size <= ends_at && ret->at == ends_at - ret->size;
}

struct package {
    size_t entries;
    bool has_types, has_word, has_excel, has_powerpoint;
    const char *other; // a package of another kind: its type
};

static void take_name(struct package *p, str name)
{
    static const struct {
        str name;
        const char *type;
    } others[] = {{STR("META-INF/MANIFEST.MF"), "application/java-archive"},
                  {STR("AndroidManifest.xml"), "application/vnd.android.package-archive"},
                  {STR("classes.dex"), "application/vnd.android.package-archive"},
                  {STR("META-INF/mozilla.rsa"), "application/x-xpinstall"},
                  {STR("install.rdf"), "application/x-xpinstall"},
                  {STR("AppxManifest.xml"), "application/vnd.ms-appx"},
                  {STR("AppxMetadata/AppxBundleManifest.xml"), "application/vnd.ms-appx"},
                  {STR("extension.vsixmanifest"), "application/vsix"},
                  {STR("META-INF/container.xml"), "application/epub+zip"},
                  {STR("doc.kml"), "application/vnd.google-earth.kmz"}};
    static const str app = STR(".app/Info.plist");
    for (size_t i = 0; i != sizeof others / sizeof *others; ++i)
        if (str_caseeq(name, others[i].name))
            p->other = others[i].type;
    if (str_starts(name, STR("Payload/")) && str_ends(name, app))
        p->other = "application/x-ios-app";
    p->has_types |= str_eq(name, STR("[Content_Types].xml"));
    p->has_word |= str_starts(name, STR("word/"));
    p->has_excel |= str_starts(name, STR("xl/"));
    p->has_powerpoint |= str_starts(name, STR("ppt/"));
}

// False: it is damaged.
static bool read_directory(struct package *p, str left)
{
    while (left.n != 0) {
        if (left.n < CENTRAL_RECORD || !str_starts(left, STR("PK\x01\x02")))
            return str_starts(left, STR("PK\x05\x05")); // a signature of the directory
        size_t name = le(left.p + 28, 2), rest = le(left.p + 30, 2) + le(left.p + 32, 2);
        if (name + rest > left.n - CENTRAL_RECORD)
            return false;
        take_name(p, str_of(left.p + CENTRAL_RECORD, name));
        ++p->entries;
        left = str_skip(left, CENTRAL_RECORD + name + rest);
    }
    return true;
}

// The content of a first entry called `mimetype`, stored, as ODF and EPUB have it; else empty.
static str first_mimetype(str head)
{
    static const str name = STR("mimetype");
    if (head.n < LOCAL_RECORD || !str_starts(head, STR("PK\x03\x04")) || le(head.p + 8, 2) != 0 ||
        le(head.p + 26, 2) != name.n)
        return (str){0};
    size_t extra = le(head.p + 28, 2), n = le(head.p + 18, 4);
    str at = str_skip(head, LOCAL_RECORD);
    if (!str_starts(at, name) || n >= INSPECT_MIME_ROOM || at.n < name.n + extra + n)
        return (str){0};
    return str_of(at.p + name.n + extra, n);
}

static enum inspect_container say(enum inspect_container container, const char *mime, char *ret)
{
    memcpy(ret, mime, strlen(mime) + 1); // of our own, all shorter than its room
    return container;
}

static bool is_opendocument(str mime)
{
    static const str prefix = STR("application/vnd.oasis.opendocument.");
    if (!str_starts(mime, prefix) || mime.n == prefix.n)
        return false;
    for (size_t i = prefix.n; i != mime.n; ++i)
        if ((mime.p[i] < 'a' || mime.p[i] > 'z') && mime.p[i] != '-')
            return false;
    return true;
}

static bool is_as_said(const struct zip_directory *said, const struct package *p)
{
    return said->entries == (said->is_zip64 ? p->entries : p->entries & UINT16_MAX);
}

enum inspect_container zip_container(const struct zip_directory *directory, str bytes, str head,
                                     char ret_mime[static INSPECT_MIME_ROOM])
{
    struct package p = {0};
    str first = first_mimetype(head);
    if (!read_directory(&p, bytes) || !is_as_said(directory, &p))
        return say(INSPECT_NO_CONTAINER, "application/octet-stream", ret_mime);
    if (str_eq(first, STR("application/epub+zip")))
        p.other = "application/epub+zip";
    if (p.other != NULL)
        return say(INSPECT_OTHER_ZIP, p.other, ret_mime);
    if (is_opendocument(first)) {
        memcpy(ret_mime, first.p, first.n);
        ret_mime[first.n] = '\0';
        return INSPECT_ODF;
    }
    if (p.has_types && p.has_word)
        return say(INSPECT_OOXML, OOXML "wordprocessingml.document", ret_mime);
    if (p.has_types && p.has_excel)
        return say(INSPECT_OOXML, OOXML "spreadsheetml.sheet", ret_mime);
    if (p.has_types && p.has_powerpoint)
        return say(INSPECT_OOXML, OOXML "presentationml.presentation", ret_mime);
    return say(p.has_types ? INSPECT_OTHER_ZIP : INSPECT_ZIP, "application/zip", ret_mime);
}
