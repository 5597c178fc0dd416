// The server's side of stoa-inspect: a few processes kept ready, and one conversation for each
// archive: bytes go in while entries come out, until the END frame, the process's death or the
// deadline. Whatever happened, the process is killed.
#include "edge/inspect/inspect.h"
#include "edge/base/clock.h"
#include "edge/inspect/answer.h"
#include "edge/inspect/internal.h"
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

// --- processes kept ready ---

enum { SPARES_MAX = 8 };

// One for the process, since its workers are the process's. `lock` guards `ready` and `count`, and
// is never held across a start.
static struct {
    const struct inspect_source *source;
    size_t wanted;
    pthread_mutex_t lock;
    struct cage_worker ready[SPARES_MAX];
    size_t count;
} spares = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void end_worker(const struct cage_worker *worker)
{
    close(worker->fd);
    spares.source->kill(worker);
}

static bool take_spare(struct cage_worker *ret)
{
    pthread_mutex_lock(&spares.lock);
    bool has = spares.count != 0;
    if (has)
        *ret = spares.ready[--spares.count];
    pthread_mutex_unlock(&spares.lock);
    return has;
}

static bool keep_spare(const struct cage_worker *worker)
{
    pthread_mutex_lock(&spares.lock);
    bool has_room = spares.count < spares.wanted;
    if (has_room)
        spares.ready[spares.count++] = *worker;
    pthread_mutex_unlock(&spares.lock);
    return has_room;
}

static bool wants_spare(void)
{
    pthread_mutex_lock(&spares.lock);
    bool wants = spares.count < spares.wanted;
    pthread_mutex_unlock(&spares.lock);
    return wants;
}

// As many as are missing; a refusal is no matter, the next inspection starts its own.
static void fill_spares(void)
{
    struct cage_worker worker;
    while (wants_spare() && spares.source->start(&worker, NULL) == FAIL_NONE)
        if (!keep_spare(&worker))
            end_worker(&worker);
}

void inspect_init(size_t count, const struct inspect_source *source)
{
    assert(count <= SPARES_MAX);
    spares.source = source;
    spares.wanted = count;
    fill_spares();
    inspect_files_init(source);
}

void inspect_fini(void)
{
    struct cage_worker worker;
    spares.wanted = 0;
    inspect_files_fini();
    while (take_spare(&worker))
        end_worker(&worker);
}

// A spare may have died in the meantime, with its READY still unread: the conversation finds out,
// and the caller tries again.
static enum fail next_worker(struct cage_worker *ret, struct fault *fault)
{
    return take_spare(ret) ? FAIL_NONE : spares.source->start(ret, fault);
}

// --- one conversation ---

// What is still to be sent: frames of the request, then of the archive's bytes, each with its head.
struct sender {
    struct inspect_request request;
    str archive; // not yet in a frame
    char head[FRAME_HEAD];
    str parts[2]; // of the present frame, as far as it is unsent: head, body
};

struct talk {
    int fd;
    uint64_t deadline; // monotonic, ms
    struct sender sender;
    struct frame_buffer received;
    struct answer answer;
};

static bool has_more(const struct sender *s)
{
    return s->parts[0].n + s->parts[1].n + s->archive.n != 0;
}

static void next_frame(struct sender *s)
{
    size_t n = s->archive.n < FRAME_BODY_MAX ? s->archive.n : FRAME_BODY_MAX;
    frame_head(s->head, INSPECT_BYTES, n);
    s->parts[0] = str_of(s->head, FRAME_HEAD);
    s->parts[1] = str_of(s->archive.p, n);
    s->archive = str_skip(s->archive, n);
}

static void sender_init(struct sender *s, enum inspect_what what,
                        const struct inspect_limits *limits, str archive)
{
    *s = (struct sender){.archive = archive};
    s->request = (struct inspect_request){.what = what,
                                          .entries = limits->entries,
                                          .file_bytes = limits->file_bytes,
                                          .total_bytes = limits->total_bytes,
                                          .bytes = archive.n};
    frame_head(s->head, INSPECT_REQUEST, sizeof s->request);
    s->parts[0] = str_of(s->head, FRAME_HEAD);
    s->parts[1] = str_of(&s->request, sizeof s->request);
}

// As much as the socket takes. A process that listens no more is no failure: it may have said why.
static void send_some(struct talk *t)
{
    struct sender *s = &t->sender;
    while (has_more(s)) {
        if (s->parts[0].n + s->parts[1].n == 0)
            next_frame(s);
        struct iovec v[2] = {{(char *)s->parts[0].p, s->parts[0].n},
                             {(char *)s->parts[1].p, s->parts[1].n}};
        struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};
        ssize_t n = sendmsg(t->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n < 0) {
            s->parts[0] = s->parts[1] = s->archive = (str){0};
            return;
        }
        size_t of_head = (size_t)n < s->parts[0].n ? (size_t)n : s->parts[0].n;
        s->parts[0] = str_skip(s->parts[0], of_head);
        s->parts[1] = str_skip(s->parts[1], (size_t)n - of_head);
    }
}

// False: nothing more will come.
static bool receive_some(struct talk *t)
{
    size_t room;
    char *to = frame_buffer_room(&t->received, &room);
    ssize_t n = recv(t->fd, to, room, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    frame_buffer_filled(&t->received, (size_t)n);
    return n != 0 && answer_take(&t->answer, &t->received) < ANSWER_DONE;
}

// 0 when the deadline has passed.
static int wait_for(const struct talk *t)
{
    uint64_t now = clock_monotonic_ms();
    if (now >= t->deadline)
        return 0;
    short out = t->answer.state != ANSWER_STARTING && has_more(&t->sender) ? POLLOUT : 0;
    struct pollfd p = {.fd = t->fd, .events = (short)(POLLIN | out)};
    int n = poll(&p, 1, (int)(t->deadline - now));
    return n < 0 ? POLLERR : n == 0 ? 0 : p.revents;
}

// Until something final is known; the answer's state says what. False: the deadline has passed.
static bool converse(struct talk *t)
{
    int ready;
    while ((ready = wait_for(t)) != 0) {
        if ((ready & ~POLLOUT) != 0 && !receive_some(t))
            return true;
        if ((ready & POLLOUT) != 0)
            send_some(t);
    }
    return false;
}

enum outcome { TOLD, NEVER_READY, TOO_LATE, BROKEN, DIED };

static enum outcome outcome_of(const struct talk *t, bool in_time)
{
    return t->answer.state == ANSWER_DONE       ? TOLD
           : t->answer.state == ANSWER_STARTING ? NEVER_READY
           : !in_time                           ? TOO_LATE
           : t->answer.state == ANSWER_BROKEN   ? BROKEN
                                                : DIED;
}

static const char *outcome_text(enum outcome outcome)
{
    return outcome == NEVER_READY ? "stoa-inspect: did not start"
           : outcome == TOO_LATE  ? "stoa-inspect: past its deadline"
           : outcome == BROKEN    ? "stoa-inspect: broke the protocol"
                                  : "stoa-inspect: ended before its answer";
}

static enum outcome inspect_with(const struct cage_worker *worker, uint64_t deadline,
                                 enum inspect_what what, const struct inspect_limits *limits,
                                 str bytes, const struct inspect_visitor *visitor)
{
    struct talk t = {.fd = worker->fd, .deadline = deadline};
    sender_init(&t.sender, what, limits, bytes);
    frame_buffer_init(&t.received);
    answer_init(&t.answer, limits, visitor);
    bool in_time = converse(&t);
    frame_buffer_fini(&t.received);
    return outcome_of(&t, in_time);
}

// FAIL_NONE and an outcome, or there was no process to ask. Every spare may have died meanwhile, which
// its bytes cannot be blamed for; then one is started.
static enum fail inspect_bytes(enum inspect_what what, const struct inspect_limits *limits,
                               str bytes, const struct inspect_visitor *visitor, enum outcome *ret,
                               struct fault *fault)
{
    assert(spares.source != NULL);
    uint64_t deadline = clock_monotonic_ms() + limits->deadline_ms;
    enum fail fail = FAIL_NONE;
    *ret = NEVER_READY;
    for (size_t tries = spares.wanted + 1; *ret == NEVER_READY && tries != 0; --tries) {
        struct cage_worker worker;
        if ((fail = next_worker(&worker, fault)) != FAIL_NONE)
            break;
        *ret = inspect_with(&worker, deadline, what, limits, bytes, visitor);
        end_worker(&worker);
    }
    fill_spares();
    return fail;
}

// --- archives ---

static enum fail archive_failed(enum outcome outcome, struct fault *fault)
{
    if (outcome == NEVER_READY)
        fault_set(fault, FAIL_BUSY, "busy",
                  "The archive cannot be unpacked now. Try again in a minute.");
    else if (outcome == TOO_LATE)
        fault_set(fault, FAIL_REFUSED, "invalid_bundle",
                  "The archive takes too long to unpack. Deploy fewer or smaller files.");
    else
        fault_set(fault, FAIL_REFUSED, "invalid_bundle",
                  "The archive could not be unpacked: the process that reads it failed on it. "
                  "Pack the files again, as a zip or tar.gz file.");
    fault_log(fault, "%s", outcome_text(outcome));
    return outcome == NEVER_READY ? FAIL_BUSY : FAIL_REFUSED;
}

enum fail inspect_archive(const struct inspect_limits *limits, str bytes,
                          const struct inspect_visitor *visitor, struct fault *fault)
{
    if (bytes.n > INSPECT_ARCHIVE_MAX)
        return fault_set(fault, FAIL_TOO_LARGE, "archive_too_large",
                         "The archive is larger than %d MiB.", INSPECT_ARCHIVE_MAX >> 20);
    enum outcome outcome;
    enum fail fail = inspect_bytes(INSPECT_WHAT_ARCHIVE, limits, bytes, visitor, &outcome, fault);
    return fail != FAIL_NONE || outcome == TOLD ? fail : archive_failed(outcome, fault);
}

// --- images ---

static const struct image_type {
    const char *mime;
    enum inspect_what what;
    str start;
} image_types[] = {{"image/jpeg", INSPECT_WHAT_JPEG, STR("\xff\xd8\xff")},
                   {"image/png", INSPECT_WHAT_PNG, STR("\x89PNG\r\n\x1a\n")},
                   {"image/webp", INSPECT_WHAT_WEBP, STR("RIFF")},
                   {"image/gif", INSPECT_WHAT_GIF, STR("GIF8")}};

struct cleaning {
    struct buf image;
    bool has_problem, is_memory;
};

static void on_image(void *ctx, enum inspect_kind kind, str path)
{
    struct cleaning *c = ctx;
    c->has_problem |= kind != INSPECT_FILE;
}

static void on_piece(void *ctx, str piece)
{
    buf_add(&((struct cleaning *)ctx)->image, piece);
}

static void on_problem(void *ctx, enum inspect_problem problem, str detail)
{
    struct cleaning *c = ctx;
    c->has_problem = true;
    c->is_memory = problem == INSPECT_MEMORY;
}

// An answer that was checked in form is still a hostile's: it must begin as what it claims to be.
static bool is_of_type(const struct image_type *type, str image)
{
    return str_starts(image, type->start) &&
           (type->what != INSPECT_WHAT_WEBP ||
            (image.n > 12 && memcmp(image.p + 8, "WEBP", 4) == 0));
}

static enum fail clean_verdict(struct cleaning *c, const struct image_type *type,
                               enum outcome outcome, struct fault *fault)
{
    if (outcome == TOLD && c->has_problem)
        return fault_set(fault, FAIL_REFUSED, "damaged_image",
                         c->is_memory ? "The image has too many pixels. Send a smaller one."
                                      : "The image is damaged. Save it again, and send that.");
    if (outcome == TOLD && !c->image.full && is_of_type(type, buf_str(&c->image)))
        return FAIL_NONE;
    fault_set(
        fault, FAIL_BUSY, "inspection_failed",
        "The image could not be looked at. Try again in a moment, or send it in another form.");
    fault_log(fault, "%s", outcome == TOLD ? "stoa-inspect: gave no image" : outcome_text(outcome));
    return FAIL_BUSY;
}

static enum fail clean_as(const struct image_type *type, str bytes, char **ret, size_t *ret_n,
                          struct fault *fault)
{
    uint64_t most = bytes.n + INSPECT_CLEAN_MORE;
    const struct inspect_limits limits = {
        .entries = 1, .file_bytes = most, .total_bytes = most, .deadline_ms = INSPECT_DEADLINE_MS};
    struct cleaning c = {0};
    const struct inspect_visitor visitor = {on_image, on_piece, on_problem, &c};
    enum outcome outcome;
    buf_init(&c.image, most);
    enum fail fail = inspect_bytes(type->what, &limits, bytes, &visitor, &outcome, fault);
    if (fail == FAIL_NONE && (fail = clean_verdict(&c, type, outcome, fault)) == FAIL_NONE) {
        *ret_n = c.image.n;
        *ret = buf_take(&c.image);
    }
    buf_fini(&c.image);
    return fail;
}

static const struct image_type *image_type_of(const char *mime)
{
    for (size_t i = 0; i != sizeof image_types / sizeof *image_types; ++i)
        if (strcmp(mime, image_types[i].mime) == 0)
            return &image_types[i];
    return NULL;
}

bool inspect_can_clean(const char *mime)
{
    return image_type_of(mime) != NULL;
}

// Formats that have no place for EXIF. Of all others but ours, HEIC and TIFF among them, nobody here can
// take it out.
static bool may_tell(const char *mime)
{
    static const char *const silent[] = {"image/bmp", "image/svg+xml", "image/vnd.microsoft.icon"};
    for (size_t i = 0; i != sizeof silent / sizeof *silent; ++i)
        if (strcmp(mime, silent[i]) == 0)
            return false;
    return strncmp(mime, "image/", 6) == 0;
}

enum fail inspect_clean_image(str bytes, const char *mime, char **ret, size_t *ret_n,
                              struct fault *fault)
{
    const struct image_type *type = image_type_of(mime);
    *ret = NULL;
    *ret_n = 0;
    if (bytes.n > INSPECT_IMAGE_MAX)
        return fault_set(fault, FAIL_TOO_LARGE, "file_too_large",
                         "The image is larger than %d MiB.", INSPECT_IMAGE_MAX >> 20);
    if (type != NULL)
        return clean_as(type, bytes, ret, ret_n, fault);
    if (!may_tell(mime))
        return FAIL_NONE;
    return fault_set(fault, FAIL_BAD_TYPE, "type_not_allowed",
                     "Images of this kind say where they were taken, and only from JPEG, PNG, WebP "
                     "and GIF images can that be removed here: send it as one of these.");
}

const char *inspect_problem_text(enum inspect_problem problem)
{
    static const char *const texts[INSPECT_PROBLEMS] = {
        [INSPECT_NOT_AN_ARCHIVE] = "is neither a zip nor a tar file (plain, gzip, xz or zstd)",
        [INSPECT_TOO_MANY_FILTERS] = "is compressed more than once",
        [INSPECT_SPLIT] = "is one part of a split archive",
        [INSPECT_DAMAGED] = "is cut short or damaged",
        [INSPECT_ENTRY_DAMAGED] = "is damaged",
        [INSPECT_FILE_TOO_LARGE] = "is too large",
        [INSPECT_TOTAL_TOO_LARGE] = "is too large when unpacked",
        [INSPECT_TOO_MANY_ENTRIES] = "has too many entries",
        [INSPECT_RATIO] = "unpacks to far more than its size",
        [INSPECT_MEMORY] = "needs too much memory to unpack",
        [INSPECT_BAD_NAME] = "has an entry whose name is not valid UTF-8 or holds a NUL",
    };
    return texts[problem];
}
