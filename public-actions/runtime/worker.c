// Reading is blocking and into one buffer, in which frames are taken apart where they lie; writing
// is batched until there is nothing more to read at once. Both buffers give the room of an unusual
// frame back.
#include "public-actions/runtime/worker.h"
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "public-actions/runtime/engine.h"

enum {
    HEAD = sizeof(struct worker_frame_head),
    USUAL_ROOM = 64 * 1024,
    FLUSH_AT = 256 * 1024,
};

static int peer = -1;
static char out[FLUSH_AT];
static size_t out_n;

static void write_all(const char *p, size_t n)
{
    while (n != 0) {
        ssize_t done = write(peer, p, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            _exit(EXIT_SUCCESS); // the server is gone, and nobody is left to be told
        p += done;
        n -= (size_t)done;
    }
}

static void flush(void)
{
    write_all(out, out_n);
    out_n = 0;
}

static void add(str s)
{
    if (s.n > sizeof out - out_n)
        flush();
    if (s.n > sizeof out) {
        write_all(s.p, s.n);
    } else if (s.n != 0) {
        memcpy(out + out_n, s.p, s.n);
        out_n += s.n;
    }
}

void worker_send(enum worker_frame type, uint8_t flags, uint32_t id, uint32_t ref, str a, str b)
{
    struct worker_frame_head head = {
        .size = (uint32_t)(a.n + b.n), .type = type, .flags = flags, .id = id, .ref = ref};
    add(str_of(&head, sizeof head));
    add(a);
    add(b);
    // a handler's last words before it hangs are those its owner needs
    if (type == WORKER_LOG)
        flush();
}

static void send_stats(void)
{
    struct engine_stats stats;
    char body[128];
    engine_measure(&stats);
    int n = snprintf(body, sizeof body, "{\"heapSize\":%llu,\"heapCapacity\":%llu}",
                     (unsigned long long)stats.heap_size, (unsigned long long)stats.heap_capacity);
    worker_send(WORKER_STATS, 0, 0, 0, str_of(body, (size_t)n), (str){0});
}

static void tidy(void)
{
    engine_collect();
    malloc_trim(0);
    send_stats();
}

static void reply(const struct worker_frame_head *head, str body)
{
    str text = {0};
    if ((head->flags & WORKER_WITH_TEXT) != 0) {
        size_t end = str_find(body, '\0');
        if (end != SIZE_MAX) {
            text = str_skip(body, end + 1);
            body.n = end;
        }
    }
    engine_reply(head->id, head->ref, (head->flags & WORKER_FAILED) != 0, body, text);
}

// False: not a frame that goes this way.
static bool dispatch(const struct worker_frame_head *head, str body)
{
    switch (head->type) {
    case WORKER_LOAD:
        engine_load(body, head->id, (head->flags & WORKER_FRESH) != 0);
        return true;
    case WORKER_CALL:
        worker_send(WORKER_STARTED, 0, head->id, 0, (str){0}, (str){0});
        flush();
        engine_call(head->id, body);
        return true;
    case WORKER_REPLY:
        reply(head, body);
        return true;
    case WORKER_DROP:
        engine_drop(head->id);
        return true;
    case WORKER_PING:
        worker_send(WORKER_PONG, 0, head->id, 0, (str){0}, (str){0});
        return true;
    case WORKER_TIDY:
        tidy();
        return true;
    default:
        return false;
    }
}

// --- reading ---
struct input {
    char *p;
    size_t n, room;
};

// Room for `room` bytes and one more, which engine_call and its like overwrite.
static void input_resize(struct input *in, size_t room)
{
    char *p = realloc(in->p, room + 1);
    if (p == NULL)
        abort();
    in->p = p;
    in->room = room;
}

// Frames that are whole are served; what is left of the next one moves to the front. False:
// nonsense.
static bool serve_frames(struct input *in, size_t *ret_wanted)
{
    size_t at = 0;
    *ret_wanted = USUAL_ROOM;
    while (in->n - at >= HEAD) {
        struct worker_frame_head head;
        memcpy(&head, in->p + at, HEAD);
        if (head.size > WORKER_TO_MAX)
            return false;
        if (in->n - at - HEAD < head.size) {
            if (HEAD + (size_t)head.size > USUAL_ROOM)
                *ret_wanted = HEAD + (size_t)head.size;
            break;
        }
        if (!dispatch(&head, str_of(in->p + at + HEAD, head.size)))
            return false;
        at += HEAD + head.size;
    }
    memmove(in->p, in->p + at, in->n - at);
    in->n -= at;
    return true;
}

bool worker_serve(int fd, unsigned layers)
{
    peer = fd;
    struct input in = {0};
    input_resize(&in, USUAL_ROOM);
    char ready[32];
    int n = snprintf(ready, sizeof ready, "{\"layers\":%u}", layers);
    worker_send(WORKER_READY, 0, 0, 0, str_of(ready, (size_t)n), (str){0});
    for (;;) {
        flush();
        engine_idle();
        ssize_t got = read(fd, in.p + in.n, in.room - in.n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return in.n == 0;
        in.n += (size_t)got;
        size_t wanted;
        if (!serve_frames(&in, &wanted))
            return false;
        if (wanted != in.room)
            input_resize(&in, wanted > in.n ? wanted : in.n);
    }
}
