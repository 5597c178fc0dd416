// libh2o's decoder takes any bytes up to LF as a chunk's extension, any number of CR before it, LF
// alone as a line end, and trailers and extensions without end. Here a line ends in CRLF only,
// extensions and trailers are short, and a body may not be mostly framing (which would be a way to
// keep a connection busy for ever without a byte of content).
#include "edge/guard/chunks.h"
#include <stdbool.h>

enum {
    EXTENSION_MAX = 256,
    TRAILER_MAX = 8192,
    SIZE_DIGITS_MAX = 15,
    FRAMING_FREE = 64 * 1024,
    FRAMING_PER_BYTE = 8, // a one-byte chunk has five bytes around it
};

enum state {
    SIZE,       // hex digits
    EXTENSION,  // to CR
    SIZE_LF,    // LF
    DATA,       // `left` bytes
    DATA_CR,    // CR
    DATA_LF,    // LF
    LINE_START, // of the trailer section
    LINE,       // to CR
    LINE_LF,
    LAST_LF,
    DONE,
};

void chunks_init(struct chunks *c)
{
    *c = (struct chunks){.state = SIZE};
}

static int hex(char ch)
{
    if (ch >= '0' && ch <= '9')
        return ch - '0';
    ch |= 0x20;
    return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

static bool is_text(char ch)
{
    return ((unsigned char)ch >= 0x20 && ch != 0x7f) || ch == '\t';
}

static bool on_size(struct chunks *c, char ch)
{
    int v = hex(ch);
    if (v >= 0) {
        c->left = c->left * 16 + (unsigned)v;
        return ++c->digits <= SIZE_DIGITS_MAX;
    }
    if (c->digits == 0)
        return false;
    c->line = 0;
    c->state = ch == '\r' ? SIZE_LF : EXTENSION;
    return ch == '\r' || ch == ';' || ch == ' ' || ch == '\t';
}

static bool on_extension(struct chunks *c, char ch)
{
    if (ch == '\r') {
        c->state = SIZE_LF;
        return true;
    }
    return is_text(ch) && ++c->line <= EXTENSION_MAX;
}

static bool on_size_end(struct chunks *c, char ch)
{
    c->state = c->left == 0 ? LINE_START : DATA;
    c->digits = 0;
    c->total += c->left;
    return ch == '\n';
}

static bool on_trailer(struct chunks *c, char ch)
{
    if (++c->trailer > TRAILER_MAX)
        return false;
    switch (c->state) {
    case LINE_START:
        c->state = ch == '\r' ? LAST_LF : LINE;
        return ch == '\r' || is_text(ch);
    case LINE:
        if (ch == '\r')
            c->state = LINE_LF;
        return ch == '\r' || is_text(ch);
    case LINE_LF:
        c->state = LINE_START;
        return ch == '\n';
    default:
        c->state = DONE;
        return ch == '\n';
    }
}

static bool on_framing(struct chunks *c, char ch)
{
    ++c->framing;
    switch (c->state) {
    case SIZE:
        return on_size(c, ch);
    case EXTENSION:
        return on_extension(c, ch);
    case SIZE_LF:
        return on_size_end(c, ch);
    case DATA_CR:
        c->state = DATA_LF;
        return ch == '\r';
    case DATA_LF:
        c->state = SIZE;
        return ch == '\n';
    default:
        return on_trailer(c, ch);
    }
}

enum chunks_verdict chunks_check(struct chunks *c, const char *p, size_t n, uint64_t limit)
{
    while (n != 0 && c->state != DONE) {
        if (c->state == DATA) {
            size_t take = c->left < n ? (size_t)c->left : n;
            c->left -= take;
            p += take;
            n -= take;
            if (c->left == 0)
                c->state = DATA_CR;
            continue;
        }
        if (!on_framing(c, *p++))
            return CHUNKS_BROKEN;
        --n;
        if (c->total > limit)
            return CHUNKS_TOO_LARGE;
    }
    if (c->framing > FRAMING_FREE && c->framing - FRAMING_FREE > c->total * FRAMING_PER_BYTE)
        return CHUNKS_BROKEN;
    return CHUNKS_FINE;
}
