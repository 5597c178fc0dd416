// Random names.
#include "edge/base/token.h"
#include "edge/base/clock.h"
#include "edge/base/digest.h"

static const char base32[] = "0123456789abcdefghjkmnpqrstvwxyz";
static const char hex[] = "0123456789abcdef";

enum { TAIL = 26, TIME = 10 };

// Returns where the tail goes.
static char *put_prefix(const char *prefix, char to[static TOKEN_ID_ROOM])
{
    size_t n = strnlen(prefix, TOKEN_ID_ROOM - TAIL - 2);
    memcpy(to, prefix, n);
    to[n + TAIL] = '\0';
    return to + n;
}

static void put_random(const uint8_t *random, size_t n, char *to)
{
    for (size_t i = 0; i != n; ++i)
        to[i] = base32[random[i] & 31];
}

void token_id(const char *prefix, char to[static TOKEN_ID_ROOM])
{
    uint8_t random[TAIL];
    random_bytes(random, sizeof random);
    put_random(random, TAIL, put_prefix(prefix, to));
}

// Many at a time from the kernel; what was used is forgotten.
static void take_random(uint8_t *to, size_t n)
{
    static __thread uint8_t stock[4096];
    static __thread size_t left;
    if (left < n) {
        random_bytes(stock, sizeof stock);
        left = sizeof stock;
    }
    left -= n;
    memcpy(to, stock + left, n);
    explicit_bzero(stock + left, n);
}

void token_ordered_id(const char *prefix, char to[static TOKEN_ID_ROOM])
{
    uint8_t random[TAIL - TIME];
    uint64_t ms = (uint64_t)clock_real_ms();
    char *tail = put_prefix(prefix, to);
    take_random(random, sizeof random);
    put_random(random, sizeof random, tail + TIME);
    for (int i = TIME - 1; i >= 0; --i, ms >>= 5)
        tail[i] = base32[ms & 31];
}

void token_request_id(char to[static TOKEN_REQUEST_ID_ROOM])
{
    static __thread uint64_t start, count;
    if (start == 0)
        start = random_u64() | 1;
    uint64_t high = start, low = ++count;
    for (int i = 15; i >= 0; --i, high >>= 4)
        to[i] = hex[high & 15];
    for (int i = 23; i >= 16; --i, low >>= 4)
        to[i] = hex[low & 15];
    to[24] = '\0';
}

void token_uuid(char to[static TOKEN_UUID_ROOM])
{
    uint8_t r[16];
    random_bytes(r, sizeof r);
    r[6] = (r[6] & 0x0f) | 0x40;
    r[8] = (r[8] & 0x3f) | 0x80;
    char *p = to;
    for (size_t i = 0; i != 16; ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        *p++ = hex[r[i] >> 4];
        *p++ = hex[r[i] & 15];
    }
    *p = '\0';
}

void token_hex(char *to, size_t n)
{
    for (size_t i = 0; i < n; i += 2) {
        uint8_t r;
        random_bytes(&r, 1);
        to[i] = hex[r >> 4];
        if (i + 1 < n)
            to[i + 1] = hex[r & 15];
    }
    to[n] = '\0';
}
