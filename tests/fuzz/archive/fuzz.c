// The caged half without its cage: libarchive and our loop over any bytes, and the server's reader
// behind it. What the caged half says of an archive, however broken, must be believed by the other
// side: the process is the one that is allowed to be wrong, not our own code in it.
#include <stdio.h>
#include <stdlib.h>
#include "edge/inspect/answer.h"
#include "edge/inspect/unpack.h"

static const struct inspect_limits limits = {
    .entries = 50, .file_bytes = 100000, .total_bytes = 1000000};

struct fuzz_io {
    struct unpack_io io;
    struct frame_buffer frames;
    struct answer answer;
};

static void on_entry(void *ctx, enum inspect_kind kind, str path)
{
}
static void on_content(void *ctx, str piece)
{
}
static void on_problem(void *ctx, enum inspect_problem problem, str detail)
{
    if (inspect_problem_text(problem) == NULL)
        abort();
}
static const struct inspect_visitor visitor = {on_entry, on_content, on_problem, NULL};

// In pieces, so that the reader's way through them is walked too.
static bool pull(struct unpack_io *io)
{
    uint64_t left = io->bytes - io->have;
    io->have += left < 1000 ? left : 1000;
    return true;
}

static void put(struct frame_buffer *b, const char *p, size_t n)
{
    size_t room;
    char *to = frame_buffer_room(b, &room);
    if (n > room)
        abort();
    if (n != 0)
        memcpy(to, p, n);
    frame_buffer_filled(b, n);
}

static bool send_frame(struct unpack_io *io, enum inspect_frame type, str a, str b)
{
    struct fuzz_io *f = (struct fuzz_io *)io;
    char head[FRAME_HEAD];
    frame_head(head, (uint8_t)type, a.n + b.n);
    put(&f->frames, head, sizeof head);
    put(&f->frames, a.p, a.n);
    put(&f->frames, b.p, b.n);
    if (answer_take(&f->answer, &f->frames) == ANSWER_BROKEN)
        abort();
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool is_warm;
    if (!is_warm && !(is_warm = unpack_warm_up()))
        abort();
    struct inspect_request request = {.what = INSPECT_WHAT_ARCHIVE,
                                      .entries = limits.entries,
                                      .file_bytes = limits.file_bytes,
                                      .total_bytes = limits.total_bytes,
                                      .bytes = size};
    struct fuzz_io f = {
        .io = {.base = (const char *)data, .bytes = size, .pull = pull, .send = send_frame}};
    frame_buffer_init(&f.frames);
    answer_init(&f.answer, &limits, &visitor);
    send_frame(&f.io, INSPECT_READY, STR("\0\0\0\0"), (str){0});
    if (!unpack_archive(&f.io, &request) || f.answer.state != ANSWER_DONE)
        abort();
    frame_buffer_fini(&f.frames);
    return 0;
}
