// The client against processes that lie, die, stall and flood; and the process itself against a
// server that says nonsense.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "edge/base/clock.h"
#include "edge/inspect/protocol.h"
#include "tests/unit/inspect/archives.h"
#include "tests/unit/inspect/workers.h"
#include <cmocka.h> // last: its fail() is a macro

static const struct inspect_limits limits = {
    .entries = 10, .file_bytes = 100000, .total_bytes = 150000, .deadline_ms = 20000};

struct seen {
    size_t entries, bytes, problems;
};
static void on_entry(void *ctx, enum inspect_kind kind, str path)
{
    ++((struct seen *)ctx)->entries;
}
static void on_content(void *ctx, str piece)
{
    ((struct seen *)ctx)->bytes += piece.n;
}
static void on_problem(void *ctx, enum inspect_problem problem, str detail)
{
    ++((struct seen *)ctx)->problems;
}

static enum fail inspect(str bytes, const struct inspect_limits *l, struct seen *seen,
                         struct fault *fault)
{
    const struct inspect_visitor visitor = {on_entry, on_content, on_problem, seen};
    *seen = (struct seen){0};
    *fault = (struct fault){0};
    return inspect_archive(l, bytes, &visitor, fault);
}

static struct buf small_archive(void)
{
    struct made *m = made_begin("pax", "gzip", NULL);
    made_file(m, "index.html", STR("<p>hello"));
    return made_end(m);
}

static void assert_next_is_served(void)
{
    struct seen seen;
    struct fault fault;
    struct buf b = small_archive();
    workers_liar = NULL;
    assert_int_equal(inspect(buf_str(&b), &limits, &seen, &fault), FAIL_NONE);
    assert_int_equal(seen.entries, 1);
    assert_int_equal(seen.bytes, 8);
    buf_fini(&b);
    inspect_fini();
    assert_int_equal(workers_alive, 0);
}

// --- liars ---

static struct frame_writer out;

static void say(uint8_t type, str a, str b)
{
    if (!frame_write(&out, type, a, b) || !frame_flush(&out))
        _exit(0);
}
static void say_entry(char kind, str path)
{
    say(INSPECT_ENTRY, str_of(&kind, 1), path);
}
static void say_end(uint64_t entries, uint64_t bytes)
{
    struct inspect_end end = {entries, bytes};
    say(INSPECT_END, str_of(&end, sizeof end), (str){0});
}
static void begin(int fd)
{
    out.fd = fd;
    say(INSPECT_READY, str_of("\0\0\0\0", 4), (str){0});
}
static void drain(int fd)
{
    static char b[65536];
    shutdown(fd, SHUT_WR);
    while (read(fd, b, sizeof b) > 0)
        ;
}

// Each goes on as if nothing were wrong, so that only the one lie can be what it is refused for.
static char zeros[FRAME_BODY_MAX];

static void crashes(int fd)
{
    signal(SIGSEGV, SIG_DFL); // cmocka's own would carry on
    begin(fd);
    raise(SIGSEGV);
}
static void ends_without_a_word(int fd)
{
    begin(fd);
}
static void crashes_in_content(int fd)
{
    begin(fd);
    say_entry(INSPECT_FILE, STR("a"));
    say(INSPECT_CONTENT, str_of(zeros, 10), (str){0});
    kill(getpid(), SIGKILL);
}
static void says_no_frame(int fd)
{
    begin(fd);
    send(fd, "HTTP/1.1 200 OK\r\n\r\n", 19, MSG_NOSIGNAL);
    drain(fd);
}
static void is_never_ready(int fd)
{
    out.fd = fd;
    say_entry(INSPECT_FILE, STR("a"));
    say_end(1, 0);
    drain(fd);
}
static void knows_other_types(int fd)
{
    begin(fd);
    say(99, (str){0}, (str){0});
    say_end(0, 0);
    drain(fd);
}
static void asks_back(int fd)
{
    begin(fd);
    say(INSPECT_REQUEST, str_of(zeros, 32), (str){0});
    say_end(0, 0);
    drain(fd);
}
static void begins_with_content(int fd)
{
    begin(fd);
    say(INSPECT_CONTENT, STR("x"), (str){0});
    say_end(0, 1);
    drain(fd);
}
static void fills_a_link(int fd)
{
    begin(fd);
    say_entry(INSPECT_SYMLINK, STR("a"));
    say(INSPECT_CONTENT, STR("x"), (str){0});
    say_end(1, 1);
    drain(fd);
}
static void invents_a_kind(int fd)
{
    begin(fd);
    say_entry(INSPECT_KINDS, STR("a"));
    say_end(1, 0);
    drain(fd);
}
static void names_nothing(int fd)
{
    begin(fd);
    say_entry(INSPECT_FILE, STR(""));
    say_end(1, 0);
    drain(fd);
}
static void hides_a_nul(int fd)
{
    begin(fd);
    say_entry(INSPECT_FILE, STR("a\0b"));
    say_end(1, 0);
    drain(fd);
}
static void has_a_long_name(int fd)
{
    begin(fd);
    say_entry(INSPECT_FILE, str_of(memset(zeros, 'a', sizeof zeros), INSPECT_PATH_MAX + 1));
    say_end(1, 0);
    drain(fd);
}
static void has_too_many_entries(int fd)
{
    begin(fd);
    for (int i = 0; i != 11; ++i)
        say_entry(INSPECT_DIRECTORY, STR("a"));
    say_end(11, 0);
    drain(fd);
}
static void has_a_large_file(int fd)
{
    begin(fd);
    say_entry(INSPECT_FILE, STR("a"));
    say(INSPECT_CONTENT, str_of(zeros, 60000), (str){0});
    say(INSPECT_CONTENT, str_of(zeros, 40001), (str){0});
    say_end(1, 100001);
    drain(fd);
}
static void has_large_files(int fd)
{
    begin(fd);
    for (int i = 0; i != 3; ++i) {
        say_entry(INSPECT_FILE, STR("a"));
        say(INSPECT_CONTENT, str_of(zeros, 60000), (str){0});
    }
    say_end(3, 180000);
    drain(fd);
}
static void floods(int fd)
{
    begin(fd);
    say_entry(INSPECT_FILE, STR("a"));
    for (;;)
        say(INSPECT_PROBLEM, STR("\x04"), STR("damaged"));
}
static void goes_on_behind_a_final_problem(int fd)
{
    begin(fd);
    say(INSPECT_PROBLEM, STR("\x03"), STR("damaged"));
    say_entry(INSPECT_FILE, STR("a"));
    say_end(1, 0);
    drain(fd);
}
static void invents_a_problem(int fd)
{
    begin(fd);
    say(INSPECT_PROBLEM, STR("\x7f"), (str){0});
    say_end(0, 0);
    drain(fd);
}
static void has_long_words(int fd)
{
    begin(fd);
    say(INSPECT_PROBLEM, STR("\x03"), str_of(memset(zeros, 'a', 1000), INSPECT_DETAIL_MAX + 1));
    say_end(0, 0);
    drain(fd);
}
static void counts_wrongly(int fd)
{
    begin(fd);
    say_entry(INSPECT_FILE, STR("a"));
    say_end(2, 0);
    drain(fd);
}
static void talks_behind_the_end(int fd)
{
    char both[2 * FRAME_HEAD + sizeof(struct inspect_end)] = {0};
    begin(fd);
    frame_head(both, INSPECT_END, sizeof(struct inspect_end));
    frame_head(both + FRAME_HEAD + sizeof(struct inspect_end), INSPECT_END, 0);
    send(fd, both, sizeof both, MSG_NOSIGNAL);
    drain(fd);
}

static void liars_are_refused(void **state)
{
    static void (*const liars[])(int) = {
        crashes,
        ends_without_a_word,
        crashes_in_content,
        says_no_frame,
        is_never_ready,
        knows_other_types,
        asks_back,
        begins_with_content,
        fills_a_link,
        invents_a_kind,
        names_nothing,
        hides_a_nul,
        has_a_long_name,
        has_too_many_entries,
        has_a_large_file,
        has_large_files,
        floods,
        goes_on_behind_a_final_problem,
        invents_a_problem,
        has_long_words,
        counts_wrongly,
        talks_behind_the_end,
    };
    struct buf b = small_archive();
    inspect_init(0, &workers_source);
    for (size_t i = 0; i != sizeof liars / sizeof *liars; ++i) {
        struct seen seen;
        struct fault fault;
        workers_liar = liars[i];
        if (inspect(buf_str(&b), &limits, &seen, &fault) != FAIL_REFUSED)
            fail_msg("liar %zu was believed", i);
        assert_string_equal(fault.code, "invalid_bundle");
        assert_true(strlen(fault.public_text) > 20);
        assert_true(seen.entries <= limits.entries && seen.bytes <= limits.total_bytes);
        assert_true(seen.problems <= 3 * limits.entries + 1);
        assert_int_equal(workers_alive, 0);
    }
    buf_fini(&b);
    assert_next_is_served();
}

static void stalls(int fd)
{
    begin(fd);
    pause();
}
static void never_ends(int fd)
{
    begin(fd);
    say_entry(INSPECT_FILE, STR("a"));
    for (;;)
        say(INSPECT_CONTENT, STR("x"), (str){0});
}

static void the_deadline_is_kept(void **state)
{
    static void (*const slow[])(int) = {stalls, never_ends};
    struct inspect_limits soon = limits;
    soon.deadline_ms = 300;
    soon.file_bytes = soon.total_bytes = 1ull << 40;
    struct buf b = small_archive();
    inspect_init(0, &workers_source);
    for (size_t i = 0; i != 2; ++i) {
        struct seen seen;
        struct fault fault;
        workers_liar = slow[i];
        uint64_t start = clock_monotonic_ms();
        assert_int_equal(inspect(buf_str(&b), &soon, &seen, &fault), FAIL_REFUSED);
        assert_string_equal(fault.code, "invalid_bundle");
        assert_non_null(strstr(fault.public_text, "too long"));
        uint64_t took = clock_monotonic_ms() - start;
        assert_true(took >= 300 && took < 5000);
    }
    buf_fini(&b);
    assert_next_is_served();
}

// It reads nothing and says much, while we have much to send: neither waits for the other.
static void is_deaf(int fd)
{
    begin(fd);
    say_entry(INSPECT_FILE, STR("a"));
    for (int i = 0; i != 1000; ++i)
        say(INSPECT_CONTENT, str_of(zeros, sizeof zeros), (str){0});
    say_end(1, 1000 * sizeof zeros);
}
static void no_deadlock_when_both_send(void **state)
{
    struct inspect_limits wide = {
        .entries = 1, .file_bytes = 1 << 30, .total_bytes = 1 << 30, .deadline_ms = 20000};
    struct seen seen;
    struct fault fault;
    char *large = calloc(1, 64 << 20);
    inspect_init(0, &workers_source);
    workers_liar = is_deaf;
    assert_int_equal(inspect(str_of(large, 64 << 20), &wide, &seen, &fault), FAIL_NONE);
    assert_int_equal(seen.bytes, 1000 * sizeof zeros);
    free(large);
    assert_next_is_served();
}

// --- where processes come from ---

static void spares_are_used_and_replaced(void **state)
{
    struct seen seen;
    struct fault fault;
    struct buf b = small_archive();
    workers_liar = NULL;
    workers_started = 0;
    inspect_init(2, &workers_source);
    assert_int_equal(workers_started, 2);
    for (size_t i = 0; i != 3; ++i) {
        assert_int_equal(inspect(buf_str(&b), &limits, &seen, &fault), FAIL_NONE);
        assert_int_equal(workers_alive, 2);
        assert_int_equal(workers_started, 3 + i);
    }
    inspect_fini();
    assert_int_equal(workers_alive, 0);
    buf_fini(&b);
}

static void dead_before_ready(int fd)
{
}

static void dead_spares_are_not_blamed_on_the_archive(void **state)
{
    struct seen seen;
    struct fault fault;
    struct buf b = small_archive();
    workers_liar = dead_before_ready;
    inspect_init(2, &workers_source);
    workers_liar = NULL; // the third one is real
    assert_int_equal(inspect(buf_str(&b), &limits, &seen, &fault), FAIL_NONE);
    assert_int_equal(seen.entries, 1);
    inspect_fini();
    buf_fini(&b);
}

static void a_program_that_does_not_start_is_busy(void **state)
{
    struct seen seen;
    struct fault fault;
    struct buf b = small_archive();
    const char *real = workers_program;
    workers_program = "/nonexistent/stoa-inspect";
    inspect_init(0, &workers_source);
    assert_int_equal(inspect(buf_str(&b), &limits, &seen, &fault), FAIL_BUSY);
    assert_string_equal(fault.code, "busy");
    workers_program = real;
    buf_fini(&b);
    assert_next_is_served();
}

static void an_archive_over_the_maximum_starts_nothing(void **state)
{
    struct seen seen;
    struct fault fault;
    inspect_init(0, &workers_source);
    workers_started = 0;
    assert_int_equal(inspect(str_of("", (size_t)INSPECT_ARCHIVE_MAX + 1), &limits, &seen, &fault),
                     FAIL_TOO_LARGE);
    assert_int_equal(workers_started, 0);
}

static void *inspect_often(void *ctx)
{
    struct buf *b = ctx;
    struct seen seen;
    struct fault fault;
    for (int i = 0; i != 5; ++i)
        if (inspect(buf_str(b), &limits, &seen, &fault) != FAIL_NONE || seen.bytes != 8)
            return ctx;
    return NULL;
}

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
static enum fail start_locked(struct cage_worker *ret, struct fault *fault)
{
    pthread_mutex_lock(&one_at_a_time);
    enum fail fail = workers_source.start(ret, fault);
    pthread_mutex_unlock(&one_at_a_time);
    return fail;
}
static void kill_locked(const struct cage_worker *worker)
{
    pthread_mutex_lock(&one_at_a_time);
    workers_source.kill(worker);
    pthread_mutex_unlock(&one_at_a_time);
}

static void threads_do_not_meet(void **state)
{
    static const struct inspect_source locked = {.start = start_locked, .kill = kill_locked};
    struct buf b = small_archive();
    pthread_t threads[4];
    unsigned failed = 0;
    workers_liar = NULL;
    inspect_init(2, &locked);
    for (size_t i = 0; i != 4; ++i)
        assert_int_equal(pthread_create(&threads[i], NULL, inspect_often, &b), 0);
    for (size_t i = 0; i != 4; ++i) {
        void *one;
        pthread_join(threads[i], &one);
        failed += one != NULL;
    }
    assert_int_equal(failed, 0); // when none is at work any more
    inspect_fini();
    assert_int_equal(workers_alive, 0);
    buf_fini(&b);
}

// --- the process against nonsense ---

static void process_ends_on(const char *bytes, size_t n)
{
    struct cage_worker worker;
    char b[FRAME_HEAD + 4];
    workers_liar = NULL;
    assert_int_equal(workers_source.start(&worker, NULL), FAIL_NONE);
    assert_int_equal(recv(worker.fd, b, sizeof b, MSG_WAITALL), sizeof b); // READY
    assert_int_equal(send(worker.fd, bytes, n, MSG_NOSIGNAL), n);
    shutdown(worker.fd, SHUT_WR);
    assert_true(recv(worker.fd, b, 1, 0) <= 0); // it says nothing and goes
    close(worker.fd);
    workers_source.kill(&worker);
}

static void the_process_takes_no_nonsense(void **state)
{
    char request[FRAME_HEAD + sizeof(struct inspect_request)];
    struct inspect_request r = {.what = 9, .bytes = 10};
    frame_head(request, INSPECT_REQUEST, sizeof r);
    memcpy(request + FRAME_HEAD, &r, sizeof r);
    process_ends_on(request, sizeof request);
    r = (struct inspect_request){.what = INSPECT_WHAT_ARCHIVE, .bytes = UINT64_MAX};
    memcpy(request + FRAME_HEAD, &r, sizeof r);
    process_ends_on(request, sizeof request);
    process_ends_on("GET / HTTP/1.1\r\n\r\n", 18);
    process_ends_on("", 0);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        workers_program = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(liars_are_refused),
        cmocka_unit_test(the_deadline_is_kept),
        cmocka_unit_test(no_deadlock_when_both_send),
        cmocka_unit_test(spares_are_used_and_replaced),
        cmocka_unit_test(dead_spares_are_not_blamed_on_the_archive),
        cmocka_unit_test(a_program_that_does_not_start_is_busy),
        cmocka_unit_test(an_archive_over_the_maximum_starts_nothing),
        cmocka_unit_test(threads_do_not_meet),
        cmocka_unit_test(the_process_takes_no_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
