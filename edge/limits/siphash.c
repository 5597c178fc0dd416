// After the paper's §2: two rounds a word, four at the end, words in little-endian order.
#include "edge/limits/siphash.h"

struct state {
    uint64_t a, b, c, d;
};

static uint64_t rotate(uint64_t x, unsigned by)
{
    return x << by | x >> (64 - by);
}

static void round_of(struct state *s)
{
    s->a += s->b;
    s->c += s->d;
    s->b = rotate(s->b, 13) ^ s->a;
    s->d = rotate(s->d, 16) ^ s->c;
    s->a = rotate(s->a, 32);
    s->c += s->b;
    s->a += s->d;
    s->b = rotate(s->b, 17) ^ s->c;
    s->d = rotate(s->d, 21) ^ s->a;
    s->c = rotate(s->c, 32);
}

static void take(struct state *s, uint64_t word)
{
    s->d ^= word;
    round_of(s);
    round_of(s);
    s->a ^= word;
}

static uint64_t word_of(const char *p, size_t n)
{
    uint64_t word = 0;
    memcpy(&word, p, n);
    return word;
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are read as they lie");

uint64_t limits_siphash(const uint64_t key[static 2], str s)
{
    struct state v = {key[0] ^ UINT64_C(0x736f6d6570736575), key[1] ^ UINT64_C(0x646f72616e646f6d),
                      key[0] ^ UINT64_C(0x6c7967656e657261), key[1] ^ UINT64_C(0x7465646279746573)};
    uint64_t last = (uint64_t)s.n << 56;
    for (; s.n >= 8; s = str_skip(s, 8))
        take(&v, word_of(s.p, 8));
    if (s.n != 0)
        last |= word_of(s.p, s.n);
    take(&v, last);
    v.c ^= 0xff;
    for (int i = 0; i != 4; ++i)
        round_of(&v);
    return v.a ^ v.b ^ v.c ^ v.d;
}
