// Numbers are in network order; a column is its length and its bytes.
#include "edge/store/copy.h"
#include <assert.h>

static void put(struct buf *b, uint64_t v, unsigned bytes)
{
    uint8_t text[8];
    for (unsigned i = 0; i != bytes; ++i)
        text[i] = (uint8_t)(v >> 8 * (bytes - 1 - i));
    buf_add(b, str_of(text, bytes));
}

void db_copy_begin(struct buf *b)
{
    buf_add(b, str_of("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19));
}

void db_copy_row(struct buf *b, unsigned columns)
{
    put(b, columns, 2);
}

void db_copy_text(struct buf *b, str s)
{
    put(b, s.n, 4);
    buf_add(b, s);
}

void db_copy_bool(struct buf *b, bool v)
{
    put(b, 1, 4);
    buf_addc(b, v ? 1 : 0);
}

void db_copy_int4(struct buf *b, uint32_t v)
{
    put(b, 4, 4);
    put(b, v < INT32_MAX ? v : INT32_MAX, 4);
}

void db_copy_int8(struct buf *b, int64_t v)
{
    put(b, 8, 4);
    put(b, (uint64_t)v, 8);
}

int64_t db_copy_microseconds(int64_t real_ms)
{
    return (real_ms - 946684800000) * 1000;
}

void db_copy_time(struct buf *b, int64_t real_ms)
{
    db_copy_int8(b, db_copy_microseconds(real_ms));
}

static unsigned hex(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : ((unsigned)c | 0x20) - 'a' + 10;
}

void db_copy_uuid(struct buf *b, const char *text)
{
    uint8_t bytes[16];
    unsigned digits = 0;
    for (; *text != '\0'; ++text) {
        if (*text == '-')
            continue;
        assert(digits < 32 && hex(*text) < 16);
        bytes[digits / 2] =
            (uint8_t)(digits % 2 ? bytes[digits / 2] | hex(*text) : hex(*text) << 4);
        ++digits;
    }
    assert(digits == 32);
    db_copy_text(b, str_of(bytes, sizeof bytes));
}

void db_copy_end(struct buf *b)
{
    put(b, 0xffff, 2);
}
