// stoa-inspect: one archive or image of a stranger's, then the end. Started by the supervisor with the
// server's socket as fd 3 and nothing else; a person who starts it by hand sees it exit at once.
#include "edge/cage/child.h"
#include "edge/inspect/clean.h"
#include "edge/inspect/unpack.h"
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    EXIT_NO_SOCKET = 1, // or one on which nonsense was said
    CPU_SECONDS = 20,
    // What libarchive and the unpackers may take: the windows of `zstd --ultra -22` (128 MiB) and
    // `xz -9` (65 MiB) fit, the 1.5 GiB that an xz header may ask for do not.
    WORKING_MEMORY = 192 * 1024 * 1024,
};

// rounded up to whole pages
#define PAGES(n) (((n) + 4095) & ~(uint64_t)4095)

static struct frame_writer out = {.fd = CAGE_FD};
static char body[FRAME_BODY_MAX];

static bool take_piece(struct unpack_io *io)
{
    uint8_t type;
    size_t n;
    // what is ready is sent before we wait, lest both sides wait for each other
    if (!frame_flush(&out) || !frame_read(CAGE_FD, &type, body, &n) || type != INSPECT_BYTES ||
        n == 0 || n > io->bytes - io->have)
        return false;
    memcpy((char *)io->base + io->have, body, n);
    io->have += n;
    return true;
}

static bool give_frame(struct unpack_io *io, enum inspect_frame type, str a, str b)
{
    return frame_write(&out, (uint8_t)type, a, b);
}

// Reserved before the door closes, given memory once the size is known.
static char *reserve_input(void)
{
    void *p = mmap(NULL, INSPECT_ARCHIVE_MAX, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        exit(CAGE_EXIT_NO_CAGE);
    return p;
}

static bool read_request(struct inspect_request *ret)
{
    uint8_t type;
    size_t n;
    if (!frame_read(CAGE_FD, &type, body, &n) || type != INSPECT_REQUEST || n != sizeof *ret)
        return false;
    memcpy(ret, body, sizeof *ret);
    return ret->what >= INSPECT_WHAT_ARCHIVE && ret->what <= INSPECT_WHAT_GIF &&
           ret->bytes <= INSPECT_ARCHIVE_MAX;
}

// --- images ---

static bool give_problem(enum clean_result result, const struct inspect_end *end)
{
    char problem = result == CLEAN_MEMORY ? INSPECT_MEMORY : INSPECT_DAMAGED;
    return frame_write(&out, INSPECT_PROBLEM, str_of(&problem, 1), (str){0}) &&
           frame_write(&out, INSPECT_END, str_of(end, sizeof *end), (str){0});
}

static bool give_image(str image)
{
    char kind = INSPECT_FILE;
    struct inspect_end end = {.entries = 1, .bytes = image.n};
    if (!frame_write(&out, INSPECT_ENTRY, str_of(&kind, 1), STR("image")))
        return false;
    while (image.n != 0) {
        size_t n = image.n < FRAME_BODY_MAX ? image.n : FRAME_BODY_MAX;
        if (!frame_write(&out, INSPECT_CONTENT, str_of(image.p, n), (str){0}))
            return false;
        image = str_skip(image, n);
    }
    return frame_write(&out, INSPECT_END, str_of(&end, sizeof end), (str){0});
}

static bool clean_image(struct unpack_io *io, const struct inspect_request *request)
{
    while (io->have < io->bytes)
        if (!take_piece(io))
            return false;
    // what the largest archive would have needed is room to work in
    munmap((char *)io->base + PAGES(io->bytes), INSPECT_ARCHIVE_MAX - PAGES(io->bytes));
    str image = str_of(io->base, io->bytes);
    char *clean = NULL;
    size_t n = 0;
    enum clean_result result = request->what == INSPECT_WHAT_JPEG  ? clean_jpeg(image, &clean, &n)
                               : request->what == INSPECT_WHAT_PNG ? clean_png(image, &clean, &n)
                               : request->what == INSPECT_WHAT_GIF ? clean_gif(image, &clean, &n)
                                                                   : clean_webp(image, &clean, &n);
    if (result == CLEAN_DONE && n <= request->total_bytes)
        return give_image(str_of(clean, n));
    return give_problem(result, &(struct inspect_end){0});
}

static int serve(char *input, uint32_t layers)
{
    struct inspect_request request;
    if (!frame_write(&out, INSPECT_READY, str_of(&layers, sizeof layers), (str){0}) ||
        !frame_flush(&out) || !read_request(&request))
        return EXIT_NO_SOCKET;
    if (request.bytes != 0 && mprotect(input, request.bytes, PROT_READ | PROT_WRITE) != 0)
        return EXIT_NO_SOCKET;
    struct unpack_io io = {
        .base = input, .bytes = request.bytes, .pull = take_piece, .send = give_frame};
    bool heard = request.what == INSPECT_WHAT_ARCHIVE ? unpack_archive(&io, &request)
                                                      : clean_image(&io, &request);
    return heard && frame_flush(&out) ? EXIT_SUCCESS : EXIT_NO_SOCKET;
}

int main(void)
{
    clearenv();
    setenv("TZ", "UTC0", 1);
    if (!unpack_warm_up())
        return CAGE_EXIT_NO_CAGE;
    char *input = reserve_input();
    uint32_t layers =
        cage_enter(&(struct cage_profile){.memory = WORKING_MEMORY, .cpu_seconds = CPU_SECONDS});
    // past the filter, only exit_group is left: no handlers of the C library's, no sanitizer's last
    // look
    _exit(serve(input, layers));
}
