// Folders into archives: what goes in, what stays out, what is refused, and always the same bytes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>
#include "edge/base/digest.h"
#include "edge/cli/source.h"

static char dir[64];

static int make_dir(void **state)
{
    strcpy(dir, "/tmp/stoa-pack-XXXXXX");
    return mkdtemp(dir) == NULL;
}

static int drop_dir(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", dir);
    return system(command);
}

static const char *at(const char *name)
{
    static char path[4][256];
    static unsigned turn;
    char *to = path[turn++ % 4];
    snprintf(to, sizeof path[0], "%s/%s", dir, name);
    return to;
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(at(name), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static struct digest digest_of(int fd, uint64_t bytes)
{
    char chunk[4096];
    struct digest_stream *s = digest_begin();
    for (uint64_t done = 0; done < bytes;) {
        ssize_t n = pread(fd, chunk, sizeof chunk, (off_t)done);
        assert_true(n > 0);
        digest_update(s, str_of(chunk, (size_t)n));
        done += (uint64_t)n;
    }
    return digest_end(s);
}

static void expect_names(int fd, const char *wanted)
{
    char names[512] = "";
    struct archive *a = archive_read_new();
    struct archive_entry *e;
    lseek(fd, 0, SEEK_SET);
    archive_read_support_format_tar(a);
    assert_int_equal(archive_read_open_fd(a, fd, 4096), ARCHIVE_OK);
    while (archive_read_next_header(a, &e) == ARCHIVE_OK) {
        strcat(strcat(names, archive_entry_pathname_utf8(e)), " ");
        assert_int_equal(archive_entry_uid(e), 0);
        assert_int_equal(archive_entry_mtime(e), 0);
        assert_int_equal(archive_entry_mode(e), S_IFREG | 0644);
        assert_string_equal(archive_entry_uname(e) != NULL ? archive_entry_uname(e) : "", "");
    }
    archive_read_free(a);
    assert_string_equal(names, wanted);
}

static void the_same_files_make_the_same_bytes(void **state)
{
    struct source s;
    struct problems problems;
    put("index.html", "<h1>hi</h1>");
    mkdir(at("b"), 0755);
    put("b/ünïcode.js", "1");
    put("a.css", "");
    problems_init(&problems);
    assert_int_equal(source_open(dir, &s, &problems, NULL), FAIL_NONE);
    assert_int_equal(s.kind, SOURCE_FOLDER);
    expect_names(s.fd, "a.css b/ünïcode.js index.html ");
    struct digest first = digest_of(s.fd, s.bytes);
    source_fini(&s);

    utime(at("index.html"), &(struct utimbuf){1, 1});
    chmod(at("a.css"), 0600);
    assert_int_equal(source_open(dir, &s, &problems, NULL), FAIL_NONE);
    struct digest second = digest_of(s.fd, s.bytes);
    assert_true(digest_eq(&first, &second));
    source_fini(&s);
    problems_fini(&problems);
}

static void what_is_not_meant_for_visitors_stays_out(void **state)
{
    struct source s;
    struct problems problems;
    problems_init(&problems);
    put(".env", "SECRET=1");
    put("notes.txt~", "old");
    mkdir(at(".git"), 0755);
    put(".git/config", "x");
    mkdir(at("node_modules"), 0755);
    put("node_modules/x.js", "x");
    mkdir(at(".well-known"), 0755);
    put(".well-known/security.txt", "x");
    assert_int_equal(source_open(dir, &s, &problems, NULL), FAIL_NONE);
    expect_names(s.fd, ".well-known/security.txt a.css b/ünïcode.js index.html ");
    assert_int_equal(s.pack.left_out_count, 4);
    assert_string_equal(s.pack.left_out[0], ".env");
    assert_string_equal(s.pack.left_out[1], ".git/");
    assert_string_equal(s.pack.left_out[2], "node_modules/");
    assert_string_equal(s.pack.left_out[3], "notes.txt~");
    source_fini(&s);
    problems_fini(&problems);
}

static void links_are_all_told_at_once(void **state)
{
    struct source s;
    struct problems problems;
    struct fault fault;
    problems_init(&problems);
    assert_int_equal(symlink("/etc/passwd", at("b/passwd")), 0);
    assert_int_equal(symlink("b", at("folder")), 0);
    assert_int_equal(mkfifo(at("pipe"), 0600), 0);
    assert_int_equal(source_open(dir, &s, &problems, &fault), FAIL_REFUSED);
    assert_string_equal(fault.code, "invalid_bundle");
    assert_int_equal(problems.count, 3);
    size_t links = 0;
    for (size_t i = 0; i != problems.count; ++i)
        links += strstr(problems.list[i].message, "symbolic link") != NULL;
    assert_int_equal(links, 2);
    source_fini(&s);
    problems_fini(&problems);
    unlink(at("b/passwd"));
    unlink(at("folder"));
    unlink(at("pipe"));
}

static void a_file_that_changes_meanwhile_is_noticed(void **state)
{
    struct pack pack;
    struct problems problems;
    struct fault fault;
    problems_init(&problems);
    assert_int_equal(pack_list(dir, &pack, &problems, &fault), FAIL_NONE);
    put("a.css", "grown");
    assert_int_equal(pack_write(dir, &pack, &fault), FAIL_CONFLICT);
    assert_string_equal(fault.code, "changed_meanwhile");
    pack_fini(&pack);
    problems_fini(&problems);
    put("a.css", "");
}

static void a_folder_without_a_start_page_is_told_where_to_look(void **state)
{
    struct source s;
    struct problems problems;
    struct fault fault;
    problems_init(&problems);
    mkdir(at("project"), 0755);
    mkdir(at("project/dist"), 0755);
    put("project/dist/index.html", "x");
    assert_int_equal(source_open(at("project"), &s, &problems, &fault), FAIL_REFUSED);
    assert_non_null(strstr(fault.public_text, "/project/dist?"));
    source_fini(&s);
    // A build's folder is named after the project, its own name says nothing.
    assert_int_equal(source_open(at("project/dist/"), &s, &problems, &fault), FAIL_NONE);
    assert_string_equal(s.slug, "project");
    source_fini(&s);
    // A folder whose one .pie says it all is that .pie.
    put("project/x.pie", "---\nname: x\n---\n");
    assert_int_equal(source_open(at("project"), &s, &problems, &fault), FAIL_NONE);
    assert_int_equal(s.kind, SOURCE_PIE);
    source_fini(&s);
    problems_fini(&problems);
}

static void expect_kind(const char *name, const char *text, int kind)
{
    struct source s;
    struct problems problems;
    problems_init(&problems);
    put(name, text);
    enum fail fail = source_open(at(name), &s, &problems, NULL);
    assert_int_equal(fail, kind >= 0 ? FAIL_NONE : FAIL_REFUSED);
    if (kind >= 0)
        assert_int_equal(s.kind, kind);
    source_fini(&s);
    problems_fini(&problems);
}

static void content_says_what_a_file_is(void **state)
{
    expect_kind("noname", "---\nname: a\n---\n", SOURCE_PIE);
    expect_kind("bom", "\xef\xbb\xbf---\r\nname: a\r\n", SOURCE_PIE);
    expect_kind("broken.pie", "nothing of the kind", SOURCE_PIE); // the server says what is wrong
    expect_kind("zip", "PK\003\004", SOURCE_ARCHIVE);
    expect_kind("gz", "\x1f\x8b", SOURCE_ARCHIVE);
    expect_kind("xz",
                "\xfd"
                "7zXZ",
                SOURCE_ARCHIVE);
    expect_kind("zst", "\x28\xb5\x2f\xfd", SOURCE_ARCHIVE);
    expect_kind("fake.zip", "GIF89a", -1);
    expect_kind("empty.tar", "", -1);
}

int main(void)
{
    setlocale(LC_CTYPE, "C.UTF-8");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_files_make_the_same_bytes),
        cmocka_unit_test(what_is_not_meant_for_visitors_stays_out),
        cmocka_unit_test(links_are_all_told_at_once),
        cmocka_unit_test(a_file_that_changes_meanwhile_is_noticed),
        cmocka_unit_test(a_folder_without_a_start_page_is_told_where_to_look),
        cmocka_unit_test(content_says_what_a_file_is),
    };
    return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
