// Contract §5's type rules, a row a case.
#include "uploads/internal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

// Rows name what they are about and leave the rest out.
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define PNG "\x89PNG\r\n\x1a\n....IHDR"
#define JPEG "\xff\xd8\xff\xe0..JFIF"
#define GIF "GIF89a......."
#define PDF "%PDF-1.4 ..."
#define SVG "<svg xmlns='http://www.w3.org/2000/svg'/>"
#define TEXT "a,b\n1,2\n"
#define MP3 "\xff\xfb\x90\x64....."
#define OOXML "application/vnd.openxmlformats-officedocument."

struct row {
    const char *name, *seen, *bytes, *declared;
    const char *mime, *becomes; // mime NULL: refused with `becomes`
    const char *sentence;       // or a part of it
    bool has_active;
    enum inspect_container container;
    enum inspect_active active;
};

static void judge(const struct row *r, bool is_owner, enum fail *ret, char *mime, char *name,
                  json_t **details, struct fault *fault)
{
    struct inspect_seen seen = {.container = r->container,
                                .active = r->active,
                                .has_active = r->has_active || r->active != INSPECT_NOT_ACTIVE};
    snprintf(seen.mime, sizeof seen.mime, "%s", r->seen);
    *ret = type_decide(&seen, str_from(r->bytes), str_from(r->name), str_from(r->declared),
                       is_owner, mime, name, details, fault);
}

static void expect(const struct row *r, bool is_owner)
{
    char mime[FILE_MIME_ROOM] = "", name[FILE_NAME_ROOM] = "";
    struct fault fault = {0};
    json_auto_t *details = NULL;
    enum fail f;
    judge(r, is_owner, &f, mime, name, &details, &fault);
    if (r->mime != NULL) {
        if (f != FAIL_NONE)
            fail_msg("%s (%s): %s %s", r->name, r->seen, fault.code, fault.public_text);
        if (strcmp(mime, r->mime) != 0 || strcmp(name, r->becomes) != 0)
            fail_msg("%s (%s): became %s, %s", r->name, r->seen, name, mime);
        return;
    }
    if (f != FAIL_BAD_TYPE || strcmp(fault.code, r->becomes) != 0)
        fail_msg("%s (%s): %d %s, became %s", r->name, r->seen, (int)f, fault.code, mime);
    if (r->sentence != NULL && strstr(fault.public_text, r->sentence) == NULL)
        fail_msg("%s (%s): \"%s\"", r->name, r->seen, fault.public_text);
    assert_string_equal(json_string_value(json_object_get(details, "seen")), r->seen);
    assert_non_null(json_object_get(details, "extension"));
    assert_non_null(json_object_get(details, "declared"));
    assert_non_null(json_object_get(details, "expected"));
}

#define OCTETS "application/octet-stream"
#define NOT_ALLOWED .mime = NULL, .becomes = "type_not_allowed"
#define MISMATCH .mime = NULL, .becomes = "type_mismatch"

#define FRAGMENT .active = INSPECT_FRAGMENT

static void visitors_files(void **state)
{
    static const struct row rows[] = {
        // agreeing
        {"photo.png", "image/png", PNG, "image/png", "image/png", "photo.png"},
        {"photo.PNG", "image/png", PNG, "", "image/png", "photo.PNG"},
        {"photo.JpEg", "image/jpeg", JPEG, OCTETS, "image/jpeg", "photo.JpEg"},
        {"Füße 📷.jpg", "image/jpeg", JPEG, "image/jpeg", "image/jpeg", "Füße 📷.jpg"},
        {"写真.jpg", "image/jpeg", JPEG, "image/jpeg", "image/jpeg", "写真.jpg"},
        {"a.pdf", "application/pdf", PDF, "application/pdf", "application/pdf", "a.pdf"},
        {"a.pdf", "application/pdf", PDF, "text/plain; charset=utf-8", "application/pdf", "a.pdf"},
        {"t.csv", "text/csv", TEXT, "application/vnd.ms-excel", "text/csv", "t.csv"},
        {"t.csv", "text/plain", TEXT, "text/csv", "text/csv", "t.csv"},
        {"t.CSV", "application/csv", TEXT, "", "text/csv", "t.CSV"},
        {"notes.md", "text/plain", "# a", "text/markdown", "text/markdown", "notes.md"},
        {"c.yaml", "text/plain", "a: 1", "application/x-yaml", "text/yaml", "c.yaml"},
        {"c.yml", "text/x-c", "a: 1", "", "text/yaml", "c.yml"},
        {"d.json", "application/json", "{}", "application/json", "application/json", "d.json"},
        {"d.json", "text/plain", "{", "", "application/json", "d.json"},
        {"d.txt", "application/json", "{}", "", "text/plain", "d.txt"},
        {"f.xml", "text/xml", "<a/>", "text/xml", "application/xml", "f.xml"},
        {"track.gpx", "text/xml", "<gpx/>", "", "application/xml", "track.gpx"},
        // a tag in front makes no web page of what is called text
        {"f.xml", "text/html", "<a/>", "text/xml", "application/xml", "f.xml", FRAGMENT},
        {"f.md", "text/html", "<!-- a -->", "", "text/markdown", "f.md", FRAGMENT},
        {"f.TXT", "text/html", "<b>a</b>", "text/plain", "text/plain", "f.TXT", FRAGMENT},
        {"a.c", "text/x-c", "int a;", "", "text/plain", "a.c"},
        {"a.txt", "text/plain", "x", "text/plain", "text/plain", "a.txt"},
        {"a.txt", OCTETS, "x", "text/plain", "text/plain", "a.txt"}, // too short for libmagic
        {"s.mp3", "audio/mpeg", MP3, "audio/mp3", "audio/mpeg", "s.mp3"},
        {"s.mp3", OCTETS, MP3, "audio/mpeg", "audio/mpeg", "s.mp3"},
        {"s.m4a", "video/mp4", "....ftypM4A ", "audio/mp4", "audio/mp4", "s.m4a"},
        {"s.m4a", "audio/x-m4a", "....ftypM4A ", "audio/mp4", "audio/mp4", "s.m4a"},
        {"v.mov", "video/quicktime", "....ftypqt  ", "", "video/quicktime", "v.mov"},
        {"v.mp4", "video/mp4", "....ftypisom", "", "video/mp4", "v.mp4"},
        {"v.webm", "video/webm", "\x1a\x45\xdf\xa3", "", "video/webm", "v.webm"},
        {"v.weba", "video/webm", "\x1a\x45\xdf\xa3", "", "audio/webm", "v.weba"},
        {"v.ogg", "application/ogg", "OggS", "", "audio/ogg", "v.ogg"},
        {"v.ogv", "application/ogg", "OggS", "", "video/ogg", "v.ogv"},
        {"w.wav", "audio/x-wav", "RIFF....WAVE", "", "audio/wav", "w.wav"},
        {"v.ts", "video/mp2t", "G@", "", "video/mp2t", "v.ts"},
        {"p.heic", "image/heic", "....ftypheic", "", "image/heic", "p.heic"},
        {"i.ico", "image/vnd.microsoft.icon", "....", "image/x-icon", "image/vnd.microsoft.icon",
         "i.ico"},
        {"x.docx", OOXML "wordprocessingml.document", "PK", "", OOXML "wordprocessingml.document",
         "x.docx", .container = INSPECT_OOXML},
        {"x.odt", "application/vnd.oasis.opendocument.text", "PK", "",
         "application/vnd.oasis.opendocument.text", "x.odt", .container = INSPECT_ODF},
        {"x.xls", "application/x-ole-storage", "\xd0\xcf", "", "application/vnd.ms-excel", "x.xls"},
        {"x.ppt", "application/cdfv2", "\xd0\xcf", "", "application/vnd.ms-powerpoint", "x.ppt"},
        {"x.doc", "application/msword", "\xd0\xcf", "", "application/msword", "x.doc"},
        {"x.rtf", "text/rtf", "{\\rtf", "application/rtf", "text/rtf", "x.rtf"},
        {"x.zip", "application/zip", "PK", "application/x-zip-compressed", "application/zip",
         "x.zip", .container = INSPECT_ZIP},
        // an SVG, by whatever libmagic takes it for
        {"a.svg", "image/svg+xml", SVG, "image/svg+xml", "image/svg+xml", "a.svg"},
        {"a.svg", "image/svg+xml", SVG, "", "image/svg+xml", "a.svg", .has_active = true},
        {"a.svg", "text/xml", "<?xml version='1.0'?>" SVG, "", "image/svg+xml", "a.svg"},
        {"a.svg", "text/plain", "<!-- a -->" SVG, "", "image/svg+xml", "a.svg"},
        {"a", "image/svg+xml", SVG, "", "image/svg+xml", "a.svg"},
        // one class: names are mended
        {"photo.jpg", "image/png", PNG, "image/jpeg", "image/png", "photo.png"},
        {"photo.HEIC", "image/jpeg", JPEG, "", "image/jpeg", "photo.jpg"},
        {"x.doc", OOXML "wordprocessingml.document", "PK", "", OOXML "wordprocessingml.document",
         "x.docx", .container = INSPECT_OOXML},
        {"x.doc", "text/rtf", "{\\rtf", "", "text/rtf", "x.rtf"},
        {"v.mp3", "video/mp4", "....ftypisom", "", "video/mp4", "v.mp4"},
        // no extension
        {"photo", "image/png", PNG, "", "image/png", "photo.png"},
        {"photo", "image/png", PNG, "image/jpeg", "image/png", "photo.png"},
        {"README", "text/plain", "x", "", "text/plain", "README.txt"},
        {"data", "application/json", "{}", "", "application/json", "data.json"},
        {"data", "text/csv", TEXT, "", "text/csv", "data.csv"},
        {"Invoice No.12", "application/pdf", PDF, "", "application/pdf", "Invoice No.12.pdf"},
        {"v1.0 final", "application/pdf", PDF, "", "application/pdf", "v1.0 final.pdf"},
        {"фото.фото", "image/png", PNG, "", "image/png", "фото.фото.png"},
        {"photo.exe::$DATA", "image/png", PNG, "", "image/png", "photo.exe::$DATA.png"},
        {".jpg", "image/jpeg", JPEG, "", "image/jpeg", "file.jpg"},
        {".env.txt", "text/plain", "A=1", "", "text/plain", "env.txt"},
        {"photo.jpg. .", "image/jpeg", JPEG, "", "image/jpeg", "photo.jpg"},
        {"...", "image/jpeg", JPEG, "", "image/jpeg", "file.jpg"},
        // double extensions: the last one counts
        {"a.html.jpg", "image/jpeg", JPEG, "", "image/jpeg", "a.html.jpg"},
        {"photo.jpg.html", "image/jpeg", JPEG, "image/jpeg", NOT_ALLOWED, ".html"},
        {"photo.jpg.HTML ", "image/jpeg", JPEG, "image/jpeg", NOT_ALLOWED, ".HTML"},
        {"photo.jpg.html.", "image/jpeg", JPEG, "image/jpeg", NOT_ALLOWED, ".html"},
        {"invoice.pdf.exe", "application/pdf", PDF, "application/pdf", NOT_ALLOWED, ".exe"},
        {"invoice.pdf.exe", "application/x-dosexec", "MZ", "application/pdf", NOT_ALLOWED, ".exe"},
        {"invoice.exe.pdf", "application/x-dosexec", "MZ", "application/pdf", NOT_ALLOWED,
         "This is a program"},
        {".htaccess", "text/plain", "Options", "", NOT_ALLOWED, ".htaccess"},
        {"a.unheardof", "text/plain", "x", "", NOT_ALLOWED, ".unheardof"},
        {"a.unheardof", "image/png", PNG, "", NOT_ALLOWED, ".unheardof"},
        // content and name of two classes
        {"scan.pdf", "image/png", PNG, "application/pdf", MISMATCH,
         "This is a PNG image, but its name ends in .pdf."},
        {"a.svg", "image/png", PNG, "image/svg+xml", MISMATCH,
         "This is a PNG image, but its name ends in .svg."},
        {"a.png", "image/svg+xml", SVG, "image/png", MISMATCH, "This is an SVG image"},
        {"a.xml", "image/svg+xml", SVG, "", MISMATCH},
        {"a.jpg", "application/pdf", PDF, "image/jpeg", MISMATCH},
        {"a.txt", "image/gif", GIF, "text/plain", MISMATCH},
        {"a.png", "text/plain", TEXT, "image/png", MISMATCH, "This is a text file"},
        {"a.csv", "application/x-ole-storage", "\xd0\xcf", "", MISMATCH},
        {"a.xls", "text/csv", TEXT, "application/vnd.ms-excel", MISMATCH},
        {"a.docx", "application/zip", "PK", "", MISMATCH, "This is a zip archive",
         .container = INSPECT_ZIP},
        {"a.zip", OOXML "wordprocessingml.document", "PK", "", MISMATCH, "This is a Word document",
         .container = INSPECT_OOXML},
        {"a.ts", "text/plain", "let a", "video/mp2t", MISMATCH},
        {"a.mp3", "image/png", PNG, "audio/mpeg", MISMATCH},
        // declared as something that runs
        {"a.png", "image/png", PNG, "text/html", MISMATCH, "This is a PNG image"},
        {"a.png", "image/png", PNG, "TEXT/HTML; charset=utf-8", MISMATCH},
        {"a.png", "image/png", PNG, "image/svg+xml", MISMATCH},
        {"a.txt", "text/plain", "x", "text/javascript", MISMATCH},
        {"a.txt", "text/plain", "x", "application/xhtml+xml", MISMATCH},
        {"a.svg", "image/svg+xml", SVG, "text/html", "image/svg+xml", "a.svg"},
        {"a.txt", "text/plain", "x", "application/x-made-up", "text/plain", "a.txt"},
        // what runs, or is packed
        {"a.html", "text/html", "<html>", "text/html", NOT_ALLOWED},
        {"a.txt", "text/html", "<html>", "text/plain", NOT_ALLOWED, "This is a web page"},
        {"a", "text/html", "<html>", "", NOT_ALLOWED, "This is a web page"},
        {"a", "text/html", "<b>", "", NOT_ALLOWED, "This is a web page", FRAGMENT},
        {"a.html", "text/html", "<b>", "", NOT_ALLOWED, FRAGMENT},
        {"a.csv", "text/html", "<b>", "", NOT_ALLOWED, "This is a web page", FRAGMENT},
        {"a.log", "text/html", "<b>", "", NOT_ALLOWED, "This is a web page", FRAGMENT},
        {"a.png", "text/html", "<b>", "", NOT_ALLOWED, FRAGMENT},
        {"a.md", "text/html", "<b>", "text/html", MISMATCH, FRAGMENT},
        {"a.md", "text/html", "<html>", "", NOT_ALLOWED, .active = INSPECT_HTML},
        {"a.xml", "text/xml", "<a onload=''/>", "", NOT_ALLOWED, .active = INSPECT_MARKUP},
        {"a.xhtml", "text/xml", "<html/>", "", NOT_ALLOWED},
        {"a.js", "application/javascript", "x()", "", NOT_ALLOWED},
        {"a.js", "text/plain", "x()", "", NOT_ALLOWED},
        {"a.txt", "application/javascript", "x()", "", NOT_ALLOWED, "This is a script"},
        {"a.sh", "text/x-shellscript", "#!", "", NOT_ALLOWED},
        {"a.php", "text/x-php", "<?php", "", NOT_ALLOWED},
        {"a.php.jpg", "text/x-php", "<?php", "image/jpeg", NOT_ALLOWED},
        {"a.svgz", "application/gzip", "\x1f\x8b", "image/svg+xml", NOT_ALLOWED},
        {"a.tar.gz", "application/gzip", "\x1f\x8b", "", NOT_ALLOWED, ".gz"},
        {"a.zip", "application/x-rar", "Rar!", "", NOT_ALLOWED, "an archive of another kind"},
        {"a.7z", "application/x-7z-compressed", "7z", "", NOT_ALLOWED},
        {"a.jar", "application/java-archive", "PK", "", NOT_ALLOWED,
         .container = INSPECT_OTHER_ZIP},
        {"a.zip", "application/zip", "PK", "", NOT_ALLOWED, "This is a program",
         .container = INSPECT_OTHER_ZIP},
        {"a.docm", OOXML "wordprocessingml.document", "PK", "", NOT_ALLOWED, ".docm",
         .container = INSPECT_OOXML},
        {"a.ttf", "font/sfnt", "\0\1", "", NOT_ALLOWED, "font/sfnt"},
        {"a.pdf", OCTETS, "\x01\x02", "application/pdf", NOT_ALLOWED, OCTETS},
        {"a", OCTETS, "\x01\x02", "", NOT_ALLOWED, OCTETS},
        // and what only seems to be something else
        {"a.gif", "image/gif", "GIF89a/*<script>*/", "", NOT_ALLOWED, "besides",
         .has_active = true},
        {"a.pdf", "application/pdf", PDF, "", NOT_ALLOWED, .has_active = true},
        {"a.txt", "text/plain", "<script>", "", NOT_ALLOWED, .has_active = true},
        {"a.xml", "text/xml", "<a xmlns='http://www.w3.org/1999/xhtml'>", "", NOT_ALLOWED,
         .has_active = true},
    };
    for (size_t i = 0; i != sizeof rows / sizeof rows[0]; ++i)
        expect(&rows[i], false);
}

static void owners_files(void **state)
{
    static const struct row rows[] = {
        {"a.png", "image/png", PNG, "", "image/png", "a.png"},
        {"a.csv", "text/plain", TEXT, "text/csv", "text/csv", "a.csv"},
        {"a.html", "text/html", "<html>", "text/html", "text/html", "a.html", .has_active = true},
        {"a.js", "text/plain", "x()", "", "text/javascript", "a.js"},
        {"a.py", "text/plain", "x()", "", "text/x-python", "a.py"},
        {"a.txt", "text/html", "<html>", "text/plain", "text/html", "a.txt"},
        {"a.md", "text/html", "<b>", "", "text/markdown", "a.md", FRAGMENT},
        {"a.html", "text/html", "<b>", "", "text/html", "a.html", FRAGMENT},
        {"a.pdf", "image/png", PNG, "", "image/png", "a.pdf"},
        {"a.html", "image/png", PNG, "", "image/png", "a.html"},
        {"a.bin", OCTETS, "\x01", "", OCTETS, "a.bin"},
        {"a.unheardof", "text/plain", "x", "", "text/plain", "a.unheardof"},
        {"a.tar.gz", "application/gzip", "\x1f\x8b", "", OCTETS, "a.tar.gz"},
        {"a.exe", "application/x-dosexec", "MZ", "", OCTETS, "a.exe"},
        {"chart", "image/png", PNG, "", "image/png", "chart.png"},
        {"blob", OCTETS, "\x01", "", OCTETS, "blob"},
        {"page", "text/html", "<html>", "", "text/html", "page"},
        {"", OCTETS, "\x01", "", OCTETS, "file"},
    };
    for (size_t i = 0; i != sizeof rows / sizeof rows[0]; ++i)
        expect(&rows[i], true);
}

static void a_long_name_keeps_room_for_its_extension(void **state)
{
    char name[256], mime[FILE_MIME_ROOM], becomes[FILE_NAME_ROOM];
    struct inspect_seen seen = {.mime = "image/png"};
    struct fault fault;
    json_t *details = NULL;
    name[0] = 'a'; // so that the cut would fall into a character
    for (size_t i = 1; i < 255; i += 2)
        memcpy(name + i, "ö", 2);
    assert_int_equal(type_decide(&seen, STR(PNG), str_of(name, 255), STR(""), false, mime, becomes,
                                 &details, &fault),
                     FAIL_NONE);
    assert_true(str_is_utf8(str_from(becomes)));
    assert_true(str_ends(str_from(becomes), STR("ö.png")));
    assert_true(strlen(becomes) <= 255 && strlen(becomes) >= 250);
}

static void few_are_shown_in_place(void **state)
{
    static const struct {
        const char *mime;
        str head;
        bool is_inline;
    } rows[] = {
        {"image/png", STR(PNG), true},
        {"image/png", STR("<html>"), false},
        {"image/png", STR(""), false},
        {"image/jpeg", STR(JPEG), true},
        {"image/jpeg", STR(PNG), false},
        {"image/gif", STR(GIF), true},
        {"image/webp", STR("RIFF....WEBPVP8 "), true},
        {"image/webp", STR("RIFF....WAVEfmt "), false},
        {"image/avif",
         STR("\0\0\0\x20"
             "ftypavif\0\0\0\0"),
         true},
        {"image/avif",
         STR("\0\0\0\x20"
             "ftypheic\0\0\0\0"),
         false},
        {"image/bmp", STR("BM........................"), true},
        {"image/tiff", STR("II*\0"), false},
        {"image/svg+xml", STR(SVG), false},
        {"application/pdf", STR(PDF), false},
        {"text/plain", STR("hello\n"), true},
        {"text/plain", STR("a\0b"), false},
        {"text/plain",
         STR("\xff\xfe"
             "a\0"),
         false},
        {"text/csv", STR(TEXT), false},
        {"text/html", STR("<html>"), false},
        {"text/javascript", STR("x()"), false},
        {"text/x-python", STR("x()"), false},
        {"application/octet-stream", STR("x"), false},
        {"application/json", STR("{}"), false},
        {"application/xml", STR("<a/>"), false},
        {"application/zip", STR("PK"), false},
        {"audio/mpeg", STR("ID3"), true},
        {"audio/mpeg", STR(MP3), true},
        {"audio/mpeg", STR("<html>"), false},
        {"audio/wav", STR("RIFF....WAVEfmt "), true},
        {"audio/ogg", STR("OggS"), true},
        {"audio/flac", STR("fLaC"), true},
        {"video/mp4",
         STR("\0\0\0\x18"
             "ftypisom"),
         true},
        {"video/mp4", STR("<!doctype html>"), false},
        {"video/webm", STR("\x1a\x45\xdf\xa3"), true},
        {"video/x-msvideo", STR("RIFF....AVI "), false},
        {"", STR("x"), false},
    };
    for (size_t i = 0; i != sizeof rows / sizeof rows[0]; ++i)
        if (type_is_inline(rows[i].mime, rows[i].head) != rows[i].is_inline)
            fail_msg("%zu: %s", i, rows[i].mime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(visitors_files),
                                       cmocka_unit_test(owners_files),
                                       cmocka_unit_test(a_long_name_keeps_room_for_its_extension),
                                       cmocka_unit_test(few_are_shown_in_place)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
