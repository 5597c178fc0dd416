// A worker's socket: frames out, all of a turn's in one call, as far as the socket takes them, and
// whole frames in. What is not sent waits in `out`, what is not understood yet in `in`; idle workers
// hold neither.
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "public-actions/plugin/internal.h"

enum { HEAD = sizeof(struct worker_frame_head), ROOM_LEAST = 4096 };

// --- bytes that wait ---
void worker_bytes_fini(struct worker_bytes *b)
{
    free(b->p);
    *b = (struct worker_bytes){0};
}

static size_t bytes_count(const struct worker_bytes *b)
{
    return b->to - b->from;
}

// Room for n more behind what is there.
static void bytes_reserve(struct worker_bytes *b, size_t n)
{
    if (b->room - b->to >= n)
        return;
    if (b->from > b->to / 2) { // cheap: less than half of it moves
        memmove(b->p, b->p + b->from, b->to - b->from);
        b->to -= b->from;
        b->from = 0;
    }
    if (b->room - b->to >= n)
        return;
    size_t room = b->room * 2 > b->to + n ? b->room * 2 : b->to + n;
    b->room = room > ROOM_LEAST ? room : ROOM_LEAST;
    if ((b->p = realloc(b->p, b->room)) == NULL)
        abort();
}

static void bytes_add(struct worker_bytes *b, str s)
{
    if (s.n == 0)
        return;
    bytes_reserve(b, s.n);
    memcpy(b->p + b->to, s.p, s.n);
    b->to += s.n;
}

static void bytes_drop(struct worker_bytes *b, size_t n)
{
    b->from += n;
    if (b->from == b->to)
        worker_bytes_fini(b);
}

void worker_watch(struct worker *w)
{
    if (w->process.fd >= 0)
        loop_watch_start(&w->watch, w->process.fd, !w->is_paused || w->is_strict, w->is_blocked);
}

// --- out ---

// A peer that is gone is seen when it is read: it may have said something.
static void send_waiting(struct worker *w)
{
    ssize_t n;
    do
        n = send(w->process.fd, w->out.p + w->out.from, bytes_count(&w->out),
                 MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        n = errno == EAGAIN ? 0 : (ssize_t)bytes_count(&w->out);
    bytes_drop(&w->out, (size_t)n);
    w->is_blocked = bytes_count(&w->out) != 0;
    worker_watch(w);
}

void worker_flush(struct loop_timer *t)
{
    send_waiting((struct worker *)((char *)t - offsetof(struct worker, flush)));
}

void worker_on_writable(struct loop_watch *watch)
{
    send_waiting((struct worker *)((char *)watch - offsetof(struct worker, watch)));
}

void worker_send(struct worker *w, enum worker_frame type, uint8_t flags, uint32_t id, uint32_t ref,
                 str body)
{
    struct worker_frame_head head = {
        .size = (uint32_t)body.n, .type = (uint8_t)type, .flags = flags, .id = id, .ref = ref};
    assert(body.n <= WORKER_TO_MAX);
    if (w->state != WORKER_IS_LOADING && w->state != WORKER_IS_LIVE)
        return;
    if (bytes_count(&w->out) + HEAD + body.n > OUTPUT_MAX && !w->is_blocked)
        send_waiting(w);
    if (bytes_count(&w->out) + HEAD + body.n > OUTPUT_MAX) {
        worker_end(w, WORKER_END_UNREAD);
        return;
    }
    bytes_reserve(&w->out, HEAD + body.n);
    bytes_add(&w->out, str_of(&head, HEAD));
    bytes_add(&w->out, body);
    if (!w->is_blocked && !loop_timer_is_running(&w->flush))
        loop_timer_start(&w->flush, 0);
}

// --- in ---
enum frames { FRAMES_TAKEN, FRAMES_WANTED, FRAMES_LIED };

static void check_pause(struct worker *w)
{
    w->is_paused = w->crowded != 0;
}

// Takes whole frames from the front; *ret_used: how many bytes. FRAMES_WANTED: *ret_size is the
// size of the frame that has begun.
static enum frames take_frames(struct worker *w, char *p, size_t n, size_t *ret_used,
                               size_t *ret_size)
{
    size_t at = 0;
    *ret_size = HEAD;
    for (;;) {
        struct worker_frame_head head;
        *ret_used = at;
        check_pause(w);
        if (w->state == WORKER_IS_ENDED || (w->is_paused && !w->is_strict))
            return FRAMES_TAKEN;
        if (n - at < HEAD)
            return FRAMES_WANTED;
        memcpy(&head, p + at, HEAD);
        size_t most = worker_frame_max(head.type);
        if (most == SIZE_MAX || head.size > most || head.zero != 0)
            return FRAMES_LIED;
        *ret_size = HEAD + (size_t)head.size;
        if (n - at < *ret_size)
            return FRAMES_WANTED;
        if (!worker_frame(w, &head, p + at + HEAD))
            return FRAMES_LIED;
        at += *ret_size;
        *ret_size = HEAD;
    }
}

// What is in `in`; leaves there what cannot be taken yet, with room for the rest of its frame.
static void take_from_in(struct worker *w)
{
    size_t used, size;
    struct worker_bytes in = w->in; // ending the worker frees nothing of it before it is settled
    enum frames result = take_frames(w, in.p + in.from, bytes_count(&in), &used, &size);
    bytes_drop(&w->in, used);
    if (result == FRAMES_LIED)
        worker_end(w, WORKER_END_LIED);
    else if (result == FRAMES_WANTED && bytes_count(&w->in) != 0)
        bytes_reserve(&w->in, size - bytes_count(&w->in));
}

static void take_from_scratch(struct worker *w, char *p, size_t n)
{
    size_t used, size;
    enum frames result = take_frames(w, p, n, &used, &size);
    if (result == FRAMES_LIED) {
        worker_end(w, WORKER_END_LIED);
    } else if (w->state != WORKER_IS_ENDED && used != n) {
        if (result == FRAMES_WANTED)
            bytes_reserve(&w->in, size);
        bytes_add(&w->in, str_of(p + used, n - used));
    }
}

// One read a turn, so that a worker that floods us gets no more than its part of the loop.
void worker_on_readable(struct loop_watch *watch)
{
    struct worker *w = (struct worker *)((char *)watch - offsetof(struct worker, watch));
    bool is_fresh = bytes_count(&w->in) == 0;
    if (!is_fresh)
        bytes_reserve(&w->in, 1);
    char *to = is_fresh ? plugin_desk()->scratch : w->in.p + w->in.to;
    size_t room = is_fresh ? SCRATCH : w->in.room - w->in.to;
    ssize_t n = recv(w->process.fd, to, room, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        worker_end(w, WORKER_END_DIED);
        return;
    }
    if (is_fresh) {
        take_from_scratch(w, to, (size_t)n);
    } else {
        w->in.to += (size_t)n;
        take_from_in(w);
    }
    worker_watch(w);
}

void worker_resume(struct loop_timer *t)
{
    struct worker *w = (struct worker *)((char *)t - offsetof(struct worker, resume));
    if (bytes_count(&w->in) != 0)
        take_from_in(w);
    else
        check_pause(w);
    worker_watch(w);
}
