// How a caged program and the server speak over their one socket: frames of an eight-byte head
// {u32 size of the body, u8 type, three zero bytes} and a body. Numbers are in the machine's own
// byte order: both ends are programs of one build on one machine. What the types mean is said by
// the protocol on top (edge/inspect/protocol.h).
//
// Two halves. The caged side blocks and trusts its peer. The server's side never trusts a byte: it
// is given whatever arrived, and takes whole frames out of a buffer that cannot grow.
#ifndef STOA_CAGE_FRAME_H
#define STOA_CAGE_FRAME_H
#include "edge/base/str.h"

enum { FRAME_HEAD = 8, FRAME_BODY_MAX = 64 * 1024 };

// Writes the head; `to` has FRAME_HEAD bytes.
void frame_head(char *to, uint8_t type, size_t size);

// --- the server's half: taking frames out of a stream of hostile bytes ---
struct frame_buffer {
    char *_p;
    size_t _from, _to, _room;
};
enum frame_next { FRAME_ONE, FRAME_MORE, FRAME_BROKEN };

// Room for one frame of the largest size and for what one read may bring behind it.
void frame_buffer_init(struct frame_buffer *b);
void frame_buffer_fini(struct frame_buffer *b);
// Where to read the next bytes to, and how many there is room for (never 0 after FRAME_MORE).
char *frame_buffer_room(struct frame_buffer *b, size_t *ret_n);
void frame_buffer_filled(struct frame_buffer *b, size_t n);
// FRAME_ONE: a whole frame; `*ret_body` is valid until the next call. FRAME_MORE: read on.
// FRAME_BROKEN: this peer does not speak our language (a body over FRAME_BODY_MAX, bytes that must
// be zero are not); nothing more can be read of it.
enum frame_next frame_buffer_next(struct frame_buffer *b, uint8_t *ret_type, str *ret_body);

// --- the caged half: blocking, on one descriptor ---
// False when the peer is gone or says nonsense: the program then ends.
bool frame_read(int fd, uint8_t *ret_type, char body[static FRAME_BODY_MAX], size_t *ret_n);

// Collects small frames, so that many of them leave in one write.
struct frame_writer {
    int fd;
    size_t _n;
    char _bytes[2 * (FRAME_HEAD + FRAME_BODY_MAX)];
};
// One frame whose body is `a` and then `b`; together at most FRAME_BODY_MAX. False: the peer is
// gone.
bool frame_write(struct frame_writer *w, uint8_t type, str a, str b);
bool frame_flush(struct frame_writer *w);
#endif
