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

static void sender_init(struct sender *s, const struct inspect_limits *limits, str archive)
{
    *s = (struct sender){.archive = archive};
    s->request = (struct inspect_request){.what = INSPECT_WHAT_ARCHIVE,
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

static enum fail verdict(const struct talk *t, bool in_time, struct fault *fault)
{
    if (t->answer.state == ANSWER_DONE)
        return FAIL_NONE;
    if (!in_time) {
        fault_set(fault, FAIL_REFUSED, "invalid_bundle",
                  "The archive takes too long to unpack. Deploy fewer or smaller files.");
        fault_log(fault, "stoa-inspect: past its deadline");
        return FAIL_REFUSED;
    }
    fault_set(fault, FAIL_REFUSED, "invalid_bundle",
              "The archive could not be unpacked: the process that reads it failed on it. "
              "Pack the files again, as a zip or tar.gz file.");
    fault_log(fault, "stoa-inspect: %s",
              t->answer.state == ANSWER_BROKEN ? "broke the protocol" : "ended before its answer");
    return FAIL_REFUSED;
}

// FAIL_BUSY: the process had never been ready, so that the archive cannot be blamed.
static enum fail inspect_with(const struct cage_worker *worker, uint64_t deadline,
                              const struct inspect_limits *limits, str bytes,
                              const struct inspect_visitor *visitor, struct fault *fault)
{
    struct talk t = {.fd = worker->fd, .deadline = deadline};
    sender_init(&t.sender, limits, bytes);
    frame_buffer_init(&t.received);
    answer_init(&t.answer, limits, visitor);
    bool in_time = converse(&t);
    frame_buffer_fini(&t.received);
    if (t.answer.state != ANSWER_STARTING)
        return verdict(&t, in_time, fault);
    fault_set(fault, FAIL_BUSY, "busy",
              "The archive cannot be unpacked now. Try again in a minute.");
    fault_log(fault, "stoa-inspect: did not start");
    return FAIL_BUSY;
}

enum fail inspect_archive(const struct inspect_limits *limits, str bytes,
                          const struct inspect_visitor *visitor, struct fault *fault)
{
    assert(spares.source != NULL);
    if (bytes.n > INSPECT_ARCHIVE_MAX)
        return fault_set(fault, FAIL_TOO_LARGE, "archive_too_large",
                         "The archive is larger than %d MiB.", INSPECT_ARCHIVE_MAX >> 20);
    uint64_t deadline = clock_monotonic_ms() + limits->deadline_ms;
    enum fail fail = FAIL_BUSY;
    // every spare may have died meanwhile; then one is started
    for (size_t tries = spares.wanted + 1; fail == FAIL_BUSY && tries != 0; --tries) {
        struct cage_worker worker;
        if ((fail = next_worker(&worker, fault)) != FAIL_NONE)
            break;
        fail = inspect_with(&worker, deadline, limits, bytes, visitor, fault);
        end_worker(&worker);
    }
    fill_spares();
    return fail;
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
