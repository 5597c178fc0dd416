#include "bundles/content_type.h"

// "; charset=utf-8" is part of the type: bundles are UTF-8 or say otherwise inside.
#define TEXT(type) type "; charset=utf-8"

static const struct {
    const char *extension, *type;
} types[] = {
    {"html", TEXT("text/html")},
    {"htm", TEXT("text/html")},
    {"xhtml", "application/xhtml+xml"},
    {"css", TEXT("text/css")},
    {"js", TEXT("text/javascript")},
    {"mjs", TEXT("text/javascript")},
    {"cjs", TEXT("text/javascript")},
    {"json", "application/json"},
    {"map", "application/json"},
    {"jsonld", "application/ld+json"},
    {"geojson", "application/geo+json"},
    {"topojson", "application/json"},
    {"webmanifest", "application/manifest+json"},
    {"xml", "application/xml"},
    {"xsl", "application/xslt+xml"},
    {"xslt", "application/xslt+xml"},
    {"rss", "application/rss+xml"},
    {"atom", "application/atom+xml"},
    {"wasm", "application/wasm"},
    {"txt", TEXT("text/plain")},
    {"text", TEXT("text/plain")},
    {"log", TEXT("text/plain")},
    {"md", TEXT("text/markdown")},
    {"markdown", TEXT("text/markdown")},
    {"csv", TEXT("text/csv")},
    {"tsv", TEXT("text/tab-separated-values")},
    {"yaml", "application/yaml"},
    {"yml", "application/yaml"},
    {"toml", "application/toml"},
    {"vtt", TEXT("text/vtt")},
    {"srt", TEXT("text/plain")},
    {"ics", TEXT("text/calendar")},
    {"vcf", TEXT("text/vcard")},
    {"rtf", "application/rtf"},
    {"glsl", TEXT("text/plain")},
    {"vert", TEXT("text/plain")},
    {"frag", TEXT("text/plain")},
    {"wgsl", TEXT("text/plain")},
    {"svg", "image/svg+xml"},
    {"png", "image/png"},
    {"apng", "image/apng"},
    {"jpg", "image/jpeg"},
    {"jpeg", "image/jpeg"},
    {"jpe", "image/jpeg"},
    {"gif", "image/gif"},
    {"webp", "image/webp"},
    {"avif", "image/avif"},
    {"jxl", "image/jxl"},
    {"heic", "image/heic"},
    {"heif", "image/heif"},
    {"bmp", "image/bmp"},
    {"tif", "image/tiff"},
    {"tiff", "image/tiff"},
    {"ico", "image/x-icon"},
    {"cur", "image/x-icon"},
    {"woff2", "font/woff2"},
    {"woff", "font/woff"},
    {"ttf", "font/ttf"},
    {"otf", "font/otf"},
    {"ttc", "font/collection"},
    {"eot", "application/vnd.ms-fontobject"},
    {"mp3", "audio/mpeg"},
    {"m4a", "audio/mp4"},
    {"aac", "audio/aac"},
    {"oga", "audio/ogg"},
    {"ogg", "audio/ogg"},
    {"opus", "audio/ogg"},
    {"wav", "audio/wav"},
    {"flac", "audio/flac"},
    {"weba", "audio/webm"},
    {"mid", "audio/midi"},
    {"midi", "audio/midi"},
    {"mp4", "video/mp4"},
    {"m4v", "video/mp4"},
    {"webm", "video/webm"},
    {"ogv", "video/ogg"},
    {"mov", "video/quicktime"},
    {"avi", "video/x-msvideo"},
    {"mkv", "video/x-matroska"},
    {"m3u8", "application/vnd.apple.mpegurl"},
    {"mpd", "application/dash+xml"},
    {"ts", "video/mp2t"},
    {"pdf", "application/pdf"},
    {"zip", "application/zip"},
    {"gz", "application/gzip"},
    {"tgz", "application/gzip"},
    {"tar", "application/x-tar"},
    {"xz", "application/x-xz"},
    {"7z", "application/x-7z-compressed"},
    {"zst", "application/zstd"},
    {"epub", "application/epub+zip"},
    {"doc", "application/msword"},
    {"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    {"xls", "application/vnd.ms-excel"},
    {"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    {"ppt", "application/vnd.ms-powerpoint"},
    {"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
    {"odt", "application/vnd.oasis.opendocument.text"},
    {"ods", "application/vnd.oasis.opendocument.spreadsheet"},
    {"odp", "application/vnd.oasis.opendocument.presentation"},
    {"gltf", "model/gltf+json"},
    {"glb", "model/gltf-binary"},
    {"obj", TEXT("text/plain")},
    {"stl", "model/stl"},
    {"usdz", "model/vnd.usdz+zip"},
};

static const char *const compressible[] = {
    "application/json",
    "application/javascript",
    "application/xml",
    "application/wasm",
    "application/yaml",
    "application/toml",
    "application/rtf",
    "application/vnd.ms-fontobject",
    "application/vnd.apple.mpegurl",
    "application/x-tar",
    "image/bmp",
    "image/x-icon",
    "font/ttf",
    "font/otf",
    "font/collection",
    "model/gltf-binary",
    "model/stl",
    "application/msword",
    "application/vnd.ms-excel",
    "application/vnd.ms-powerpoint",
};

static str file_name(str path)
{
    for (size_t i = path.n; i > 0; i--)
        if (path.p[i - 1] == '/')
            return str_skip(path, i);
    return path;
}

// The index of the last '.' that is not the name's first byte, or SIZE_MAX.
static size_t last_dot(str name)
{
    for (size_t i = name.n; i > 1; i--)
        if (name.p[i - 1] == '.')
            return i - 1;
    return SIZE_MAX;
}

str content_type_for_path(str path)
{
    str name = file_name(path);
    size_t dot = last_dot(name);
    if (str_starts(path, STR(".well-known/")) && str_eq(name, STR("apple-app-site-association")))
        return STR("application/json");
    if (dot != SIZE_MAX)
        for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
            if (str_caseeq(str_skip(name, dot + 1), str_from(types[i].extension)))
                return str_from(types[i].type);
    return STR("application/octet-stream");
}

static str essence(str type)
{
    return str_trim(str_cut(&type, ';'));
}

bool content_type_is_compressible(str type)
{
    str e = essence(type);
    if (str_starts(e, STR("text/")) || str_ends(e, STR("+json")) || str_ends(e, STR("+xml")))
        return true;
    for (size_t i = 0; i < sizeof compressible / sizeof compressible[0]; i++)
        if (str_eq(e, str_from(compressible[i])))
            return true;
    return false;
}

bool content_type_is_html(str type)
{
    str e = essence(type);
    return str_eq(e, STR("text/html")) || str_eq(e, STR("application/xhtml+xml"));
}

// --- content hashes in names ---

enum { HASH_SHORT = 8, HASH_HEX_MAX = 64, HASH_ALONE_MIN = 16, UUID_LENGTH = 36 };

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}
static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

struct census {
    size_t lower, upper, digits, others;
    size_t changes;       // between letters of a case, digits and others
    bool is_hex;          // 0-9 a-f only
    bool digit_then_more; // a letter somewhere behind a digit
    bool repeats;         // one byte four times in a row: a counter, not a hash
};

static int class_of(char c)
{
    return is_lower(c) ? 1 : is_upper(c) ? 2 : is_digit(c) ? 3 : 4;
}

static struct census take_census(str s)
{
    struct census c = {.is_hex = true};
    size_t run = 0;
    for (size_t i = 0; i < s.n; i++) {
        char b = s.p[i];
        c.lower += is_lower(b);
        c.upper += is_upper(b);
        c.digits += is_digit(b);
        c.others += class_of(b) == 4;
        c.is_hex = c.is_hex && (is_digit(b) || (b >= 'a' && b <= 'f'));
        c.changes += i > 0 && class_of(b) != class_of(s.p[i - 1]);
        c.digit_then_more = c.digit_then_more || (c.digits > 0 && !is_digit(b));
        run = i > 0 && b == s.p[i - 1] ? run + 1 : 1;
        c.repeats = c.repeats || run == 4;
    }
    return c;
}

// "2024…": more likely a date than a hash.
static bool begins_with_year(str s)
{
    return s.n >= 4 && (memcmp(s.p, "19", 2) == 0 || memcmp(s.p, "20", 2) == 0) &&
           is_digit(s.p[2]) && is_digit(s.p[3]);
}

static bool is_border(char c)
{
    return c == '.' || c == '-' || c == '_';
}

// Whether all of it is words (two or more small letters, a capital in front or not), numbers, and
// capitals right before a number: "Version2", "DarkMode", "Web3Page", "H264Demo", "Tab-Bar2".
static bool is_made_of_words(str s)
{
    size_t i = 0;
    while (i < s.n) {
        if (is_border(s.p[i])) {
            i++;
            continue;
        }
        size_t from = i;
        while (i < s.n && is_upper(s.p[i]))
            i++;
        size_t capitals = i - from;
        while (i < s.n && is_lower(s.p[i]))
            i++;
        size_t small = i - from - capitals, digits_from = i;
        while (i < s.n && is_digit(s.p[i]))
            i++;
        bool has_number = i > digits_from;
        bool is_word = capitals <= 1 && small >= 2;
        bool is_first = from == 0 || is_border(s.p[from - 1]);
        bool is_initial = is_first && capitals == 0 && small == 1; // "iPhone15"
        bool is_numbered = small == 0 && has_number;               // "H264", "15"
        if (!is_word && !is_initial && !is_numbered)
            return false;
    }
    return true;
}

static bool is_hash(str s)
{
    if (s.n < HASH_SHORT || s.n > HASH_HEX_MAX || begins_with_year(s))
        return false;
    struct census c = take_census(s);
    if (c.repeats)
        return false;
    if (c.is_hex)
        return c.lower > 0 && c.digits > 0;
    if (s.n != HASH_SHORT || c.digits == 0)
        return false;
    if (c.lower > 0 && c.upper > 0)
        return !is_made_of_words(s);
    return c.others == 0 && c.digit_then_more && c.changes >= 3;
}

static bool ends_with_uuid(str s)
{
    if (s.n < UUID_LENGTH)
        return false;
    str u = str_skip(s, s.n - UUID_LENGTH);
    for (size_t i = 0; i < UUID_LENGTH; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        bool hex = is_digit(u.p[i]) || ((u.p[i] | 0x20) >= 'a' && (u.p[i] | 0x20) <= 'f');
        if (dash ? u.p[i] != '-' : !hex)
            return false;
    }
    return true;
}

// The name without its extension and what bundlers put between it and the hash.
static str stem_of(str path)
{
    static const str marks[] = {{".map", 4},    {".min", 4},    {".chunk", 6},
                                {".bundle", 7}, {".module", 7}, {".LICENSE", 8}};
    str name = file_name(path);
    if (str_ends(name, STR(".map")))
        name.n -= 4;
    size_t dot = last_dot(name);
    if (dot == SIZE_MAX)
        return (str){name.p, 0};
    name.n = dot;
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        if (str_ends(name, marks[i]))
            name.n -= marks[i].n;
    return name;
}

// The last part after a border that is all letters and digits: for hex hashes, of any length.
static str last_word(str stem)
{
    size_t i = stem.n;
    while (i > 0 && !is_border(stem.p[i - 1]))
        i--;
    return str_skip(stem, i);
}

static bool is_base64url(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (class_of(s.p[i]) == 4 && s.p[i] != '-' && s.p[i] != '_')
            return false;
    return true;
}

bool path_has_content_hash(str path)
{
    str stem = stem_of(path);
    if (stem.n < HASH_SHORT || ends_with_uuid(stem))
        return false;
    str word = last_word(stem);
    if (word.n == stem.n) {
        struct census c = take_census(stem);
        return c.is_hex && stem.n >= HASH_ALONE_MIN && is_hash(stem);
    }
    if (is_hash(word))
        return true;
    // base64url may itself hold what is a border elsewhere: "index-n_ryQ3BS.css"
    str tail = str_skip(stem, stem.n - HASH_SHORT);
    return stem.n > HASH_SHORT + 1 && is_border(stem.p[stem.n - HASH_SHORT - 1]) &&
           is_base64url(tail) && is_hash(tail);
}
