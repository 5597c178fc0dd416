// Views of bytes, and buffers that are born with a maximum. A `str` borrows: it says nothing of who
// owns the bytes, is not NUL-terminated, and may hold any byte. Any thread.
#ifndef STOA_BASE_STR_H
#define STOA_BASE_STR_H
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct str {
    const char *p;
    size_t n;
} str;

#define STR(literal) ((str){"" literal, sizeof(literal) - 1})
#define STR_FMT(s) (int)(s).n, (s).p // for "%.*s"; the view must be below 2 GiB

static inline str str_from(const char *z)
{
    return (str){z, z != NULL ? strlen(z) : 0};
}
static inline str str_of(const void *p, size_t n)
{
    return (str){p, n};
}
static inline bool str_eq(str a, str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool str_starts(str s, str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}
static inline bool str_ends(str s, str suffix)
{
    return s.n >= suffix.n &&
           (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}
// s without its first n bytes; n is at most s.n.
static inline str str_skip(str s, size_t n)
{
    return (str){s.p + n, s.n - n};
}

// ASCII only; other bytes compare as they are.
bool str_caseeq(str a, str b);
int str_cmp(str a, str b);
// The index of the byte or string, or SIZE_MAX.
size_t str_find(str s, char c);
size_t str_find_str(str s, str needle);
// Without spaces and tabs at both ends.
str str_trim(str s);
// Cuts `*rest` at the first `sep`: returns what is before it and leaves what is behind it; without
// a `sep`, all of it, and an empty rest.
str str_cut(str *rest, char sep);
// A NUL-terminated copy; free() it. Aborts when out of memory.
char *str_dup(str s);
// Decimal digits only, no sign, no space, at most `max`; false when it is anything else.
bool str_to_u64(str s, uint64_t max, uint64_t *ret);
// RFC 3629: shortest forms only, no surrogates. NUL is valid here.
bool str_is_utf8(str s);
// The offset of the first byte that is not valid UTF-8, or s.n.
size_t str_utf8_prefix(str s);

// Cleanup attribute for malloc'ed memory of a function's own.
static inline void str_autofree(void *p)
{
    void **q = p;
    extern void free(void *);
    free(*q);
}
#define AUTOFREE __attribute__((cleanup(str_autofree)))

// A growing byte buffer with a maximum. After any call has failed for room, `full` stays true and
// further calls change nothing, so a writer may check once at the end.
struct buf {
    char *p;
    size_t n;
    bool full;
    size_t _room, _max;
};
void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b);
// Forgets the content and `full`, keeps the memory.
void buf_clear(struct buf *b);
void buf_add(struct buf *b, str s);
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Room for n more bytes, to be written by the caller, who then adds to `n`; NULL when that would
// pass the maximum.
char *buf_reserve(struct buf *b, size_t n);
static inline str buf_str(const struct buf *b)
{
    return (str){b->p, b->n};
}
// The content, NUL-terminated; the buffer is then empty and the caller frees it.
char *buf_take(struct buf *b);
#endif
