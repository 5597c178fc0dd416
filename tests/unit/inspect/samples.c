#include "tests/unit/inspect/samples.h"

#define ZEROS16 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define PNG                                                                                        \
    "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde\0\0\0\x0cIDAT"      \
    "x\x9c"                                                                                        \
    "c\xf8\xcf\xc0\0\0\x03\x01\x01\0\xc9\xfe\x92\xef\0\0\0\0IEND\xae"                              \
    "B`\x82"
#define JPEG "\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xdb\0\x43\0" ZEROS16
#define GIF "GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0;"
#define FTYP(brand)                                                                                \
    "\0\0\0\x18"                                                                                   \
    "ftyp" brand "\0\0\0\0" brand "mif1\0\0\0\x08mdat"
#define OGG(packet) "OggS\0\x02\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x01\x1e" packet ZEROS16
#define ID3 "ID3\x03\0\0\0\0\0\x0aTIT2\0\0\0\0\0\0"
#define MP3_FRAME "\xff\xfb\x90\x64\0\0\0\0" ZEROS16 ZEROS16
#define EBML(doctype, n)                                                                           \
    "\x1a\x45\xdf\xa3\x93\x42\x82" n doctype "\x42\x87\x81\x02\x42\x85\x81\x02\x18\x53\x80\x67"

const struct sample samples[] = {
    // images
    {"dot.png", STR(PNG), "image/png", 0, 0},
    {"dot.jpg", STR(JPEG), "image/jpeg", 0, 0},
    {"dot.gif", STR(GIF), "image/gif", 0, 0},
    {"dot.webp",
     STR("RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f\0\0\0\x10\x07\x10\x11\x11\x88\x88\xfe\x07\0"),
     "image/webp", 0, 0},
    {"dot.avif", STR(FTYP("avif")), "image/avif", 0, 0},
    {"dot.heic", STR(FTYP("heic")), "image/heic", 0, 0},
    {"dot.bmp",
     STR("BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\x18\0\0\0\0\0\x04\0\0"
         "\0" ZEROS16 "\xff\0\0\0"),
     "image/bmp", 0, 0},
    {"dot.tif", STR("II*\0\x08\0\0\0\x01\0\0\x01\x03\0\x01\0\0\0\x01\0\0\0\0\0\0\0"), "image/tiff",
     0, 0},
    {"dot.ico",
     STR("\0\0\x01\0\x01\0\x10\x10\0\0\x01\0\x20\0\x68\x04\0\0\x16\0\0\0\x28\0\0\0\x10\0\0\0\x20\0"
         "\0\0"
         "\x01\0\x20\0" ZEROS16),
     "image/vnd.microsoft.icon", 0, 0},
    {"dot.svg", STR("<svg xmlns=\"http://www.w3.org/2000/svg\"><circle r=\"1\"/></svg>\n"),
     "image/svg+xml", 0, 0},
    {"drawn.svg",
     STR("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<!-- Generator: a drawing program -->\n"
         "<!DOCTYPE svg PUBLIC \"-//W3C//DTD SVG 1.1//EN\" "
         "\"http://www.w3.org/Graphics/SVG/1.1/DTD/"
         "svg11.dtd\" [\n <!ENTITY ns_svg \"http://www.w3.org/2000/svg\">\n]>\n"
         "<svg:svg xmlns:svg=\"&ns_svg;\"><svg:rect/></svg:svg>\n"),
     "image/svg+xml", 0, 0},
    // documents and text
    {"a.pdf", STR("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<</Type/Catalog>>\nendobj\n"),
     "application/pdf", 0, 0},
    {"ascii.pdf", STR("%PDF-1.4\n1 0 obj\n<</Type/Catalog>>\nendobj\ntrailer\n<<>>\n%%EOF\n"),
     "application/pdf", 0, 0},
    {"a.txt", STR("Dear all,\n\nwe met <john@example.com> & 3 < 4.\n"), "text/plain", 0, 0},
    {"utf8.txt",
     STR("\xef\xbb\xbfGr\xc3\xbc\xc3\x9f"
         "e\n"),
     "text/plain", 0, 0},
    {"latin1.txt",
     STR("Gr\xfc\xdf"
         "e aus K\xf6ln\n"),
     "text/plain", 0, 0},
    {"utf16.txt", STR("\xff\xfeH\0e\0l\0l\0o\0\r\0\n\0"), "text/plain", 0, 0},
    {"empty.txt", STR(""), "application/x-empty", 0, 0},
    {"a.csv", STR("name,age\nAnna,31\nBert,27\nCem,44\nDora,52\n"), "text/csv", 0, 0},
    {"short.csv", STR("name;age\nAnna;31\n"), "text/plain", 0, 0},
    {"a.tsv", STR("name\tage\nAnna\t31\nBert\t27\n"), "text/plain", 0, 0},
    {"a.md", STR("# Title\n\nUse `<script src=\"x.js\"></script>` in a page.\n\n- one\n- two\n"),
     "text/plain", 0, 0},
    {"a.yaml", STR("name: stoa\nlist:\n  - one\n  - two\n"), "text/plain", 0, 0},
    {"a.ics", STR("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR\r\n"), "text/calendar", 0, 0},
    {"a.vcf", STR("BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Anna\r\nEND:VCARD\r\n"), "text/vcard", 0, 0},
    {"a.rtf", STR("{\\rtf1\\ansi Hello}\n"), "text/rtf", 0, 0},
    {"a.json", STR("{\"name\": \"stoa\", \"list\": [1, 2, {\"a\": null}]}\n"), "application/json",
     0, 0},
    {"list.json", STR("[1,2,3]"), "application/json", 0, 0},
    {"broken.json", STR("{\"name\": \n"), "text/plain", 0, 0},
    {"a.xml", STR("<?xml version=\"1.0\"?>\n<note><to>Anna</to></note>\n"), "application/xml", 0,
     0},
    {"bare.xml", STR("<note><to>Anna</to></note>\n"), "application/xml", 0, 0},
    // sound and film
    {"tagged.mp3", STR(ID3 MP3_FRAME), "audio/mpeg", 0, 0},
    {"bare.mp3", STR(MP3_FRAME), "audio/mpeg", 0, 0},
    {"a.wav",
     STR("RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x44\xac\0\0\x88\x58\x01\0\x02\0\x10\0"
         "data\0\0\0\0"),
     "audio/x-wav", 0, 0},
    {"a.ogg", STR(OGG("\x01vorbis\0\0\0\0\x02\x44\xac\0\0")), "audio/ogg", 0, 0},
    {"a.opus", STR(OGG("OpusHead\x01\x02\0\0")), "audio/ogg", 0, 0},
    {"a.ogv", STR(OGG("\x80theora\x03\x02\x01")), "video/ogg", 0, 0},
    {"a.flac", STR("fLaC\0\0\0\x22\x10\0\x10\0\0\0\0\0\0\0\x0a\xc4\x42\xf0" ZEROS16 ZEROS16),
     "audio/flac", 0, 0},
    {"a.m4a", STR(FTYP("M4A ")), "audio/x-m4a", 0, 0},
    {"a.aac", STR("\xff\xf1\x50\x80\x02\x1f\xfc\xde\x02\0" ZEROS16), "audio/x-hx-aac-adts", 0, 0},
    {"a.mp4", STR(FTYP("isom")), "video/mp4", 0, 0},
    {"a2.mp4", STR(FTYP("mp42")), "video/mp4", 0, 0},
    {"a.mov", STR(FTYP("qt  ")), "video/quicktime", 0, 0},
    {"a.3gp", STR(FTYP("3gp4")), "video/3gpp", 0, 0},
    {"a.webm", STR(EBML("webm", "\x84")), "video/webm", 0, 0},
    {"a.mkv", STR(EBML("matroska", "\x88")), "video/x-matroska", 0, 0},
    {"a.avi", STR("RIFF\xe4\0\0\0AVI LIST\xd4\0\0\0hdrlavih8\0\0\0" ZEROS16), "video/x-msvideo", 0,
     0},
    // archives other than zip
    {"a.gz", STR("\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0"), "application/gzip", 0, 0},
    {"a.7z", STR("7z\xbc\xaf\x27\x1c\0\x04" ZEROS16 ZEROS16), "application/x-7z-compressed", 0, 0},
    {"a.rar", STR("Rar!\x1a\x07\x01\0" ZEROS16), "application/x-rar", 0, 0},
    // what runs
    {"a.html", STR("\n <!DOCTYPE html>\n<title>x</title>"), "text/html", 0, INSPECT_HTML},
    {"b.html", STR("<p>x"), "text/html", 0, INSPECT_FRAGMENT},
    {"bare.xml", STR("<a/>"), "text/html", 0, INSPECT_FRAGMENT},
    {"read.me", STR("<!-- note -->\n# Title\n"), "text/html", 0, INSPECT_FRAGMENT},
    {"readme.md", STR("<h1 align=\"center\">Title</h1>\n\nwords <br> and lines\n"), "text/html", 0,
     INSPECT_FRAGMENT},
    {"bold.txt", STR("\xef\xbb\xbf <B>bold</B> words\n"), "text/html", 0, INSPECT_FRAGMENT},
    {"frame.md", STR("<p>x <IFRAME src=\"//a\">"), "text/html", 0, INSPECT_HTML},
    {"refresh.md", STR("<p>x<meta http-equiv=refresh>"), "text/html", 0, INSPECT_HTML},
    {"page.md", STR("<!-- x --><!doctype html>"), "text/html", 0, INSPECT_HTML},
    {"form.md", STR("<form action=\"//a\">"), "text/html", 0, INSPECT_HTML},
    {"script.md", STR("<b>x</b><script>alert(1)</script>"), "text/html", 0, INSPECT_HTML},
    {"event.md", STR("<img src=x onerror='alert(1)'>"), "text/html", 0, INSPECT_HTML},
    {"unquoted.md", STR("<img src=x onerror=alert(1)>"), "text/html", 0, INSPECT_HTML},
    {"link.md", STR("<a href=\"javascript:alert(1)\">x</a>"), "text/html", 0, INSPECT_HTML},
    {"xhtml.xml", STR("<a xmlns=\"http://www.w3.org/1999/xhtml\"/>"), "text/html", 0, INSPECT_HTML},
    {"utf16.md", STR("\xff\xfe<\0b\0>\0"), "text/html", 0, INSPECT_HTML},
    {"utf16.html", STR("\xff\xfe<\0s\0c\0r\0i\0p\0t\0>\0"), "text/html", 0, INSPECT_HTML},
    {"comment.html", STR("<!-- x --><p>"), "text/html", 0, INSPECT_FRAGMENT},
    {"a.xhtml", STR("<?xml version=\"1.0\"?>\n<html xmlns=\"http://www.w3.org/1999/xhtml\"/>"),
     "application/xhtml+xml", 0, INSPECT_HTML},
    {"script.svg", STR("<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>"),
     "image/svg+xml", 0, INSPECT_MARKUP},
    {"prefix.svg", STR("<s:svg xmlns:s=\"http://www.w3.org/2000/svg\"><s:script/></s:svg>"),
     "image/svg+xml", 0, INSPECT_MARKUP},
    {"event.svg", STR("<svg xmlns=\"http://www.w3.org/2000/svg\" onload = 'alert(1)'/>"),
     "image/svg+xml", 0, INSPECT_MARKUP},
    {"link.svg", STR("<svg><a href=\" &#106;avascript:alert(1)\"/></svg>"), "image/svg+xml", 0,
     INSPECT_MARKUP},
    {"comment.svg", STR("<!-- x --><svg><a href='JavaScript:alert(1)'/></svg>"), "image/svg+xml", 0,
     INSPECT_MARKUP},
    {"entity.svg",
     STR("<!DOCTYPE svg [<!ENTITY x \"&#60;script>alert(1)&#60;/script>\">]><svg>&x;</svg>"),
     "image/svg+xml", 0, INSPECT_MARKUP},
    {"style.xml",
     STR("<?xml version=\"1.0\"?><?xml-stylesheet type=\"text/xsl\" href=\"#a\"?><a/>"),
     "application/xml", 0, INSPECT_MARKUP},
    {"embedded.xml", STR("<list><b:x xmlns:b=\"http://www.w3.org/1999/xhtml\"/></list>"),
     "application/xml", 0, INSPECT_MARKUP},
    {"a.sh", STR("#!/bin/sh\nrm -rf /\n"), "text/x-shellscript", 0, INSPECT_SCRIPT},
    {"a.php", STR("<?php system($_GET['c']);"), "text/x-php", 0, INSPECT_SCRIPT},
    {"a.bat", STR("@ECHO OFF\r\ndel *\r\n"), "text/x-msdos-batch", 0, INSPECT_SCRIPT},
    {"a.elf",
     STR("\x7f"
         "ELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0" ZEROS16 ZEROS16 ZEROS16),
     "application/x-executable", 0, INSPECT_PROGRAM},
    {"a.exe", STR("MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0" ZEROS16 ZEROS16),
     "application/x-dosexec", 0, INSPECT_PROGRAM},
    {"a.macho", STR("\xcf\xfa\xed\xfe\x07\0\0\x01\x03\0\0\0\x02\0\0\0" ZEROS16),
     "application/x-mach-binary", 0, INSPECT_PROGRAM},
    {"a.class", STR("\xca\xfe\xba\xbe\0\0\0\x34\0\x1d" ZEROS16), "application/x-java-applet", 0,
     INSPECT_PROGRAM},
    {"a.wasm", STR("\0asm\x01\0\0\0" ZEROS16), "application/wasm", 0, INSPECT_PROGRAM},
    {"a.lnk", STR("L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46" ZEROS16),
     "application/x-ms-shortcut", 0, INSPECT_PROGRAM},
    // two things at once
    {"page.gif", STR("GIF89a\x01\0\x01\0\x80\0\0<html><script>alert(1)</script>"), "image/gif", 0,
     INSPECT_HIDDEN},
    {"letters.gif", STR("GIF89a=1;/*<script>*/alert(1)//"), "image/gif", 0, INSPECT_HIDDEN},
    {"page.jpg", STR(JPEG "\xff\xfe\0\x20<?php system('id'); ?>"), "image/jpeg", 0, INSPECT_HIDDEN},
    {"page.pdf", STR("<script>alert(1)</script>\n%PDF-1.4\n\0\n"), "application/octet-stream", 0,
     INSPECT_HTML},
    {"zip.jpg", STR(JPEG "PK\x03\x04" ZEROS16 "PK\x05\x06" ZEROS16 "\0\0"), "image/jpeg", 0, 0},
    {"noise.bin", STR("\x01\x02\x99\x98\x97\x05\x06\x07\x08"), "application/octet-stream", 0, 0},
    {"no.zip", STR("PK\x03\x04" ZEROS16 ZEROS16), "application/octet-stream", 0, 0},
};
const size_t sample_count = sizeof samples / sizeof *samples;

#define TYPES "[Content_Types].xml"
#define OOXML "application/vnd.openxmlformats-officedocument."
#define ODF "application/vnd.oasis.opendocument."
const struct sample_package sample_packages[] = {
    {"a.zip", {{"a.txt", "a"}, {"b/c.txt", "c"}}, "application/zip", INSPECT_ZIP},
    {"none.zip", {{NULL, NULL}}, "application/zip", INSPECT_ZIP},
    {"a.docx",
     {{TYPES, "<Types/>"}, {"_rels/.rels", ""}, {"word/document.xml", ""}},
     OOXML "wordprocessingml.document",
     INSPECT_OOXML},
    {"a.xlsx",
     {{"xl/workbook.xml", ""}, {TYPES, "<Types/>"}},
     OOXML "spreadsheetml.sheet",
     INSPECT_OOXML},
    {"a.pptx",
     {{TYPES, "<Types/>"}, {"ppt/presentation.xml", ""}},
     OOXML "presentationml.presentation",
     INSPECT_OOXML},
    {"a.odt", {{"mimetype", ODF "text"}, {"content.xml", ""}}, ODF "text", INSPECT_ODF},
    {"a.ods",
     {{"mimetype", ODF "spreadsheet"}, {"content.xml", ""}},
     ODF "spreadsheet",
     INSPECT_ODF},
    {"a.odp", {{"mimetype", ODF "presentation"}}, ODF "presentation", INSPECT_ODF},
    {"late.odt", {{"content.xml", ""}, {"mimetype", ODF "text"}}, "application/zip", INSPECT_ZIP},
    {"evil.odt", {{"mimetype", ODF "text\nX: y"}}, "application/zip", INSPECT_ZIP},
    {"a.jar",
     {{"META-INF/MANIFEST.MF", ""}, {"A.class", ""}},
     "application/java-archive",
     INSPECT_OTHER_ZIP},
    {"jar.docx",
     {{TYPES, "<Types/>"}, {"word/document.xml", ""}, {"meta-inf/manifest.mf", ""}},
     "application/java-archive",
     INSPECT_OTHER_ZIP},
    {"a.apk", {{"classes.dex", ""}}, "application/vnd.android.package-archive", INSPECT_OTHER_ZIP},
    {"a.xpi",
     {{"manifest.json", "{}"}, {"META-INF/mozilla.rsa", ""}},
     "application/x-xpinstall",
     INSPECT_OTHER_ZIP},
    {"a.epub", {{"mimetype", "application/epub+zip"}}, "application/epub+zip", INSPECT_OTHER_ZIP},
    {"a.ipa", {{"Payload/A.app/Info.plist", ""}}, "application/x-ios-app", INSPECT_OTHER_ZIP},
    {"a.vsdx",
     {{TYPES, "<Types/>"}, {"visio/document.xml", ""}},
     "application/zip",
     INSPECT_OTHER_ZIP},
};
const size_t sample_package_count = sizeof sample_packages / sizeof *sample_packages;

// --- zip: APPNOTE.TXT 4.3.7, 4.3.12, 4.3.16 ---

static void add_le(struct buf *b, uint64_t v, int bytes)
{
    for (int i = 0; i != bytes; ++i)
        buf_addc(b, i < 8 ? (char)(v >> (8 * i)) : 0);
}

// What local and central records have in common, from "version needed" on.
static void add_common(struct buf *b, const struct sample_entry *e)
{
    add_le(b, 20, 2);
    add_le(b, 0, 2 + 2 + 4 + 4); // flags, stored, time, check sum
    add_le(b, strlen(e->content), 4);
    add_le(b, strlen(e->content), 4);
    add_le(b, strlen(e->name), 2);
    add_le(b, 0, 2);
}

struct buf sample_zip(const struct sample_entry *entries)
{
    struct buf b, directory;
    size_t n = 0;
    buf_init(&b, 1 << 20);
    buf_init(&directory, 1 << 20);
    for (const struct sample_entry *e = entries; e->name != NULL; ++e, ++n) {
        buf_add(&directory, STR("PK\x01\x02\x14\0"));
        add_common(&directory, e);
        add_le(&directory, 0, 2 + 2 + 2);
        add_le(&directory, 0, 4);
        add_le(&directory, b.n, 4);
        buf_add(&directory, str_from(e->name));
        buf_add(&b, STR("PK\x03\x04"));
        add_common(&b, e);
        buf_add(&b, str_from(e->name));
        buf_add(&b, str_from(e->content));
    }
    size_t at = b.n;
    buf_add(&b, buf_str(&directory));
    buf_add(&b, STR("PK\x05\x06\0\0\0\0"));
    add_le(&b, n, 2);
    add_le(&b, n, 2);
    add_le(&b, directory.n, 4);
    add_le(&b, at, 4);
    add_le(&b, 0, 2);
    buf_fini(&directory);
    return b;
}

// --- compound files: [MS-CFB] 2.2 to 2.6: a header, one sector of the allocation table, one of the
// directory, eight of a stream ---

static void add_entry(struct buf *b, const char *name, char type, uint32_t child, uint32_t start,
                      uint32_t size)
{
    size_t n = strlen(name);
    for (size_t i = 0; i != 32; ++i)
        add_le(b, i < n ? (unsigned char)name[i] : 0, 2);
    add_le(b, n != 0 ? 2 * n + 2 : 0, 2);
    buf_addc(b, type);
    buf_addc(b, 1);
    add_le(b, UINT32_MAX, 4);
    add_le(b, UINT32_MAX, 4);
    add_le(b, child, 4);
    for (int i = 0; i != 36; ++i)
        buf_addc(b, 0);
    add_le(b, start, 4);
    add_le(b, size, 8);
}

struct buf sample_old_office(const char *stream)
{
    enum { FREE = -1, END = -2, TABLE = -3 };
    struct buf b;
    buf_init(&b, 64 << 10);
    buf_add(&b, STR("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"));
    add_le(&b, 0, 8);
    add_le(&b, 0, 8);
    add_le(&b, 0x3e, 2);
    add_le(&b, 3, 2);
    add_le(&b, 0xfffe, 2);
    add_le(&b, 9, 2);
    add_le(&b, 6, 2);
    add_le(&b, 0, 6);
    add_le(&b, 0, 4);
    add_le(&b, 1, 4); // sectors of the table
    add_le(&b, 1, 4); // the directory's
    add_le(&b, 0, 4);
    add_le(&b, 4096, 4);
    add_le(&b, (uint32_t)END, 4);
    add_le(&b, 0, 4);
    add_le(&b, (uint32_t)END, 4);
    add_le(&b, 0, 4);
    add_le(&b, 0, 4);
    for (int i = 1; i != 109; ++i)
        add_le(&b, UINT32_MAX, 4);
    add_le(&b, (uint32_t)TABLE, 4);
    add_le(&b, (uint32_t)END, 4);
    for (uint32_t i = 2; i != 9; ++i)
        add_le(&b, i + 1, 4);
    add_le(&b, (uint32_t)END, 4);
    for (int i = 10; i != 128; ++i)
        add_le(&b, (uint32_t)FREE, 4);
    add_entry(&b, "Root Entry", 5, 1, (uint32_t)END, 0);
    add_entry(&b, stream, 2, UINT32_MAX, 2, 4096);
    add_entry(&b, "", 0, UINT32_MAX, 0, 0);
    add_entry(&b, "", 0, UINT32_MAX, 0, 0);
    for (int i = 0; i != 4096; ++i)
        buf_addc(&b, 0);
    return b;
}
