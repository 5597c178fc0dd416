// One table of types. What the cage saw and the name's extension are each looked up in it; they
// agree when both rows are of one class. Inside a class either may decide: text looks the same
// whatever it is called, so its extension says what it is; an image is what its bytes are, and its
// name is mended.
#include "uploads/internal.h"
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/jsonx.h"

enum type_class {
    CLASS_IMAGE,
    CLASS_DRAWING, // SVG: an image that can run script, so never taken for one of the others
    CLASS_PDF,
    CLASS_TEXT,
    CLASS_MEDIA, // audio and video share their containers
    CLASS_OFFICE,
    CLASS_ZIP,
    CLASS_ALLOWED = CLASS_ZIP, // the last that visitors may bring
    CLASS_ACTIVE,              // what runs somewhere
    CLASS_ARCHIVE,
};

enum signature {
    SIGNATURE_NONE, // never shown in place
    SIGNATURE_PNG,
    SIGNATURE_JPEG,
    SIGNATURE_GIF,
    SIGNATURE_WEBP,
    SIGNATURE_BMP,
    SIGNATURE_AVIF,
    SIGNATURE_TEXT,
    SIGNATURE_MP4,
    SIGNATURE_EBML,
    SIGNATURE_OGG,
    SIGNATURE_MP3,
    SIGNATURE_AAC,
    SIGNATURE_WAV,
    SIGNATURE_FLAC,
};

struct type {
    enum type_class class;
    enum signature signature;
    const char *mime;       // what it is served as
    const char *noun;       // "This is …"
    const char *extensions; // the first is the one given to files without
    const char *seen;       // what else the cage may call it
};

#define OOXML "application/vnd.openxmlformats-officedocument."
#define ODF "application/vnd.oasis.opendocument."
#define OLE                                                                                        \
    "application/msword application/vnd.ms-excel application/vnd.ms-powerpoint "                   \
    "application/x-ole-storage application/cdfv2 application/vnd.ms-office "                       \
    "application/cdfv2-corrupt"
#define ISO_MEDIA "video/mp4 audio/mp4 audio/x-m4a video/x-m4v application/mp4 video/quicktime"
#define OGG "application/ogg audio/ogg video/ogg audio/opus audio/x-vorbis+ogg"

// The first row that fits counts.
static const struct type types[] = {
    {CLASS_IMAGE, SIGNATURE_JPEG, "image/jpeg", "a JPEG image", "jpg jpeg jpe jfif", "image/jpg"},
    {CLASS_IMAGE, SIGNATURE_PNG, "image/png", "a PNG image", "png apng", "image/apng"},
    {CLASS_IMAGE, SIGNATURE_GIF, "image/gif", "a GIF image", "gif", ""},
    {CLASS_IMAGE, SIGNATURE_WEBP, "image/webp", "a WebP image", "webp", ""},
    {CLASS_IMAGE, SIGNATURE_AVIF, "image/avif", "an AVIF image", "avif avifs", ""},
    {CLASS_IMAGE, SIGNATURE_BMP, "image/bmp", "a BMP image", "bmp dib", "image/x-ms-bmp"},
    {CLASS_IMAGE, SIGNATURE_NONE, "image/heic", "a HEIC image", "heic heif",
     "image/heif image/heic-sequence image/heif-sequence"},
    {CLASS_IMAGE, SIGNATURE_NONE, "image/tiff", "a TIFF image", "tif tiff", ""},
    {CLASS_IMAGE, SIGNATURE_NONE, "image/vnd.microsoft.icon", "an icon", "ico", "image/x-icon"},
    {CLASS_IMAGE, SIGNATURE_NONE, "image/jxl", "a JPEG XL image", "jxl", ""},
    {CLASS_IMAGE, SIGNATURE_NONE, "image/jp2", "a JPEG 2000 image", "jp2 j2k jpx",
     "image/jpx image/jpm image/x-jp2-codestream"},
    {CLASS_IMAGE, SIGNATURE_NONE, "image/vnd.adobe.photoshop", "a Photoshop image", "psd", ""},
    {CLASS_DRAWING, SIGNATURE_NONE, "image/svg+xml", "an SVG image", "svg", "image/svg"},
    {CLASS_PDF, SIGNATURE_NONE, "application/pdf", "a PDF document", "pdf", "application/x-pdf"},

    {CLASS_TEXT, SIGNATURE_TEXT, "text/plain", "a text file",
     "txt text log conf cfg ini env properties toml tex bib c h cc cpp hpp cs go rs java kt swift "
     "sql css scss less diff patch srt sub rst adoc po",
     "message/rfc822 application/x-ndjson application/x-wine-extension-ini"},
    {CLASS_TEXT, SIGNATURE_NONE, "text/csv", "a CSV table", "csv", "application/csv"},
    {CLASS_TEXT, SIGNATURE_NONE, "text/tab-separated-values", "a table", "tsv tab", ""},
    {CLASS_TEXT, SIGNATURE_NONE, "text/markdown", "a Markdown text", "md markdown mdown",
     "text/x-markdown"},
    {CLASS_TEXT, SIGNATURE_NONE, "text/yaml", "a YAML file", "yaml yml",
     "application/yaml application/x-yaml text/x-yaml"},
    {CLASS_TEXT, SIGNATURE_NONE, "text/calendar", "a calendar file", "ics ical", ""},
    {CLASS_TEXT, SIGNATURE_NONE, "text/vcard", "a contact file", "vcf vcard",
     "text/x-vcard text/directory"},
    {CLASS_TEXT, SIGNATURE_NONE, "text/vtt", "subtitles", "vtt", ""},
    {CLASS_TEXT, SIGNATURE_NONE, "message/rfc822", "an e-mail", "eml", ""},
    {CLASS_TEXT, SIGNATURE_NONE, "application/json", "a JSON file",
     "json geojson jsonl ndjson webmanifest", "text/json application/geo+json"},
    {CLASS_TEXT, SIGNATURE_NONE, "application/xml", "an XML file", "xml gpx kml rss atom",
     "text/xml application/gpx+xml application/vnd.google-earth.kml+xml application/rss+xml "
     "application/atom+xml"},

    {CLASS_MEDIA, SIGNATURE_MP3, "audio/mpeg", "an MP3 recording", "mp3 mpga",
     "audio/mp3 audio/x-mp3 audio/x-mpeg"},
    {CLASS_MEDIA, SIGNATURE_MP4, "video/mp4", "an MP4 video", "mp4 m4v mp4v", ISO_MEDIA},
    {CLASS_MEDIA, SIGNATURE_MP4, "audio/mp4", "an MPEG-4 recording", "m4a m4b", ISO_MEDIA},
    {CLASS_MEDIA, SIGNATURE_MP4, "video/quicktime", "a QuickTime video", "mov qt", ISO_MEDIA},
    {CLASS_MEDIA, SIGNATURE_EBML, "video/webm", "a WebM video", "webm", "audio/webm"},
    {CLASS_MEDIA, SIGNATURE_EBML, "audio/webm", "a WebM recording", "weba", "video/webm"},
    {CLASS_MEDIA, SIGNATURE_OGG, "audio/ogg", "an Ogg recording", "ogg oga opus", OGG},
    {CLASS_MEDIA, SIGNATURE_OGG, "video/ogg", "an Ogg video", "ogv", OGG},
    {CLASS_MEDIA, SIGNATURE_WAV, "audio/wav", "a WAV recording", "wav wave",
     "audio/x-wav audio/wave audio/vnd.wave"},
    {CLASS_MEDIA, SIGNATURE_FLAC, "audio/flac", "a FLAC recording", "flac", "audio/x-flac"},
    {CLASS_MEDIA, SIGNATURE_AAC, "audio/aac", "an AAC recording", "aac",
     "audio/x-aac audio/x-hx-aac-adts audio/aacp"},
    {CLASS_MEDIA, SIGNATURE_NONE, "audio/aiff", "an AIFF recording", "aif aiff aifc",
     "audio/x-aiff"},
    {CLASS_MEDIA, SIGNATURE_NONE, "audio/midi", "a MIDI file", "mid midi", "audio/x-midi"},
    {CLASS_MEDIA, SIGNATURE_NONE, "audio/amr", "an AMR recording", "amr", "audio/amr-wb"},
    {CLASS_MEDIA, SIGNATURE_NONE, "audio/basic", "a recording", "au snd", ""},
    {CLASS_MEDIA, SIGNATURE_NONE, "audio/x-ms-wma", "a WMA recording", "wma",
     "video/x-ms-asf application/vnd.ms-asf"},
    {CLASS_MEDIA, SIGNATURE_NONE, "video/x-ms-wmv", "a WMV video", "wmv asf",
     "video/x-ms-asf application/vnd.ms-asf"},
    {CLASS_MEDIA, SIGNATURE_NONE, "video/x-matroska", "a Matroska video", "mkv mka",
     "application/x-matroska audio/x-matroska"},
    {CLASS_MEDIA, SIGNATURE_NONE, "video/x-msvideo", "an AVI video", "avi",
     "video/avi video/msvideo"},
    {CLASS_MEDIA, SIGNATURE_NONE, "video/mpeg", "an MPEG video", "mpg mpeg m2v",
     "video/mpv video/mpeg4-generic"},
    {CLASS_MEDIA, SIGNATURE_NONE, "video/mp2t", "an MPEG video", "ts mts m2ts", ""},
    {CLASS_MEDIA, SIGNATURE_NONE, "video/3gpp", "a 3GP video", "3gp 3gpp 3g2",
     "video/3gpp2 audio/3gpp audio/3gpp2"},
    {CLASS_MEDIA, SIGNATURE_NONE, "video/x-flv", "a Flash video", "flv f4v", ""},

    {CLASS_OFFICE, SIGNATURE_NONE, OOXML "wordprocessingml.document", "a Word document",
     "docx dotx", OOXML "wordprocessingml.template"},
    {CLASS_OFFICE, SIGNATURE_NONE, OOXML "spreadsheetml.sheet", "an Excel workbook", "xlsx xltx",
     OOXML "spreadsheetml.template"},
    {CLASS_OFFICE, SIGNATURE_NONE, OOXML "presentationml.presentation", "a PowerPoint presentation",
     "pptx potx ppsx", OOXML "presentationml.template " OOXML "presentationml.slideshow"},
    {CLASS_OFFICE, SIGNATURE_NONE, ODF "text", "an OpenDocument text", "odt ott",
     ODF "text-template"},
    {CLASS_OFFICE, SIGNATURE_NONE, ODF "spreadsheet", "an OpenDocument spreadsheet", "ods ots",
     ODF "spreadsheet-template"},
    {CLASS_OFFICE, SIGNATURE_NONE, ODF "presentation", "an OpenDocument presentation", "odp otp",
     ODF "presentation-template"},
    {CLASS_OFFICE, SIGNATURE_NONE, ODF "graphics", "an OpenDocument drawing", "odg otg",
     ODF "graphics-template"},
    {CLASS_OFFICE, SIGNATURE_NONE, "application/msword", "a Word document", "doc dot", OLE},
    {CLASS_OFFICE, SIGNATURE_NONE, "application/vnd.ms-excel", "an Excel workbook", "xls xlt", OLE},
    {CLASS_OFFICE, SIGNATURE_NONE, "application/vnd.ms-powerpoint", "a PowerPoint presentation",
     "ppt pps pot", OLE},
    {CLASS_OFFICE, SIGNATURE_NONE, "text/rtf", "a rich text document", "rtf", "application/rtf"},

    {CLASS_ZIP, SIGNATURE_NONE, "application/zip", "a zip archive", "zip",
     "application/x-zip-compressed application/x-zip"},

    {CLASS_ACTIVE, SIGNATURE_NONE, "text/html", "a web page", "html htm shtml hta mht mhtml",
     "application/x-mimearchive"},
    {CLASS_ACTIVE, SIGNATURE_NONE, "application/xhtml+xml", "a web page", "xhtml xht xsl xslt",
     "text/xsl application/xslt+xml"},
    {CLASS_ACTIVE, SIGNATURE_NONE, "text/javascript", "a script", "js mjs cjs jsx tsx",
     "application/javascript application/x-javascript text/ecmascript application/ecmascript "
     "application/node"},
    {CLASS_ACTIVE, SIGNATURE_NONE, "text/x-python", "a script", "py pyw pyc",
     "text/x-script.python application/x-bytecode.python"},
    {CLASS_ACTIVE, SIGNATURE_NONE, "application/x-sh", "a script", "sh bash zsh csh ksh fish",
     "text/x-shellscript application/x-shellscript"},
    {CLASS_ACTIVE, SIGNATURE_NONE, "application/x-php", "a script",
     "php php3 php4 php5 php7 phtml phar", "text/x-php application/x-httpd-php"},
    {CLASS_ACTIVE, SIGNATURE_NONE, "application/octet-stream", "a script",
     "pl pm rb lua tcl awk bat cmd ps1 psm1 vbs vbe wsf wsh jse jsp asp aspx cgi cfm htaccess "
     "htpasswd reg scf url lnk desktop svgz docm dotm xlsm xltm pptm potm ppsm",
     "text/x-perl text/x-ruby text/x-lua text/x-tcl text/x-awk text/x-msdos-batch text/x-nawk "
     "text/x-gawk text/x-powershell text/vbscript application/x-mswinurl "
     "application/x-ms-shortcut"},
    {CLASS_ACTIVE, SIGNATURE_NONE, "application/octet-stream", "a program",
     "exe dll com scr msi msp cpl sys jar war apk ipa app deb rpm dmg pkg so dylib bin elf class "
     "wasm swf xpi crx vsix appimage",
     "application/x-dosexec application/vnd.microsoft.portable-executable application/x-msdownload "
     "application/x-executable application/x-pie-executable application/x-sharedlib "
     "application/x-object application/x-mach-binary application/java-archive "
     "application/x-java-applet "
     "application/vnd.android.package-archive application/x-msi application/vnd.ms-msi "
     "application/wasm application/vnd.adobe.flash.movie application/x-shockwave-flash "
     "application/vnd.debian.binary-package application/x-rpm"},
    {CLASS_ARCHIVE, SIGNATURE_NONE, "application/octet-stream",
     "an archive of another kind than zip",
     "tar gz tgz bz2 tbz xz txz zst 7z rar lz lzma lz4 br z cab iso img ar arj ace lha cpio epub",
     "application/x-tar application/gzip application/x-gzip application/x-bzip2 application/x-xz "
     "application/zstd application/x-zstd application/x-7z-compressed application/x-rar "
     "application/vnd.rar application/x-lzma application/x-lz4 application/x-lzip "
     "application/x-compress "
     "application/vnd.ms-cab-compressed application/x-iso9660-image application/x-archive "
     "application/x-cpio application/x-arj application/x-lzh-compressed application/x-lha "
     "application/epub+zip"},
};
enum { TYPES = sizeof types / sizeof types[0] };

#define EXPECTED "images, PDFs, texts, audio, video, Office documents, zip archives, JSON and XML"

// --- looking up ---

static bool list_has(const char *list, str word)
{
    str rest = str_from(list);
    while (word.n != 0 && rest.n != 0)
        if (str_caseeq(str_cut(&rest, ' '), word))
            return true;
    return false;
}

static bool type_is_called(const struct type *t, str mime)
{
    return str_caseeq(str_from(t->mime), mime) || list_has(t->seen, mime);
}

static const struct type *type_named(str mime)
{
    for (size_t i = 0; i != TYPES; ++i)
        if (!str_eq(str_from(types[i].mime), STR("application/octet-stream")) &&
            str_caseeq(str_from(types[i].mime), mime))
            return &types[i];
    return NULL;
}

static const struct type *type_of_extension(str extension)
{
    for (size_t i = 0; i != TYPES; ++i)
        if (list_has(types[i].extensions, extension))
            return &types[i];
    return NULL;
}

// --- own looks at the bytes ---

static bool has_at(str bytes, size_t at, str what)
{
    return bytes.n >= at + what.n && memcmp(bytes.p + at, what.p, what.n) == 0;
}

static bool is_mpeg_audio(str bytes)
{
    const unsigned char *p = (const unsigned char *)bytes.p;
    return bytes.n > 3 && p[0] == 0xff && (p[1] & 0xe6) == 0xe2 && (p[2] & 0xf0) != 0xf0 &&
           (p[2] & 0x0c) != 0x0c;
}

// UTF-8 (it may be cut within a character) and no control characters but those that text has.
static bool is_text(str bytes)
{
    enum { LOOK = 4096 };
    bool is_cut = bytes.n > LOOK;
    if (is_cut)
        bytes.n = LOOK;
    for (size_t i = 0; i != bytes.n; ++i) {
        unsigned char c = (unsigned char)bytes.p[i];
        if (c == 0x7f || (c < 0x20 && memchr("\t\n\r\f\b\x1b", c, 6) == NULL))
            return false;
    }
    return bytes.n != 0 && bytes.n - str_utf8_prefix(bytes) <= (is_cut ? 3 : 0);
}

static bool is_avif(str bytes)
{
    return has_at(bytes, 4, STR("ftyp")) &&
           str_find_str(str_of(bytes.p, bytes.n < 64 ? bytes.n : 64), STR("avi")) != SIZE_MAX;
}

static bool bears_out(enum signature signature, str head)
{
    switch (signature) {
    case SIGNATURE_NONE:
        return false;
    case SIGNATURE_PNG:
        return str_starts(head, STR("\x89PNG\r\n\x1a\n"));
    case SIGNATURE_JPEG:
        return str_starts(head, STR("\xff\xd8\xff"));
    case SIGNATURE_GIF:
        return str_starts(head, STR("GIF87a")) || str_starts(head, STR("GIF89a"));
    case SIGNATURE_WEBP:
        return str_starts(head, STR("RIFF")) && has_at(head, 8, STR("WEBPVP8"));
    case SIGNATURE_BMP:
        return str_starts(head, STR("BM")) && head.n >= 26;
    case SIGNATURE_AVIF:
        return is_avif(head);
    case SIGNATURE_TEXT:
        return is_text(head);
    case SIGNATURE_MP4:
        return has_at(head, 4, STR("ftyp")) || has_at(head, 4, STR("moov")) ||
               has_at(head, 4, STR("mdat"));
    case SIGNATURE_EBML:
        return str_starts(head, STR("\x1a\x45\xdf\xa3"));
    case SIGNATURE_OGG:
        return str_starts(head, STR("OggS"));
    case SIGNATURE_MP3:
        return str_starts(head, STR("ID3")) || is_mpeg_audio(head);
    case SIGNATURE_AAC:
        return head.n > 1 && (unsigned char)head.p[0] == 0xff &&
               ((unsigned char)head.p[1] & 0xf6) == 0xf0;
    case SIGNATURE_WAV:
        return str_starts(head, STR("RIFF")) && has_at(head, 8, STR("WAVE"));
    case SIGNATURE_FLAC:
        return str_starts(head, STR("fLaC"));
    }
    abort();
}

bool type_is_inline(const char *mime, str head)
{
    const struct type *t = type_named(str_from(mime));
    return t != NULL && bears_out(t->signature, head);
}

// --- names ---

// 1 to 12 ASCII letters, digits, '_', '+' or '-', not digits alone: "Invoice No.12" has none.
static bool is_extension(str s)
{
    bool has_letter = false;
    for (size_t i = 0; i != s.n; ++i) {
        char c = s.p[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        has_letter |= is_letter;
        if (!is_letter && !(c >= '0' && c <= '9') && c != '_' && c != '+' && c != '-')
            return false;
    }
    return has_letter && s.n <= 12;
}

// "photo.JPG" as "photo" and "JPG". Dots and spaces at the end are no part of a name (Windows drops
// them), nor are those in front.
static str split_name(str name, str *ret_extension)
{
    size_t dot = SIZE_MAX;
    while (name.n != 0 && (name.p[name.n - 1] == '.' || name.p[name.n - 1] == ' '))
        --name.n;
    for (size_t i = 0; i != name.n; ++i)
        if (name.p[i] == '.')
            dot = i;
    *ret_extension = (str){"", 0};
    if (dot != SIZE_MAX && is_extension(str_skip(name, dot + 1))) {
        *ret_extension = str_skip(name, dot + 1);
        name.n = dot;
    }
    while (name.n != 0 && (name.p[0] == '.' || name.p[0] == ' '))
        name = str_skip(name, 1);
    return name;
}

static void join_name(str base, str extension, char to[static FILE_NAME_ROOM])
{
    size_t room = FILE_NAME_ROOM - 1 - (extension.n != 0 ? extension.n + 1 : 0);
    if (base.n == 0)
        base = STR("file");
    if (base.n > room)
        base.n = str_utf8_prefix(str_of(base.p, room));
    snprintf(to, FILE_NAME_ROOM, "%.*s%s%.*s", STR_FMT(base), extension.n != 0 ? "." : "",
             STR_FMT(extension));
}

static str first_extension(const struct type *t)
{
    str list = str_from(t->extensions);
    return str_cut(&list, ' ');
}

// --- deciding ---

struct question {
    const struct inspect_seen *seen;
    str bytes, base, extension;
    str declared;                       // without parameters
    const struct type *content, *named; // by the bytes, by the extension; NULL: not in the table
};

// SVG behind a long comment, or without its declaration, is text or XML to libmagic.
static bool holds_svg(str bytes)
{
    enum { LOOK = 4096 };
    return str_find_str(str_of(bytes.p, bytes.n < LOOK ? bytes.n : LOOK), STR("<svg")) != SIZE_MAX;
}

// XML, Markdown and plain text may begin with a tag that makes no page of them; they are never served as
// one. Without such a name it is what a browser would take it for.
static bool is_text_with_tags(const struct question *q)
{
    return q->seen->active == INSPECT_FRAGMENT && q->named != NULL &&
           (str_caseeq(q->extension, STR("xml")) || str_caseeq(q->extension, STR("txt")) ||
            str_eq(str_from(q->named->mime), STR("text/markdown")));
}

static const struct type *type_of_content(const struct question *q)
{
    str mime = str_from(q->seen->mime);
    if (is_text_with_tags(q))
        return q->named;
    if (q->seen->container == INSPECT_OTHER_ZIP)
        return type_of_extension(STR("jar"));
    if (q->seen->container == INSPECT_ZIP)
        return type_of_extension(STR("zip"));
    if (str_eq(mime, STR("application/octet-stream")))
        mime = is_mpeg_audio(q->bytes) ? STR("audio/mpeg")
               : is_text(q->bytes)     ? STR("text/plain")
                                       : mime;
    bool is_text_like = str_starts(mime, STR("text/")) || str_eq(mime, STR("application/xml"));
    if (is_text_like && q->named != NULL && q->named->class == CLASS_DRAWING && holds_svg(q->bytes))
        return q->named;
    if (str_eq(mime, STR("application/octet-stream")))
        return NULL;
    for (size_t i = 0; i != TYPES; ++i)
        if (type_is_called(&types[i], mime))
            return &types[i];
    return str_starts(mime, STR("text/")) ? type_of_extension(STR("txt")) : NULL;
}

static bool is_active_type(str declared)
{
    for (size_t i = 0; i != TYPES; ++i)
        if ((types[i].class == CLASS_ACTIVE && !str_eq(declared, STR("application/octet-stream")) &&
             type_is_called(&types[i], declared)) ||
            (types[i].class == CLASS_DRAWING && type_is_called(&types[i], declared)))
            return true;
    return false;
}

static json_t *details_of(const struct question *q, const char *expected)
{
    return json_pack("{s:s, s:o, s:o, s:s}", "seen", q->seen->mime, "extension",
                     jsonx_string(q->extension), "declared", jsonx_string(q->declared), "expected",
                     expected);
}

static enum fail not_allowed(const struct question *q, json_t **ret_details, struct fault *fault)
{
    bool is_by_name = q->named != NULL ? q->named->class > CLASS_ALLOWED
                                       : q->extension.n != 0 && q->content != NULL &&
                                             q->content->class <= CLASS_ALLOWED;
    *ret_details = details_of(q, EXPECTED);
    if (is_by_name)
        return fault_set(fault, FAIL_BAD_TYPE, "type_not_allowed",
                         "Files whose name ends in .%.*s are not accepted. Accepted are " EXPECTED
                         ".",
                         STR_FMT(q->extension));
    if (q->content != NULL && q->content->class > CLASS_ALLOWED)
        return fault_set(fault, FAIL_BAD_TYPE, "type_not_allowed",
                         "This is %s, and such files are not accepted. Accepted are " EXPECTED ".",
                         q->content->noun);
    if (q->seen->has_active)
        return fault_set(fault, FAIL_BAD_TYPE, "type_not_allowed",
                         "This file holds a web page, a script or a program besides what it seems "
                         "to be, and such files are not accepted.");
    return fault_set(fault, FAIL_BAD_TYPE, "type_not_allowed",
                     "Files of this kind (%s) are not accepted. Accepted are " EXPECTED ".",
                     q->seen->mime);
}

static enum fail mismatch(const struct question *q, json_t **ret_details, struct fault *fault)
{
    *ret_details = details_of(q, q->named->mime);
    return fault_set(fault, FAIL_BAD_TYPE, "type_mismatch",
                     "This is %s, but its name ends in .%.*s.", q->content->noun,
                     STR_FMT(q->extension));
}

static enum fail declared_mismatch(const struct question *q, json_t **ret_details,
                                   struct fault *fault)
{
    *ret_details = details_of(q, q->content->mime);
    return fault_set(fault, FAIL_BAD_TYPE, "type_mismatch",
                     "This is %s, but it was sent as another kind of file, one that can run "
                     "script.",
                     q->content->noun);
}

static bool is_allowed(const struct question *q)
{
    if (q->content == NULL || q->content->class > CLASS_ALLOWED)
        return false;
    if (q->extension.n != 0 && (q->named == NULL || q->named->class > CLASS_ALLOWED))
        return false;
    return !q->seen->has_active || q->content->class == CLASS_DRAWING || is_text_with_tags(q);
}

// Which of the two rows, in one class, says what the file is.
static const struct type *decider(const struct question *q)
{
    bool by_name = q->named != NULL && (q->content->class == CLASS_TEXT ||
                                        type_is_called(q->named, str_from(q->seen->mime)));
    return by_name ? q->named : q->content;
}

static enum fail decide_for_visitor(const struct question *q, const struct type **ret,
                                    json_t **ret_details, struct fault *fault)
{
    if (!is_allowed(q))
        return not_allowed(q, ret_details, fault);
    if (q->named != NULL && q->named->class != q->content->class)
        return mismatch(q, ret_details, fault);
    if (is_active_type(q->declared) && q->content->class != CLASS_DRAWING)
        return declared_mismatch(q, ret_details, fault);
    *ret = decider(q);
    return FAIL_NONE;
}

// Any type: the extension's where the bytes do not contradict it, else what they are, if that is
// known.
static const struct type *decide_for_owner(const struct question *q)
{
    bool is_text_content = q->content != NULL && q->content->class == CLASS_TEXT;
    if (q->named == NULL || q->content == NULL)
        return q->content;
    if (q->named->class == q->content->class)
        return decider(q);
    return is_text_content && q->named->class == CLASS_ACTIVE ? q->named : q->content;
}

enum fail type_decide(const struct inspect_seen *seen, str bytes, str filename, str declared,
                      bool is_owner, char ret_mime[static FILE_MIME_ROOM],
                      char ret_filename[static FILE_NAME_ROOM], json_t **ret_details,
                      struct fault *fault)
{
    struct question q = {.seen = seen, .bytes = bytes};
    const struct type *type = NULL;
    q.base = split_name(filename, &q.extension);
    q.declared = str_trim(str_cut(&declared, ';'));
    q.named = type_of_extension(q.extension);
    q.content = type_of_content(&q);
    if (is_owner) {
        type = decide_for_owner(&q);
    } else {
        enum fail fail = decide_for_visitor(&q, &type, ret_details, fault);
        if (fail != FAIL_NONE)
            return fail;
    }
    bool keeps_extension =
        q.extension.n != 0 && (is_owner || list_has(type->extensions, q.extension));
    snprintf(ret_mime, FILE_MIME_ROOM, "%s",
             type != NULL ? type->mime : "application/octet-stream");
    join_name(q.base,
              keeps_extension                                ? q.extension
              : type != NULL && type->class <= CLASS_ALLOWED ? first_extension(type)
                                                             : STR(""),
              ret_filename);
    return FAIL_NONE;
}
