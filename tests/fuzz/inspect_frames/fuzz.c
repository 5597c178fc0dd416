// The server's reader against a process that was taken over: any bytes, cut anywhere. The first
// byte chooses how they are cut. What reaches the visitor is within the limits, always.
#include <stdlib.h>
#include "edge/inspect/answer.h"

static const struct inspect_limits limits = {
    .entries = 5, .file_bytes = 100, .total_bytes = 250, .deadline_ms = 1};

struct seen {
    size_t entries, file_bytes, bytes, problems;
    bool is_file;
};

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void on_entry(void *ctx, enum inspect_kind kind, str path)
{
    struct seen *s = ctx;
    must(++s->entries <= limits.entries && kind < INSPECT_KINDS);
    must(path.n != 0 && path.n <= INSPECT_PATH_MAX && memchr(path.p, 0, path.n) == NULL);
    s->is_file = kind == INSPECT_FILE;
    s->file_bytes = 0;
}
static void on_content(void *ctx, str piece)
{
    struct seen *s = ctx;
    must(s->is_file && piece.n != 0);
    s->file_bytes += piece.n;
    s->bytes += piece.n;
    must(s->file_bytes <= limits.file_bytes && s->bytes <= limits.total_bytes);
}
static void on_problem(void *ctx, enum inspect_problem problem, str detail)
{
    struct seen *s = ctx;
    must(inspect_problem_text(problem) != NULL && detail.n <= INSPECT_DETAIL_MAX);
    must(++s->problems <= 3 * limits.entries + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen seen = {0};
    const struct inspect_visitor visitor = {on_entry, on_content, on_problem, &seen};
    struct frame_buffer frames;
    struct answer answer;
    frame_buffer_init(&frames);
    answer_init(&answer, &limits, &visitor);
    size_t step = size != 0 ? data[0] + 1u : 1;
    for (size_t at = 1; at < size && answer.state < ANSWER_DONE; at += step) {
        size_t room, n = size - at < step ? size - at : step;
        char *to = frame_buffer_room(&frames, &room);
        must(room >= n);
        memcpy(to, data + at, n);
        frame_buffer_filled(&frames, n);
        answer_take(&answer, &frames);
    }
    frame_buffer_fini(&frames);
    return 0;
}
