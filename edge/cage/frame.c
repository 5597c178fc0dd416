// Framing between the server and a caged program. No allocation after init, and no call but read
// and write on the caged side: both must work behind the system call filter.
#include "edge/cage/frame.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

void frame_head(char *to, uint8_t type, size_t size)
{
    assert(size <= FRAME_BODY_MAX);
    uint32_t n = (uint32_t)size;
    memcpy(to, &n, sizeof n);
    to[4] = (char)type;
    memset(to + 5, 0, 3);
}

// False when it is no head of ours.
static bool head_parse(const char *p, uint8_t *ret_type, size_t *ret_size)
{
    uint32_t n;
    memcpy(&n, p, sizeof n);
    if (n > FRAME_BODY_MAX || p[5] != 0 || p[6] != 0 || p[7] != 0)
        return false;
    *ret_type = (uint8_t)p[4];
    *ret_size = n;
    return true;
}

void frame_buffer_init(struct frame_buffer *b)
{
    *b = (struct frame_buffer){._room = 4 * (FRAME_HEAD + FRAME_BODY_MAX)};
    b->_p = malloc(b->_room);
    if (b->_p == NULL)
        abort();
}

void frame_buffer_fini(struct frame_buffer *b)
{
    free(b->_p);
    *b = (struct frame_buffer){0};
}

char *frame_buffer_room(struct frame_buffer *b, size_t *ret_n)
{
    if (b->_from == b->_to) {
        b->_from = b->_to = 0;
    } else if (b->_room - b->_from < FRAME_HEAD + FRAME_BODY_MAX) {
        memmove(b->_p, b->_p + b->_from, b->_to - b->_from);
        b->_to -= b->_from;
        b->_from = 0;
    }
    *ret_n = b->_room - b->_to;
    return b->_p + b->_to;
}

void frame_buffer_filled(struct frame_buffer *b, size_t n)
{
    assert(n <= b->_room - b->_to);
    b->_to += n;
}

enum frame_next frame_buffer_next(struct frame_buffer *b, uint8_t *ret_type, str *ret_body)
{
    const char *at = b->_p + b->_from;
    size_t have = b->_to - b->_from, size;
    uint8_t type;
    if (have < FRAME_HEAD)
        return FRAME_MORE;
    if (!head_parse(at, &type, &size))
        return FRAME_BROKEN;
    if (have - FRAME_HEAD < size)
        return FRAME_MORE;
    *ret_type = type;
    *ret_body = str_of(at + FRAME_HEAD, size);
    b->_from += FRAME_HEAD + size;
    return FRAME_ONE;
}

static bool read_all(int fd, char *to, size_t n)
{
    while (n != 0) {
        ssize_t got = read(fd, to, n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        to += got;
        n -= (size_t)got;
    }
    return true;
}

bool frame_read(int fd, uint8_t *ret_type, char body[static FRAME_BODY_MAX], size_t *ret_n)
{
    char head[FRAME_HEAD];
    return read_all(fd, head, sizeof head) && head_parse(head, ret_type, ret_n) &&
           read_all(fd, body, *ret_n);
}

bool frame_flush(struct frame_writer *w)
{
    size_t done = 0;
    while (done != w->_n) {
        ssize_t n = write(w->fd, w->_bytes + done, w->_n - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    w->_n = 0;
    return true;
}

bool frame_write(struct frame_writer *w, uint8_t type, str a, str b)
{
    size_t size = a.n + b.n;
    assert(size <= FRAME_BODY_MAX);
    if (sizeof w->_bytes - w->_n < FRAME_HEAD + size && !frame_flush(w))
        return false;
    char *to = w->_bytes + w->_n;
    frame_head(to, type, size);
    if (a.n != 0)
        memcpy(to + FRAME_HEAD, a.p, a.n);
    if (b.n != 0)
        memcpy(to + FRAME_HEAD + a.n, b.p, b.n);
    w->_n += FRAME_HEAD + size;
    return true;
}
