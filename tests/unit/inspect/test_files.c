// What single files are taken for, by the caged program, one process for each.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "edge/base/clock.h"
#include "edge/inspect/files_protocol.h"
#include "tests/unit/inspect/samples.h"
#include "tests/unit/inspect/workers.h"
#include <cmocka.h> // last: its fail() is a macro

static size_t wrong;

static void check(const char *name, str bytes, const char *mime, enum inspect_container container,
                  enum inspect_active active)
{
    struct inspect_seen seen = {0};
    struct fault fault = {0};
    enum fail fail = inspect_file(bytes, &seen, &fault);
    bool ok = fail == FAIL_NONE && strcmp(seen.mime, mime) == 0 && seen.container == container &&
              seen.active == active && seen.has_active == (active != INSPECT_NOT_ACTIVE);
    print_message("%-14s %s container=%d active=%d %s%s\n", name, seen.mime, seen.container,
                  seen.active, ok ? "" : "WRONG ", fault.log_text);
    wrong += !ok;
}

static void knows_every_sample(void **state)
{
    wrong = 0;
    for (size_t i = 0; i != sample_count; ++i)
        check(samples[i].name, samples[i].bytes, samples[i].mime, samples[i].container,
              samples[i].active);
    assert_int_equal(wrong, 0);
}

static void looks_into_zip_files(void **state)
{
    wrong = 0;
    for (size_t i = 0; i != sample_package_count; ++i) {
        struct buf b = sample_zip(sample_packages[i].entries);
        check(sample_packages[i].name, buf_str(&b), sample_packages[i].mime,
              sample_packages[i].container, 0);
        buf_fini(&b);
    }
    assert_int_equal(wrong, 0);
}

// Two readers, two directories: whoever takes the last signature of an end for the end sees a harmless
// one, and those who run programs look for an end that fits.
static void believes_one_directory_only(void **state)
{
    static const struct sample_entry harmless[] = {{"a.txt", "a"}, {NULL, NULL}},
                                     program[] = {{"META-INF/MANIFEST.MF", ""}, {NULL, NULL}};
    enum { END = 22, SIZE = 12, OFFSET = 16, COMMENT = 20 };
    struct buf jar = sample_zip(program), zip = sample_zip(harmless), b = sample_zip(harmless);
    const char *unknown = "application/octet-stream";
    wrong = 0;
    // in the comment, with a word behind it that it does not know of
    char *end = zip.p + zip.n - END;
    size_t local = (size_t)(unsigned char)end[OFFSET];
    jar.p[jar.n - END + COMMENT] = (char)(zip.n - local + 4);
    buf_add(&jar, str_skip(buf_str(&zip), local));
    buf_add(&jar, STR("tail"));
    check("comment", buf_str(&jar), unknown, INSPECT_NO_CONTAINER, 0);
    // not where it says it is
    b.p[b.n - END + OFFSET] ^= 1;
    check("elsewhere", buf_str(&b), unknown, INSPECT_NO_CONTAINER, 0);
    b.p[b.n - END + OFFSET] ^= 1;
    // more entries than there are
    b.p[b.n - END + SIZE - 2] = 2;
    check("more", buf_str(&b), unknown, INSPECT_NO_CONTAINER, 0);
    b.p[b.n - END + SIZE - 2] = 1;
    check("honest", buf_str(&b), "application/zip", INSPECT_ZIP, 0);
    // zip64's records without need, as zip writes them into a pipe, and with a lie in them
    struct buf wide = sample_zip(harmless), rest;
    size_t directory = (size_t)(unsigned char)wide.p[wide.n - END + OFFSET];
    char record[56] = "PK\x06\x06", locator[20] = "PK\x06\x07";
    record[4] = 44;
    record[24] = record[32] = 1;
    record[40] = (char)(wide.n - END - directory);
    record[48] = (char)directory;
    buf_init(&rest, 1024);
    buf_add(&rest, str_of(wide.p, wide.n - END));
    buf_add(&rest, str_of(record, sizeof record));
    buf_add(&rest, str_of(locator, sizeof locator));
    buf_add(&rest, str_of(wide.p + wide.n - END, END));
    check("zip64", buf_str(&rest), "application/zip", INSPECT_ZIP, 0);
    rest.p[wide.n - END + 32] = 2;
    check("zip64 lies", buf_str(&rest), unknown, INSPECT_NO_CONTAINER, 0);
    buf_fini(&wide);
    buf_fini(&rest);
    // an honest comment
    b.p[b.n - END + COMMENT] = 4;
    buf_add(&b, STR("tail"));
    check("with comment", buf_str(&b), "application/zip", INSPECT_ZIP, 0);
    assert_int_equal(wrong, 0);
    buf_fini(&jar);
    buf_fini(&zip);
    buf_fini(&b);
}

static void knows_old_office(void **state)
{
    static const char *const streams[][2] = {
        {"WordDocument", "application/msword"},
        {"Workbook", "application/vnd.ms-excel"},
        {"PowerPoint Document", "application/vnd.ms-powerpoint"},
        {"Something", "application/x-ole-storage"}};
    wrong = 0;
    for (size_t i = 0; i != sizeof streams / sizeof *streams; ++i) {
        struct buf b = sample_old_office(streams[i][0]);
        check(streams[i][0], buf_str(&b), streams[i][1], 0, 0);
        buf_fini(&b);
    }
    assert_int_equal(wrong, 0);
}

// --- large files ---

static void check_large(const char *name, str begin, str end, char filling, const char *mime,
                        enum inspect_active active)
{
    enum { LARGE = 10 * 1024 * 1024 };
    char *p = malloc(LARGE);
    memset(p, filling, LARGE);
    memcpy(p, begin.p, begin.n);
    memcpy(p + LARGE - end.n, end.p, end.n);
    check(name, str_of(p, LARGE), mime, 0, active);
    free(p);
}

static void looks_as_far_as_it_matters(void **state)
{
#ifdef STOA_TSAN
    skip(); // the helper's time is that of a machine without it, and it has one thread
#endif
    wrong = 0;
    check_large("photo.jpg", STR("\xff\xd8\xff\xe0\0\x10JFIF\0\1\1"), STR("\xff\xd9"), '\xa5',
                "image/jpeg", 0);
    check_large("drawing.svg", STR("<svg xmlns='http://www.w3.org/2000/svg'>"), STR("</svg>"), ' ',
                "image/svg+xml", 0);
    check_large("late.svg", STR("<svg xmlns='http://www.w3.org/2000/svg'>"),
                STR("<script>x</script></svg>"), ' ', "image/svg+xml", INSPECT_MARKUP);
    check_large("data.xml", STR("<?xml version='1.0'?><a>"), STR("<x onload=''/></a>"), 'y',
                "application/xml", INSPECT_MARKUP);
    check_large("late.md", STR("<b>x</b>"), STR("<script>x</script>"), ' ', "text/html",
                INSPECT_HTML);
    check_large("far.md", STR("<!-- "), STR("--><html>"), 'y', "text/html", INSPECT_FRAGMENT);
    check_large("letter.txt", STR("Dear all, "), STR("<script>"), 'z', "text/plain", 0);
    check_large("large.json", STR("[\""), STR("\"]"), 'z', "text/plain", 0);
    // each is as much work as the bytes it has, whatever they are
    struct buf entities;
    buf_init(&entities, 16 << 20);
    buf_add(&entities, STR("<svg>"));
    while (entities.n < 10 << 20)
        buf_add(&entities, STR("<!ENTITY"));
    check("entities.svg", buf_str(&entities), "image/svg+xml", 0, 0);
    buf_fini(&entities);
    struct buf csv;
    buf_init(&csv, 1 << 20);
    for (int i = 0; i != 9000; ++i)
        buf_addf(&csv, "%d,name %d,\"a, b\"\n", i, i * 7);
    check("large.csv", buf_str(&csv), "text/csv", 0, 0);
    buf_fini(&csv);
    assert_int_equal(wrong, 0);
}

// What hides by distance.
static void finds_a_script_in_many_words(void **state)
{
    static const char *const parts[][2] = {{"<doc><x onload", "='x()'/></doc>"},
                                           {"<!DOCTYPE a [<!ENTITY", "% b 'c'>]><a/>"},
                                           {"<!DOCTYPE a [<!ENTITY b '>", "&#60;script>'>]><a/>"}};
    wrong = 0;
    for (size_t i = 0; i != sizeof parts / sizeof *parts; ++i) {
        struct buf b;
        buf_init(&b, 1 << 16);
        buf_addf(&b, "%s%9000s%s", parts[i][0], "", parts[i][1]);
        check(parts[i][0], buf_str(&b), "application/xml", 0, INSPECT_MARKUP);
        buf_fini(&b);
    }
    assert_int_equal(wrong, 0);
}

// Of some parts the pieces are asked for one by one; the tag may lie on any border between two.
static void finds_a_script_across_borders(void **state)
{
    enum { ROOM = 200 * 1024 };
    static char bytes[ROOM];
    static const char begin[] = "<svg>", tag[] = "<script>";
    for (size_t at = 16 * 1024 - 9; at <= 16 * 1024 + 1; ++at) {
        memset(bytes, ' ', ROOM);
        memcpy(bytes, begin, 5);
        memcpy(bytes + at, tag, 8);
        struct inspect_seen seen;
        assert_int_equal(inspect_file(str_of(bytes, ROOM), &seen, NULL), FAIL_NONE);
        assert_int_equal(seen.active, INSPECT_MARKUP);
    }
}

// --- liars: the function takes the template's place ---

static int take_socket(int template)
{
    char word;
    struct iovec v = {&word, 1};
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    if (recvmsg(template, &m, 0) != 1 || CMSG_FIRSTHDR(&m) == NULL)
        _exit(1);
    int fd;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
    return fd;
}

static struct files_say lie;
static bool lies_again, lies_short;

static void liar(int template)
{
    int fd = take_socket(template);
    char b[4096];
    do
        if (send(fd, &lie, lies_short ? 20 : sizeof lie, MSG_NOSIGNAL) < 0)
            break;
    while (lies_again && read(fd, b, sizeof b) > 0);
    sleep(lie.what == 0 ? 0 : 20); // the server is not to wait for its end
}

static void be_lied_to(const struct files_say *say, const char *what)
{
    struct inspect_seen seen = {.mime = "untouched"};
    struct fault fault = {0};
    lie = *say;
    inspect_fini();
    workers_liar = liar;
    inspect_init(0, &workers_source_of_files);
    if (inspect_file(STR("hello, this is a file"), &seen, &fault) != FAIL_BUSY)
        fail_msg("%s: believed", what);
    assert_string_equal(fault.code, "inspection_failed");
    assert_string_equal(seen.mime, "untouched");
    workers_liar = NULL; // the next file has another process
    assert_int_equal(inspect_file(STR("hello\n"), &seen, &fault), FAIL_NONE);
    assert_string_equal(seen.mime, "text/plain");
}

static void believes_no_liar(void **state)
{
    static const struct files_say lies[] = {
        {.what = 0},
        {.what = 3, .mime = "text/plain"},
        {.what = FILES_ANSWER},
        {.what = FILES_ANSWER, .mime = "plain"},
        {.what = FILES_ANSWER, .mime = "text/"},
        {.what = FILES_ANSWER, .mime = "/plain"},
        {.what = FILES_ANSWER, .mime = "text/plain/more"},
        {.what = FILES_ANSWER, .mime = "Text/plain"},
        {.what = FILES_ANSWER, .mime = "text/plain; charset=utf-7"},
        {.what = FILES_ANSWER, .mime = "text/html\r\nX-Evil: 1"},
        {.what = FILES_ANSWER, .mime = "text/plain\0evil"},
        {.what = FILES_ANSWER, .mime = "text/plain", .container = INSPECT_CONTAINERS},
        {.what = FILES_ANSWER, .mime = "text/plain", .active = INSPECT_ACTIVES},
        {.what = FILES_ASK},
        {.what = FILES_ASK, .n = 22},
        {.what = FILES_ASK, .n = 1, .offset = 21},
        {.what = FILES_ASK, .n = 1, .offset = UINT64_MAX},
        {.what = FILES_ASK, .n = UINT32_MAX},
    };
    for (size_t i = 0; i != sizeof lies / sizeof *lies; ++i) {
        char what[30];
        snprintf(what, sizeof what, "lie %zu", i);
        be_lied_to(&lies[i], what);
    }
    struct files_say unended = {.what = FILES_ANSWER};
    memset(unended.mime, 'a', sizeof unended.mime);
    unended.mime[4] = '/';
    be_lied_to(&unended, "no NUL");
    lies_again = true; // it asks for what it may, for ever
    be_lied_to(&(struct files_say){.what = FILES_ASK, .n = 21}, "asks for ever");
    lies_again = false;
}

static void waits_for_nobody_for_ever(void **state)
{
    uint64_t before = clock_monotonic_ms();
    lies_short = true;
    be_lied_to(&(struct files_say){.what = FILES_ANSWER, .mime = "text/plain"}, "half an answer");
    lies_short = false;
    uint64_t took = clock_monotonic_ms() - before;
    assert_true(took >= INSPECT_FILE_DEADLINE_MS && took < INSPECT_FILE_DEADLINE_MS + 4000);
}

static void ends_at_once(int template)
{
    _exit(1);
}

static void takes_another_when_one_is_gone(void **state)
{
    struct inspect_seen seen;
    inspect_fini();
    workers_liar = ends_at_once;
    inspect_init(0, &workers_source_of_files);
    assert_int_equal(inspect_file(STR("hello\n"), &seen, NULL), FAIL_BUSY);
    inspect_fini();
    inspect_init(0, &workers_source_of_files); // a template that ends before its first file …
    workers_liar = NULL;
    usleep(100 * 1000);
    assert_int_equal(inspect_file(STR("hello\n"), &seen, NULL),
                     FAIL_NONE); // … is not the file's fault
}

// --- many at once ---

static void *inspect_some(void *arg)
{
    for (size_t i = 0; i != 40; ++i) {
        const struct sample *s = &samples[i * 7 % sample_count];
        struct inspect_seen seen;
        if (inspect_file(s->bytes, &seen, NULL) != FAIL_NONE || strcmp(seen.mime, s->mime) != 0)
            return arg;
    }
    return NULL;
}

static void threads_share_a_template(void **state)
{
    pthread_t threads[4];
    unsigned failed = 0;
    size_t started = workers_started;
    for (size_t i = 0; i != 4; ++i)
        pthread_create(&threads[i], NULL, inspect_some, &wrong);
    for (size_t i = 0; i != 4; ++i) {
        void *one;
        pthread_join(threads[i], &one);
        failed += one != NULL;
    }
    assert_int_equal(failed, 0); // when none is at work any more
    assert_int_equal(workers_started, started);
}

// --- setup ---

static int setup(void **state)
{
    inspect_init(0, &workers_source_of_files);
    return 0;
}

static int teardown(void **state)
{
    inspect_fini();
    return workers_alive == 0 ? 0 : -1;
}

int main(int argc, char **argv)
{
    if (argc == 2)
        workers_files_program = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_every_sample),
        cmocka_unit_test(looks_into_zip_files),
        cmocka_unit_test(believes_one_directory_only),
        cmocka_unit_test(knows_old_office),
        cmocka_unit_test(looks_as_far_as_it_matters),
        cmocka_unit_test(finds_a_script_across_borders),
        cmocka_unit_test(finds_a_script_in_many_words),
        cmocka_unit_test(threads_share_a_template),
        cmocka_unit_test(believes_no_liar),
        cmocka_unit_test(waits_for_nobody_for_ever),
        cmocka_unit_test(takes_another_when_one_is_gone),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
