// Archives as owners send them and as attackers do: through the caged process and back. Each evil
// one gets a sentence, and the next archive is served as if nothing had been.
#include "bundles/archive.h"
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "edge/base/clock.h"
#include "tests/unit/inspect/archives.h"
#include "tests/unit/inspect/workers.h"
#include <cmocka.h> // last: its fail() is a macro

static struct outcome {
    enum fail fail;
    struct fault fault;
    struct bundle_archive archive;
    struct problems problems, warnings;
    uint64_t took_ms;
} o;

static void forget(void)
{
    if (o.fail == FAIL_NONE)
        bundle_archive_fini(&o.archive);
    problems_fini(&o.problems);
    problems_fini(&o.warnings);
    memset(&o, 0, sizeof o);
}

static enum fail read_with(str bytes, const struct bundle_archive_limits *limits)
{
    forget();
    uint64_t start = clock_monotonic_ms();
    o.fail = bundle_archive_read(bytes, limits, &o.archive, &o.problems, &o.warnings, &o.fault);
    o.took_ms = clock_monotonic_ms() - start;
    return o.fail;
}

static void show(const struct problems *ps)
{
    for (size_t i = 0; i != ps->count; ++i)
        print_message("  [%s] %s\n", ps->list[i].section, ps->list[i].message);
}

static bool says(const struct problems *ps, const char *words)
{
    for (size_t i = 0; i != ps->count; ++i)
        if (strstr(ps->list[i].message, words) != NULL)
            return true;
    return false;
}

// Takes the buffer.
static void accepted_with(struct buf b, const struct bundle_archive_limits *limits)
{
    if (read_with(buf_str(&b), limits) != FAIL_NONE) {
        show(&o.problems);
        fail_msg("refused: %s %s", o.fault.public_text, o.fault.log_text);
    }
    buf_fini(&b);
}
static void accepted(struct buf b)
{
    accepted_with(b, NULL);
}

static void refused_with(struct buf b, const struct bundle_archive_limits *limits,
                         const char *words)
{
    enum fail fail = read_with(buf_str(&b), limits);
    buf_fini(&b);
    assert_int_equal(fail, FAIL_REFUSED);
    assert_string_equal(o.fault.code, "invalid_bundle");
    assert_true(o.problems.count != 0);
    if (!says(&o.problems, words)) {
        show(&o.problems);
        fail_msg("no problem says: %s", words);
    }
    for (size_t i = 0; i != o.problems.count; ++i)
        assert_true(str_is_utf8(str_from(o.problems.list[i].message)));
}
static void refused(struct buf b, const char *words)
{
    refused_with(b, NULL, words);
}

static bool has_file(const char *path, str content)
{
    for (size_t i = 0; i != o.archive.count; ++i)
        if (str_eq(o.archive.files[i].path, str_from(path)))
            return str_eq(o.archive.files[i].content, content);
    return false;
}

static bool is_caged = true; // a sanitizer's build has no limits

static int teardown(void **state)
{
    forget();
    return 0;
}

static char *noise(size_t n)
{
    char *p = malloc(n);
    uint64_t x = 88172645463325252u;
    for (size_t i = 0; i != n; ++i) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        p[i] = (char)x;
    }
    return p;
}

// --- what owners send ---

static void reads_each_format(void **state)
{
    static const char *const kinds[][2] = {{"zip", ""},    {"ustar", ""},     {"pax", ""},
                                           {"gnutar", ""}, {"ustar", "gzip"}, {"pax", "gzip"},
                                           {"pax", "xz"},  {"pax", "zstd"},   {"gnutar", "zstd"}};
    AUTOFREE char *large = noise(200000);
    for (size_t i = 0; i != sizeof kinds / sizeof *kinds; ++i) {
        struct made *m = made_begin(kinds[i][0], kinds[i][1], NULL);
        made_file(m, "index.html", STR("<p>hello"));
        made_special(m, "empty folder", S_IFDIR, NULL);
        made_file(m, "assets/app.js", str_of(large, 200000));
        made_file(m, "assets/nothing.css", STR(""));
        made_file(m, "nul", STR("a\0b"));
        accepted(made_end(m));
        assert_int_equal(o.archive.count, 4);
        assert_int_equal(o.archive.bytes, 8 + 200000 + 3);
        assert_true(has_file("index.html", STR("<p>hello")));
        assert_true(has_file("assets/app.js", str_of(large, 200000)));
        assert_true(has_file("assets/nothing.css", STR("")));
        assert_true(has_file("nul", STR("a\0b")));
        assert_int_equal(o.warnings.count, 0);
        assert_null(o.archive.public_config.p);
    }
}

static void takes_public_config_out(void **state)
{
    struct made *m = made_begin("zip", "", NULL);
    made_file(m, "index.html", STR("x"));
    made_file(m, "public-config.yaml", STR("entry: index.html\n"));
    made_file(m, "docs/public-config.yaml", STR("a page"));
    accepted(made_end(m));
    assert_int_equal(o.archive.count, 2);
    assert_true(str_eq(o.archive.public_config, STR("entry: index.html\n")));
    assert_true(has_file("docs/public-config.yaml", STR("a page")));
}

static void takes_one_folder_off_and_says_so(void **state)
{
    struct made *m = made_begin("pax", "gzip", NULL);
    made_special(m, "dist/", S_IFDIR, NULL);
    made_file(m, "dist/index.html", STR("x"));
    made_file(m, "dist/public-config.yaml", STR("entry: index.html\n"));
    made_file(m, "dist/a/b.js", STR("y"));
    made_file(m, "__MACOSX/dist/._a", STR("z"));
    accepted(made_end(m));
    assert_true(has_file("index.html", STR("x")));
    assert_true(has_file("a/b.js", STR("y")));
    assert_string_equal(o.archive.stripped, "dist");
    assert_non_null(o.archive.public_config.p);
    assert_true(says(&o.warnings, "\"dist\""));

    m = made_begin("pax", "", NULL);
    made_file(m, "dist/index.html", STR("x"));
    made_file(m, "public-config.yaml", STR("entry: dist/index.html\n"));
    accepted(made_end(m));
    assert_true(has_file("dist/index.html", STR("x")));
    assert_string_equal(o.archive.stripped, "");
    assert_int_equal(o.warnings.count, 0);
}

static void takes_the_dot_of_tar_off(void **state)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    tar_entry(&b, STR("./"), '5', STR(""), NULL);
    tar_entry(&b, STR("./index.html"), '0', STR("x"), NULL);
    tar_entry(&b, STR("./a/"), '5', STR(""), NULL);
    tar_entry(&b, STR("./a/b"), '0', STR("y"), NULL);
    tar_end(&b);
    accepted(b);
    assert_int_equal(o.archive.count, 2);
    assert_true(has_file("index.html", STR("x")));
    assert_true(has_file("a/b", STR("y")));
}

static void leaves_litter_out_with_one_warning_a_kind(void **state)
{
    struct made *m = made_begin("zip", "", NULL);
    made_file(m, "index.html", STR("x"));
    made_file(m, ".DS_Store", STR("x"));
    made_file(m, "a/.DS_Store", STR("x"));
    made_file(m, "a/Thumbs.db", STR("x"));
    made_file(m, "a/b", STR("x"));
    made_file(m, "__MACOSX/._index.html", STR("x"));
    made_file(m, "__MACOSX/a/._b", STR("x"));
    accepted(made_end(m));
    assert_int_equal(o.archive.count, 2);
    assert_int_equal(o.warnings.count, 3);
    assert_true(says(&o.warnings, "__MACOSX was left out (2 entries)"));
    assert_true(says(&o.warnings, ".DS_Store was left out (2 entries)"));
    assert_true(says(&o.warnings, "Thumbs.db was left out (1 entry)"));
}

static void warns_of_files_that_are_never_served(void **state)
{
    struct made *m = made_begin("zip", "", NULL);
    made_file(m, "index.html", STR("x"));
    made_file(m, ".git/config", STR("x"));
    made_file(m, ".well-known/security.txt", STR("x"));
    made_file(m, "a/.env", STR("x"));
    accepted(made_end(m));
    assert_int_equal(o.archive.count, 4);
    assert_true(says(&o.warnings, "2 files are kept but never served"));
}

static void keeps_unicode_names(void **state)
{
    static const char *const formats[] = {"zip", "pax", "gnutar", "ustar"};
    for (size_t i = 0; i != 4; ++i) {
        struct made *m = made_begin(formats[i], "", NULL);
        made_file(m, "index.html", STR("x"));
        made_file(m, "日本/é ß.txt", STR("y"));
        made_file(m, "🙂.png", STR("z"));
        accepted(made_end(m));
        assert_true(has_file("日本/é ß.txt", STR("y")));
        assert_true(has_file("🙂.png", STR("z")));
    }
}

static void reads_long_names_of_gnu_and_pax(void **state)
{
    static const char *const formats[] = {"gnutar", "pax"};
    char name[600] = "";
    for (int i = 0; i != 5; ++i)
        snprintf(name + strlen(name), sizeof name - strlen(name), "%0100d/", i);
    strcat(name, "end.txt");
    for (size_t i = 0; i != 2; ++i) {
        struct made *m = made_begin(formats[i], "", NULL);
        made_file(m, "index.html", STR("x"));
        made_file(m, name, STR("long"));
        accepted(made_end(m));
        assert_true(has_file(name, STR("long")));
    }
}

// `zip - files` writes sizes behind the data, since it cannot go back.
static void reads_zip_with_data_descriptors_and_zip64(void **state)
{
    struct made *m = made_begin("zip", "", "zip:zip64");
    made_file(m, "index.html", STR("zip64"));
    accepted(made_end(m));
    assert_true(has_file("index.html", STR("zip64")));

    struct zip z;
    zip_begin(&z);
    struct buf packed = deflated(STR("described behind"));
    struct buf data;
    buf_init(&data, 1000);
    buf_add(&data, buf_str(&packed));
    uint32_t descriptor[4] = {0x08074b50, crc32_of(STR("described behind")), (uint32_t)packed.n,
                              16};
    zip_add(&z, &(struct zip_entry){.name = STR("index.html"),
                                    .data = buf_str(&packed),
                                    .method = 8,
                                    .flags = 8,
                                    .crc = descriptor[1],
                                    .size = 16});
    buf_add(&z.bytes, str_of(descriptor, sizeof descriptor));
    zip_store(&z, STR("next.txt"), STR("next"));
    accepted(zip_end(&z));
    assert_true(has_file("index.html", STR("described behind")));
    assert_true(has_file("next.txt", STR("next")));
    buf_fini(&packed);
    buf_fini(&data);
}

static void fills_the_holes_of_sparse_files(void **state)
{
    // GNU's old form: the map is in the header, the data are 3 bytes at 1,000 of 5,000
    struct buf b;
    buf_init(&b, 1 << 20);
    size_t at = b.n;
    tar_entry(&b, STR("sparse.bin"), 'S', STR("abc"), NULL);
    char *h = b.p + at;
    memcpy(h + 257, "ustar  ", 8);
    memset(h + 345, 0, 512 - 345);
    snprintf(h + 386, 12, "%011o", 1000);
    snprintf(h + 398, 12, "%011o", 3);
    snprintf(h + 410, 12, "%011o", 5000);
    snprintf(h + 422, 12, "%011o", 0);
    snprintf(h + 483, 12, "%011o", 5000);
    memset(h + 148, ' ', 8);
    unsigned sum = 0;
    for (size_t i = 0; i != 512; ++i)
        sum += (unsigned char)h[i];
    snprintf(h + 148, 8, "%06o", sum);
    tar_entry(&b, STR("index.html"), '0', STR("x"), NULL);
    tar_end(&b);
    accepted(b);
    char expected[5000] = {0};
    memcpy(expected + 1000, "abc", 3);
    assert_true(has_file("sparse.bin", str_of(expected, sizeof expected)));
    assert_true(has_file("index.html", STR("x")));
}

static void an_archive_inside_is_a_file(void **state)
{
    struct made *m = made_begin("pax", "gzip", NULL);
    made_file(m, "../../evil", STR("x"));
    struct buf inner = made_end(m);
    m = made_begin("pax", "gzip", NULL);
    made_file(m, "inner.tar.gz", buf_str(&inner));
    accepted(made_end(m));
    assert_true(has_file("inner.tar.gz", buf_str(&inner)));
    buf_fini(&inner);
}

// --- what is no archive ---

static struct buf text(str s)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    buf_add(&b, s);
    return b;
}

static void refuses_what_is_no_archive(void **state)
{
    static const char no[] = "neither a zip nor a tar file";
    refused(text(STR("")), no);
    refused(text(STR("<!doctype html><p>hello")), no);
    refused(text(STR("7z\xbc\xaf\x27\x1c\0\4rest of it")), no);
    refused(text(STR("Rar!\x1a\x07\0")), no);
    refused(text(STR("!<arch>\ndebian-binary   1 2 3")), no);
    refused(text(STR("#mtree\n./a type=file\n")), no);
    refused(gzipped(STR("<!doctype html><p>hello")), no);
    struct made *m = made_begin("pax", "bzip2", NULL);
    made_file(m, "index.html", STR("x"));
    refused(made_end(m), no);
    m = made_begin("cpio", "", NULL);
    made_file(m, "index.html", STR("x"));
    refused(made_end(m), no);
}

static void refuses_two_filters(void **state)
{
    struct made *m = made_begin("pax", "gzip", NULL);
    made_file(m, "index.html", STR("x"));
    struct buf once = made_end(m), twice = gzipped(buf_str(&once));
    refused(twice, "compressed more than once");
    buf_fini(&once);
    m = made_begin("zip", "", NULL);
    made_file(m, "index.html", STR("x"));
    once = made_end(m);
    refused(gzipped(buf_str(&once)), "neither a zip nor a tar file");
    buf_fini(&once);
}

static void refuses_empty_archives(void **state)
{
    struct made *m = made_begin("pax", "", NULL);
    made_special(m, "folder", S_IFDIR, NULL);
    refused(made_end(m), "no file");
    m = made_begin("zip", "", NULL);
    made_file(m, "public-config.yaml", STR("entry: x\n"));
    refused(made_end(m), "no file");
}

static void refuses_split_zips(void **state)
{
    struct zip z;
    zip_begin(&z);
    z.disk = 1;
    zip_store(&z, STR("index.html"), STR("x"));
    refused(zip_end(&z), "one part of a split archive");
    refused(text(STR("PK\x07\x08PK\x03\x04 first part")), "one part of a split archive");
}

// --- names and kinds ---

static void refuses_evil_names_all_at_once(void **state)
{
    char long_segment[300];
    memset(long_segment, 'a', sizeof long_segment);
    struct zip z;
    zip_begin(&z);
    zip_store(&z, STR("good.html"), STR("x"));
    zip_store(&z, STR("../up"), STR("x"));
    zip_store(&z, STR("a/../../up"), STR("x"));
    zip_store(&z, STR("/etc/passwd"), STR("x"));
    zip_store(&z, STR("a\nb"), STR("x"));
    zip_store(&z, STR("a//b"), STR("x"));
    zip_store(&z, STR("a/./b"), STR("x"));
    zip_store(&z, str_of(long_segment, 256), STR("x"));
    zip_store(&z, STR(".well-known/acme-challenge/x"), STR("x"));
    zip_store(&z, STR("a\xc2\x85z"), STR("x"));
    refused(zip_end(&z), "\"../up\"");
    assert_true(says(&o.problems, "\"a/../../up\""));
    assert_true(says(&o.problems, "\"/etc/passwd\""));
    assert_true(says(&o.problems, "control characters"));
    assert_true(says(&o.problems, "empty segment"));
    assert_true(says(&o.problems, "more than 255 bytes"));
    assert_true(says(&o.problems, "acme-challenge"));
    assert_int_equal(o.problems.count, 9);
}

static void refuses_evil_names_of_tar(void **state)
{
    static const str names[] = {{"../up", 5}, {"/abs", 4}, {"./../up", 7}, {"..", 2}, {"a\\b", 3}};
    for (size_t i = 0; i != sizeof names / sizeof *names; ++i) {
        struct buf b;
        buf_init(&b, 1 << 20);
        tar_entry(&b, names[i], '0', STR("x"), NULL);
        tar_end(&b);
        refused(b, "The path");
    }
}

// Old Windows programs write those; the name is judged with slashes.
static void backslashes_of_zip_are_slashes(void **state)
{
    struct zip z;
    zip_begin(&z);
    zip_store(&z, STR("a\\b.html"), STR("x"));
    zip_store(&z, STR("..\\c.html"), STR("x"));
    refused(zip_end(&z), "\"../c.html\"");
    assert_int_equal(o.problems.count, 1);
}

// The name that counts is the one that pax gives, not the harmless one of the header.
static void refuses_evil_names_of_pax(void **state)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    tar_entry(&b, STR("x"), 'x', STR("16 path=../evil\n"), NULL);
    tar_entry(&b, STR("good.html"), '0', STR("x"), NULL);
    tar_end(&b);
    refused(b, "\"../evil\"");
    buf_init(&b, 1 << 20);
    tar_entry(&b, STR("x"), 'g', STR("16 path=../evil\n"), NULL);
    tar_entry(&b, STR("good.html"), '0', STR("x"), NULL);
    tar_end(&b);
    read_with(buf_str(&b), NULL); // either the name is not taken over, or it is refused
    assert_true(o.fail == FAIL_REFUSED || has_file("good.html", STR("x")));
    buf_fini(&b);
}

static void refuses_names_that_are_not_utf8(void **state)
{
    struct zip z;
    zip_begin(&z);
    struct zip_entry cp437 = {
        .name = STR("caf\x82.html"), .data = STR("x"), .size = 1, .crc = crc32_of(STR("x"))};
    zip_add(&z, &cp437);
    refused(zip_end(&z), "caf\\x82.html");
    zip_begin(&z);
    cp437.flags = 1 << 11; // says that it is UTF-8
    zip_add(&z, &cp437);
    zip_store(&z, STR("next.html"), STR("x"));
    refused(zip_end(&z), "name is not valid UTF-8");
    struct buf b;
    buf_init(&b, 1 << 20);
    tar_entry(&b, STR("caf\xe9.html"), '0', STR("x"), NULL);
    tar_end(&b);
    refused(b, "caf\\xe9.html");
    buf_init(&b, 1 << 20);
    tar_entry(&b, STR("x"), 'x',
              STR("14 path=a\xff"
                  "bcd\n"),
              NULL);
    tar_entry(&b, STR("good.html"), '0', STR("x"), NULL);
    tar_end(&b);
    refused(b, "\"a");
}

// libarchive goes on with what it could make of such a header.
static void refuses_headers_that_are_not_in_order(void **state)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    tar_entry(&b, STR("x"), 'x', STR("20 path=other.html\n"), NULL); // one too long
    tar_entry(&b, STR("good.html"), '0', STR("x"), NULL);
    tar_end(&b);
    refused(b, "\"good.html\" is damaged");
}

static void a_nul_in_a_name_is_no_way_around(void **state)
{
    struct zip z;
    zip_begin(&z);
    zip_store(&z, STR("index.html\0../../x"), STR("x"));
    refused(zip_end(&z), "NUL");
}

static void refuses_all_that_is_no_file(void **state)
{
    static const struct {
        char type;
        const char *words;
    } kinds[] = {{'1', "a link to another entry"},
                 {'2', "a symbolic link"},
                 {'3', "a device"},
                 {'4', "a device"},
                 {'6', "a named pipe"}};
    struct buf b;
    buf_init(&b, 1 << 20);
    tar_entry(&b, STR("index.html"), '0', STR("x"), NULL);
    for (size_t i = 0; i != 5; ++i)
        tar_entry(&b, STR("evil"), kinds[i].type, STR(""), "/etc/passwd");
    tar_end(&b);
    refused(b, kinds[0].words);
    for (size_t i = 0; i != 5; ++i)
        assert_true(says(&o.problems, kinds[i].words));
    assert_int_equal(o.problems.count, 5);

    struct zip z;
    zip_begin(&z);
    zip_add(&z, &(struct zip_entry){.name = STR("link"),
                                    .data = STR("/etc/passwd"),
                                    .size = 11,
                                    .crc = crc32_of(STR("/etc/passwd")),
                                    .mode = S_IFLNK | 0777});
    zip_store(&z, STR("index.html"), STR("x"));
    refused(zip_end(&z), "\"link\" is a symbolic link");
}

static void refuses_encrypted_entries(void **state)
{
    static const char *const ways[] = {"zip:encryption=traditional", "zip:encryption=aes256"};
    for (size_t i = 0; i != 2; ++i) {
        struct made *m = made_begin("zip", "", ways[i]);
        made_file(m, "index.html", STR("secret"));
        made_file(m, "b.html", STR("secret"));
        refused(made_end(m), "\"index.html\" is encrypted");
        assert_int_equal(o.problems.count, 2);
    }
}

static void refuses_names_that_clash(void **state)
{
    struct zip z;
    zip_begin(&z);
    zip_store(&z, STR("a.html"), STR("x"));
    zip_store(&z, STR("a.html"), STR("y"));
    zip_store(&z, STR("Readme"), STR("x"));
    zip_store(&z, STR("README"), STR("x"));
    zip_store(&z, STR("folder"), STR("x"));
    zip_store(&z, STR("folder/file"), STR("x"));
    refused(zip_end(&z), "twice");
    assert_true(says(&o.problems, "upper and lower case"));
    assert_true(says(&o.problems, "both a file and a folder"));

    struct buf b; // the last one would win in most readers
    buf_init(&b, 1 << 20);
    tar_entry(&b, STR("index.html"), '0', STR("x"), NULL);
    tar_entry(&b, STR("./index.html"), '0', STR("y"), NULL);
    tar_end(&b);
    refused(b, "twice");
}

static void the_folder_hides_nothing(void **state)
{
    struct made *m = made_begin("zip", "", NULL);
    made_file(m, "dist/index.html", STR("x"));
    made_file(m, "dist/.well-known/acme-challenge/token", STR("x"));
    refused(made_end(m), "acme-challenge");
    m = made_begin("zip", "", NULL);
    made_file(m, "../index.html", STR("x"));
    refused(made_end(m), "'..'");
}

// --- limits ---

static const struct bundle_archive_limits tight = {
    .files = 10, .file_bytes = 300000, .total_bytes = 700000};

static struct buf many_files(size_t n, size_t folders)
{
    struct made *m = made_begin("ustar", "zstd", NULL);
    char name[32];
    for (size_t i = 0; i != folders; ++i) {
        snprintf(name, sizeof name, "folder%zu", i);
        made_special(m, name, S_IFDIR, NULL);
    }
    for (size_t i = 0; i != n; ++i) {
        snprintf(name, sizeof name, "f%zu", i);
        made_file(m, name, STR("x"));
    }
    return made_end(m);
}

static void counts_files_and_not_folders(void **state)
{
    accepted(many_files(5000, 700));
    assert_int_equal(o.archive.count, 5000);
    refused(many_files(5001, 0), "more than 5000 files");
    refused_with(many_files(0, 1041), &tight, "too many entries");
}

static void measures_what_comes_out(void **state)
{
    AUTOFREE char *bytes = noise(400000);
    struct made *m = made_begin("zip", "", NULL);
    made_file(m, "a", str_of(bytes, 300000));
    made_file(m, "b", str_of(bytes, 300000));
    accepted_with(made_end(m), &tight);
    m = made_begin("pax", "gzip", NULL);
    made_file(m, "a", str_of(bytes, 300001));
    made_file(m, "b", str_of(bytes, 300002));
    made_file(m, "c", str_of(bytes, 10));
    refused_with(made_end(m), &tight, "\"a\" has more than 300000 bytes");
    assert_true(says(&o.problems, "\"b\" has more than 300000 bytes"));
    assert_int_equal(o.problems.count, 2);
    m = made_begin("pax", "gzip", NULL);
    made_file(m, "a", str_of(bytes, 250000));
    made_file(m, "b", str_of(bytes, 250000));
    made_file(m, "c", str_of(bytes, 250000));
    refused_with(made_end(m), &tight, "The archive has more than 700000 bytes");
}

static void lies_about_sizes_do_not_help(void **state)
{
    AUTOFREE char *bytes = noise(400000);
    struct buf packed = deflated(str_of(bytes, 400000));
    for (uint32_t says_size = 10; says_size < 3000000000u; says_size += 2999999980u) {
        struct zip z;
        zip_begin(&z);
        zip_add(&z, &(struct zip_entry){.name = STR("index.html"),
                                        .data = buf_str(&packed),
                                        .method = 8,
                                        .crc = crc32_of(str_of(bytes, 400000)),
                                        .size = says_size});
        refused_with(zip_end(&z), &tight, "index.html");
    }
    struct zip z; // local header and central directory differ
    zip_begin(&z);
    zip_add(&z, &(struct zip_entry){.name = STR("index.html"),
                                    .data = STR("hello"),
                                    .crc = crc32_of(STR("hello")),
                                    .size = 5,
                                    .local_size = 500});
    struct buf b = zip_end(&z);
    if (read_with(buf_str(&b), &tight) == FAIL_NONE)
        assert_true(has_file("index.html", STR("hello")));
    buf_fini(&b);
    zip_begin(&z); // a checksum that is not the content's
    zip_add(&z, &(struct zip_entry){
                    .name = STR("index.html"), .data = STR("hello"), .crc = 1, .size = 5});
    refused(zip_end(&z), "\"index.html\" is damaged");
    buf_init(&b, 1 << 20); // a tar file that promises 1 TB
    tar_header(&b, STR("index.html"), '0', 1ull << 32, NULL);
    buf_add(&b, STR("short"));
    refused(b, "cut short or damaged");
    buf_fini(&packed);
}

// --- bombs ---

static void assert_cheap(void)
{
    assert_true(o.took_ms < 10000);
    assert_true(workers_peak_kib < 700 * 1024);
}

static void refuses_zip_bombs(void **state)
{
    AUTOFREE char *zeros = calloc(1, 100 << 20);
    struct made *m = made_begin("zip", "", NULL);
    for (int i = 0; i != 5; ++i)
        made_file(m, (char[]){(char)('a' + i), 0}, str_of(zeros, 20 << 20));
    refused(made_end(m), "unpacks to far more than its size");
    assert_cheap();
    m = made_begin("pax", "zstd", NULL);
    made_file(m, "a", str_of(zeros, 20 << 20));
    refused(made_end(m), "unpacks to far more than its size");
    assert_cheap();
}

// One compressed kernel that thousands of entries share: 90 KB that unpack to 25 GB.
static void refuses_overlapping_entries(void **state)
{
    AUTOFREE char *bytes = calloc(1, 20 << 20);
    struct buf packed = deflated(str_of(bytes, 20 << 20));
    struct zip z;
    zip_begin(&z);
    struct zip_entry e = {.name = STR("0000"),
                          .data = buf_str(&packed),
                          .method = 8,
                          .crc = crc32_of(str_of(bytes, 20 << 20)),
                          .size = 20 << 20};
    zip_add(&z, &e);
    e.shares = true;
    char name[8];
    for (int i = 1; i != 1250; ++i) {
        snprintf(name, sizeof name, "%04d", i);
        e.name = str_of(name, 4);
        zip_add(&z, &e);
    }
    struct buf b = zip_end(&z);
    assert_int_equal(read_with(buf_str(&b), NULL), FAIL_REFUSED);
    buf_fini(&b);
    buf_fini(&packed);
    assert_cheap();
}

// What a reader skips is unpacked as well: content of a device, and of headers that nobody reads.
static void skipped_content_is_counted(void **state)
{
    AUTOFREE char *zeros = calloc(1, 64 << 20);
    struct buf b;
    buf_init(&b, 100 << 20);
    tar_entry(&b, STR("index.html"), '0', STR("x"), NULL);
    tar_entry(&b, STR("device"), '3', STR(""), NULL);
    tar_entry(&b, STR("label"), 'V', str_of(zeros, 64 << 20), NULL);
    tar_end(&b);
    struct buf packed = gzipped(buf_str(&b));
    buf_fini(&b);
    read_with(buf_str(&packed), NULL);
    assert_cheap();
    buf_fini(&packed);
}

static void memory_of_unpackers_is_bounded(void **state)
{
    // an xz header that asks for a dictionary of 1.5 GiB: stream header, block header, LZMA2
    static const unsigned char xz[] = {0xfd, '7',  'z',  'X',  'Z',  0,    0,    0,    0xff, 0x12,
                                       0xd9, 0x41, 0x02, 0x00, 0x21, 0x01, 0x27, 0x00, 0x00, 0x00};
    struct buf b;
    buf_init(&b, 1 << 20);
    buf_add(&b, str_of(xz, sizeof xz));
    uint32_t crc = crc32_of(str_of(xz + 12, 8));
    buf_add(&b, str_of(&crc, 4));
    buf_add(&b, STR("\x01\x00\x05hello!"));
    refused(b, is_caged ? "needs too much memory" : "");
    assert_cheap();
}

static void reads_the_largest_windows_in_use(void **state)
{
    AUTOFREE char *bytes = noise(3 << 20);
    struct made *m = made_begin("pax", "xz", "xz:compression-level=9");
    made_file(m, "a", str_of(bytes, 3 << 20));
    accepted(made_end(m));
    m = made_begin("pax", "zstd", "zstd:compression-level=19");
    made_file(m, "a", str_of(bytes, 3 << 20));
    accepted(made_end(m));
}

// --- damage ---

// Cut anywhere, an archive is refused or still whole: never a part of it.
static void cut_archives_are_never_half_read(void **state)
{
    static const char *const kinds[][2] = {
        {"zip", ""}, {"pax", "gzip"}, {"pax", "xz"}, {"pax", "zstd"}};
    AUTOFREE char *bytes = noise(30000);
    for (size_t i = 0; i != 4; ++i) {
        struct made *m = made_begin(kinds[i][0], kinds[i][1], NULL);
        made_file(m, "index.html", STR("<p>hello"));
        made_file(m, "a/noise.bin", str_of(bytes, 30000));
        made_file(m, "end.html", STR("<p>end"));
        struct buf b = made_end(m);
        for (size_t n = 0; n < b.n; n += b.n / 12) {
            if (read_with(str_of(b.p, n), NULL) == FAIL_NONE)
                assert_int_equal(o.archive.count, 3);
            else
                assert_true(o.problems.count != 0);
        }
        buf_fini(&b);
    }
    assert_cheap();
}

static void damaged_archives_are_refused(void **state)
{
    AUTOFREE char *bytes = noise(30000);
    struct made *m = made_begin("pax", "gzip", NULL);
    made_file(m, "index.html", STR("<p>hello"));
    made_file(m, "a/noise.bin", str_of(bytes, 30000));
    struct buf b = made_end(m);
    memset(b.p + b.n / 2, 0x55, 200);
    refused(b, "cut short or damaged");
    assert_true(says(&o.problems, "\"a/noise.bin\""));
}

// A tar of one page and noise, in as many gzip members as there are sizes.
static struct buf members(const size_t *sizes, size_t count)
{
    AUTOFREE char *bytes = noise(100000);
    struct made *m = made_begin("ustar", "", NULL);
    made_file(m, "index.html", STR("<p>hello"));
    made_file(m, "noise.bin", str_of(bytes, 100000));
    struct buf tar = made_end(m), all;
    buf_init(&all, 1 << 20);
    str rest = buf_str(&tar);
    for (size_t i = 0; i != count; ++i) {
        size_t n = sizes[i] < rest.n ? sizes[i] : rest.n;
        struct buf one = gzipped(str_of(rest.p, n));
        rest = str_skip(rest, n);
        buf_add(&all, buf_str(&one));
        buf_fini(&one);
    }
    buf_fini(&tar);
    return all;
}

static void checksums_of_gzip_are_looked_at(void **state)
{
    static const size_t one[] = {SIZE_MAX};
    accepted(members(one, 1));
    // of content (noise is stored as it is), checksum and length
    static const size_t places[] = {50000, 8, 1};
    for (size_t i = 0; i != 3; ++i) {
        struct buf b = members(one, 1);
        b.p[b.n - places[i]] ^= 1;
        refused(b, "cut short or damaged");
    }
    for (size_t cut = 1; cut <= 8; ++cut) {
        struct buf b = members(one, 1);
        b.n -= cut;
        refused(b, "cut short or damaged");
    }
}

static void gzip_may_have_members(void **state)
{
    static const size_t sizes[] = {700, 1, 60000, SIZE_MAX};
    struct buf b = members(sizes, 4);
    buf_add(&b, str_of("\0\0\0\0", 4)); // a tape's padding
    accepted(b);
    struct buf head = members(sizes, 1);
    size_t end = head.n;
    buf_fini(&head);
    b = members(sizes, 4);
    b.p[end - 8] ^= 1; // the first one's checksum
    refused(b, "cut short or damaged");
    b = members(sizes, 4);
    b.p[b.n - 8] ^= 1;
    refused(b, "cut short or damaged");
}

// Behind the tar's end, where nobody looks.
static void a_tail_of_gzip_is_counted(void **state)
{
    AUTOFREE char *zeros = calloc(1, 64 << 20);
    struct buf tar;
    buf_init(&tar, 100 << 20);
    tar_entry(&tar, STR("index.html"), '0', STR("x"), NULL);
    tar_end(&tar);
    buf_add(&tar, str_of(zeros, 64 << 20));
    struct buf b = gzipped(buf_str(&tar));
    buf_fini(&tar);
    refused(b, "unpacks to far more than its size");
    assert_cheap();
}

static void text_of_strangers_is_escaped(void **state)
{
    struct zip z;
    zip_begin(&z);
    zip_store(&z, STR("\x1b]0;owned\x07/\xe2\x80\xae.html"), STR("x"));
    refused(zip_end(&z), "control characters");
    for (const char *p = o.problems.list[0].message; *p != '\0'; ++p)
        assert_true((unsigned char)*p >= 0x20);
    for (const char *p = o.problems.list[0].section; *p != '\0'; ++p)
        assert_true((unsigned char)*p >= 0x20);
    assert_null(strstr(o.problems.list[0].message, "\xe2\x80\xae"));
}

int main(int argc, char **argv)
{
    if (argc > 1)
        workers_program = argv[1];
    is_caged = argc == 1;
    setlocale(LC_CTYPE, "C.UTF-8"); // for libarchive's writer
    inspect_init(2, &workers_source);
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
        TEST(reads_each_format),
        TEST(takes_public_config_out),
        TEST(takes_one_folder_off_and_says_so),
        TEST(takes_the_dot_of_tar_off),
        TEST(leaves_litter_out_with_one_warning_a_kind),
        TEST(warns_of_files_that_are_never_served),
        TEST(keeps_unicode_names),
        TEST(reads_long_names_of_gnu_and_pax),
        TEST(reads_zip_with_data_descriptors_and_zip64),
        TEST(fills_the_holes_of_sparse_files),
        TEST(an_archive_inside_is_a_file),
        TEST(refuses_what_is_no_archive),
        TEST(refuses_two_filters),
        TEST(refuses_empty_archives),
        TEST(refuses_split_zips),
        TEST(refuses_evil_names_all_at_once),
        TEST(refuses_evil_names_of_tar),
        TEST(backslashes_of_zip_are_slashes),
        TEST(refuses_evil_names_of_pax),
        TEST(refuses_names_that_are_not_utf8),
        TEST(refuses_headers_that_are_not_in_order),
        TEST(a_nul_in_a_name_is_no_way_around),
        TEST(refuses_all_that_is_no_file),
        TEST(refuses_encrypted_entries),
        TEST(refuses_names_that_clash),
        TEST(the_folder_hides_nothing),
        TEST(counts_files_and_not_folders),
        TEST(measures_what_comes_out),
        TEST(lies_about_sizes_do_not_help),
        TEST(refuses_zip_bombs),
        TEST(refuses_overlapping_entries),
        TEST(skipped_content_is_counted),
        TEST(memory_of_unpackers_is_bounded),
        TEST(reads_the_largest_windows_in_use),
        TEST(cut_archives_are_never_half_read),
        TEST(damaged_archives_are_refused),
        TEST(checksums_of_gzip_are_looked_at),
        TEST(gzip_may_have_members),
        TEST(a_tail_of_gzip_is_counted),
        TEST(text_of_strangers_is_escaped),
        TEST(reads_each_format), // and all is as it was
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    inspect_fini();
    return failed != 0 || workers_alive != 0;
}
