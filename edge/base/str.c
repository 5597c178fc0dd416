// Views of bytes and bounded buffers.
#include "edge/base/str.h"
#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

bool str_caseeq(str a, str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i != a.n; ++i) {
        unsigned char x = (unsigned char)a.p[i], y = (unsigned char)b.p[i];
        if (x != y && (x | 0x20) == (y | 0x20) && (x | 0x20) >= 'a' && (x | 0x20) <= 'z')
            continue;
        if (x != y)
            return false;
    }
    return true;
}

int str_cmp(str a, str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n != 0 ? memcmp(a.p, b.p, n) : 0;
    return c != 0 ? c : a.n < b.n ? -1 : a.n > b.n;
}

size_t str_find(str s, char c)
{
    const char *at = s.n != 0 ? memchr(s.p, c, s.n) : NULL;
    return at != NULL ? (size_t)(at - s.p) : SIZE_MAX;
}

size_t str_find_str(str s, str needle)
{
    if (needle.n == 0)
        return 0;
    const char *at = s.n != 0 ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
    return at != NULL ? (size_t)(at - s.p) : SIZE_MAX;
}

str str_trim(str s)
{
    while (s.n != 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = str_skip(s, 1);
    while (s.n != 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        --s.n;
    return s;
}

str str_cut(str *rest, char sep)
{
    size_t at = str_find(*rest, sep);
    str head = *rest;
    if (at == SIZE_MAX) {
        *rest = (str){rest->p + rest->n, 0};
        return head;
    }
    head.n = at;
    *rest = str_skip(*rest, at + 1);
    return head;
}

char *str_dup(str s)
{
    char *z = malloc(s.n + 1);
    if (z == NULL)
        abort();
    if (s.n != 0)
        memcpy(z, s.p, s.n);
    z[s.n] = '\0';
    return z;
}

bool str_to_u64(str s, uint64_t max, uint64_t *ret)
{
    uint64_t v = 0;
    if (s.n == 0 || s.n > 20)
        return false;
    for (size_t i = 0; i != s.n; ++i) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(s.p[i] - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    if (v > max)
        return false;
    *ret = v;
    return true;
}

// The length of the well-formed sequence at p, or 0 (Unicode 15, table 3-7).
static size_t utf8_sequence(const unsigned char *p, size_t n)
{
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    size_t len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (n < len)
        return 0;
    unsigned char low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i != len; ++i)
        if (p[i] < 0x80 || p[i] > 0xbf)
            return 0;
    return len;
}

static bool is_ascii8(const char *p)
{
    uint64_t w;
    memcpy(&w, p, sizeof w);
    return (w & UINT64_C(0x8080808080808080)) == 0;
}

size_t str_utf8_prefix(str s)
{
    size_t i = 0;
    while (i != s.n) {
        if ((unsigned char)s.p[i] < 0x80 && s.n - i >= 8 && is_ascii8(s.p + i)) {
            i += 8;
            continue;
        }
        size_t len = utf8_sequence((const unsigned char *)s.p + i, s.n - i);
        if (len == 0)
            break;
        i += len;
    }
    return i;
}

bool str_is_utf8(str s)
{
    return str_utf8_prefix(s) == s.n;
}

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){._max = max};
}

void buf_fini(struct buf *b)
{
    free(b->p);
    *b = (struct buf){0};
}

void buf_clear(struct buf *b)
{
    b->n = 0;
    b->full = false;
}

char *buf_reserve(struct buf *b, size_t n)
{
    if (b->full || n > b->_max || b->n > b->_max - n) {
        b->full = true;
        return NULL;
    }
    if (b->n + n + 1 > b->_room) { // one more, for buf_take's NUL
        size_t room = b->_room < 128 ? 128 : b->_room;
        while (room < b->n + n + 1)
            room *= 2;
        char *p = realloc(b->p, room);
        if (p == NULL)
            abort();
        b->p = p;
        b->_room = room;
    }
    return b->p + b->n;
}

void buf_add(struct buf *b, str s)
{
    char *to = buf_reserve(b, s.n);
    if (to == NULL)
        return;
    if (s.n != 0)
        memcpy(to, s.p, s.n);
    b->n += s.n;
}

void buf_addc(struct buf *b, char c)
{
    buf_add(b, str_of(&c, 1));
}

void buf_addf(struct buf *b, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    char small[256];
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(small, sizeof small, format, ap);
    va_end(ap);
    assert(n >= 0);
    if ((size_t)n < sizeof small) {
        buf_add(b, str_of(small, (size_t)n));
    } else if (buf_reserve(b, (size_t)n) != NULL) {
        vsnprintf(b->p + b->n, (size_t)n + 1, format, again);
        b->n += (size_t)n;
    }
    va_end(again);
}

char *buf_take(struct buf *b)
{
    if (b->p == NULL)
        buf_reserve(b, 0);
    if (b->p == NULL) // full at birth
        return str_dup((str){0});
    char *p = b->p;
    p[b->n] = '\0';
    *b = (struct buf){._max = b->_max};
    return p;
}
