// Frames out of a stream of hostile bytes, however it is cut.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <unistd.h>
#include "edge/cage/frame.h"

static void feed(struct frame_buffer *b, const char *p, size_t n)
{
    size_t room;
    char *to = frame_buffer_room(b, &room);
    assert_true(n <= room);
    memcpy(to, p, n);
    frame_buffer_filled(b, n);
}

static void takes_frames_byte_by_byte(void **state)
{
    struct frame_buffer b;
    char bytes[2 * FRAME_HEAD + 3];
    frame_head(bytes, 7, 3);
    memcpy(bytes + FRAME_HEAD, "abc", 3);
    frame_head(bytes + FRAME_HEAD + 3, 8, 0);
    frame_buffer_init(&b);
    size_t seen = 0;
    for (size_t i = 0; i != sizeof bytes; ++i) {
        uint8_t type;
        str body;
        feed(&b, bytes + i, 1);
        if (frame_buffer_next(&b, &type, &body) != FRAME_ONE)
            continue;
        assert_int_equal(type, seen++ == 0 ? 7 : 8);
        assert_true(str_eq(body, type == 7 ? STR("abc") : STR("")));
    }
    assert_int_equal(seen, 2);
    frame_buffer_fini(&b);
}

// The largest frames, in reads of a size that never fits them, so that the buffer must move.
static void large_frames_never_find_it_full(void **state)
{
    struct frame_buffer b;
    frame_buffer_init(&b);
    size_t one = FRAME_HEAD + FRAME_BODY_MAX, total = 9 * one, frames = 0;
    char *bytes = calloc(9, one);
    for (size_t i = 0; i != 9; ++i)
        frame_head(bytes + i * one, (uint8_t)i, FRAME_BODY_MAX);
    for (size_t at = 0; at != total;) {
        size_t room, n;
        frame_buffer_room(&b, &room);
        assert_true(room != 0);
        n = room < 50021 ? room : 50021;
        n = n < total - at ? n : total - at;
        feed(&b, bytes + at, n);
        at += n;
        uint8_t type;
        str body;
        while (frame_buffer_next(&b, &type, &body) == FRAME_ONE) {
            assert_int_equal(type, frames++);
            assert_int_equal(body.n, FRAME_BODY_MAX);
        }
    }
    assert_int_equal(frames, 9);
    free(bytes);
    frame_buffer_fini(&b);
}

static void refuses_what_is_no_head(void **state)
{
    static const unsigned char heads[][FRAME_HEAD] = {
        {1, 0, 1, 0, 1, 0, 0, 0},         // 65,537 bytes
        {255, 255, 255, 255, 1, 0, 0, 0}, // 4 GiB
        {0, 0, 0, 0, 1, 1, 0, 0},
        {0, 0, 0, 0, 1, 0, 0, 1},
    };
    for (size_t i = 0; i != sizeof heads / sizeof *heads; ++i) {
        struct frame_buffer b;
        uint8_t type;
        str body;
        frame_buffer_init(&b);
        feed(&b, (const char *)heads[i], FRAME_HEAD);
        assert_int_equal(frame_buffer_next(&b, &type, &body), FRAME_BROKEN);
        frame_buffer_fini(&b);
    }
}

static void writer_and_reader_agree(void **state)
{
    static struct frame_writer w;
    static char body[FRAME_BODY_MAX];
    int ends[2];
    uint8_t type;
    size_t n;
    assert_int_equal(pipe(ends), 0);
    w.fd = ends[1];
    assert_true(frame_write(&w, 3, STR("ab"), STR("cde")));
    assert_true(frame_write(&w, 4, (str){0}, (str){0}));
    assert_true(frame_flush(&w));
    close(ends[1]);
    assert_true(frame_read(ends[0], &type, body, &n));
    assert_int_equal(type, 3);
    assert_true(str_eq(str_of(body, n), STR("abcde")));
    assert_true(frame_read(ends[0], &type, body, &n));
    assert_int_equal(n, 0);
    assert_false(frame_read(ends[0], &type, body, &n)); // the peer is gone
    close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_frames_byte_by_byte),
        cmocka_unit_test(large_frames_never_find_it_full),
        cmocka_unit_test(refuses_what_is_no_head),
        cmocka_unit_test(writer_and_reader_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
