#include "public-actions/runtime/web.h"
#include <glib.h>

// --- text ---
static size_t put_utf8(uint32_t c, char *to)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (char)(0xc0 | c >> 6);
        to[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (char)(0xe0 | c >> 12);
        to[1] = (char)(0x80 | (c >> 6 & 0x3f));
        to[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | c >> 18);
    to[1] = (char)(0x80 | (c >> 12 & 0x3f));
    to[2] = (char)(0x80 | (c >> 6 & 0x3f));
    to[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

static bool is_high(uint32_t unit)
{
    return (unit & 0xfc00) == 0xd800;
}

static bool is_low(uint32_t unit)
{
    return (unit & 0xfc00) == 0xdc00;
}

size_t web_utf8_from_utf16(const uint16_t *from, size_t n, char *to)
{
    size_t out = 0;
    for (size_t i = 0; i != n; ++i) {
        uint32_t c = from[i];
        if (is_high(c) && i + 1 != n && is_low(from[i + 1])) {
            c = 0x10000 + ((c & 0x3ff) << 10 | (from[i + 1] & 0x3ff));
            ++i;
        } else if (is_high(c) || is_low(c)) {
            c = 0xfffd;
        }
        out += put_utf8(c, to + out);
    }
    return out;
}

// What the first byte promises (RFC 3629): how many bytes follow, and between what the first of
// them must lie.
struct lead {
    uint8_t follow, low, high;
};

static struct lead lead_of(uint8_t b)
{
    if (b < 0xc2 || b > 0xf4)
        return (struct lead){0};
    if (b < 0xe0)
        return (struct lead){1, 0x80, 0xbf};
    if (b < 0xf0)
        return (struct lead){2, b == 0xe0 ? 0xa0 : 0x80, b == 0xed ? 0x9f : 0xbf};
    return (struct lead){3, b == 0xf0 ? 0x90 : 0x80, b == 0xf4 ? 0x8f : 0xbf};
}

// Reads one sequence at s.p[*at], which is at least 0x80, and moves `*at` behind it, or behind as
// much of it as is right.
static bool take_sequence(str s, size_t *at, uint32_t *ret)
{
    uint8_t first = (uint8_t)s.p[(*at)++];
    struct lead lead = lead_of(first);
    uint32_t c = first & (0x3f >> lead.follow);
    for (uint8_t i = 0; i != lead.follow; ++i) {
        uint8_t b = *at != s.n ? (uint8_t)s.p[*at] : 0;
        if (b < (i == 0 ? lead.low : 0x80) || b > (i == 0 ? lead.high : 0xbf))
            return false;
        c = c << 6 | (b & 0x3f);
        ++*at;
    }
    *ret = c;
    return lead.follow != 0;
}

size_t web_utf16_from_utf8(str from, bool is_fatal, uint16_t *to)
{
    size_t out = 0, at = 0;
    while (at != from.n) {
        uint32_t c = (uint8_t)from.p[at];
        if (c < 0x80) {
            ++at;
        } else if (!take_sequence(from, &at, &c)) {
            if (is_fatal)
                return SIZE_MAX;
            c = 0xfffd;
        }
        if (c >= 0x10000) {
            to[out++] = (uint16_t)(0xd800 | (c - 0x10000) >> 10);
            c = 0xdc00 | (c & 0x3ff);
        }
        to[out++] = (uint16_t)c;
    }
    return out;
}

size_t web_utf8_incomplete(str s)
{
    for (size_t back = 1; back <= 3 && back <= s.n; ++back) {
        uint8_t b = (uint8_t)s.p[s.n - back];
        if ((b & 0xc0) == 0x80)
            continue;
        struct lead lead = lead_of(b);
        if (lead.follow < back)
            return 0;
        uint8_t next = back > 1 ? (uint8_t)s.p[s.n - back + 1] : lead.low;
        return next >= lead.low && next <= lead.high ? back : 0;
    }
    return 0;
}

size_t web_utf16_length(str utf8)
{
    size_t n = 0;
    for (size_t i = 0; i != utf8.n; ++i) {
        uint8_t b = (uint8_t)utf8.p[i];
        n += ((b & 0xc0) != 0x80) + (b >= 0xf0);
    }
    return n;
}

void web_json_mend(char *json, size_t n)
{
    for (char *p = json, *end = json + n; (p = memchr(p, '\\', (size_t)(end - p))) != NULL;) {
        // JSON.stringify escapes in lower case; what is not a surrogate begins with 0 to c
        if (end - p >= 6 && p[1] == 'u' && p[2] == 'd' && p[3] >= '8')
            memcpy(p + 2, "fffd", 4);
        p += end - p >= 2 ? 2 : 1;
    }
}

size_t web_json_depth(str json)
{
    size_t depth = 0, most = 0;
    bool in_string = false;
    for (size_t i = 0; i != json.n; ++i) {
        char c = json.p[i];
        if (in_string) {
            i += c == '\\'; // never the last byte
            in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            most = ++depth > most ? depth : most;
        } else if (c == ']' || c == '}') {
            --depth;
        }
    }
    return most;
}

// --- base64 ---
static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t web_base64_encode(str from, char *to)
{
    const uint8_t *p = (const uint8_t *)from.p;
    size_t out = 0;
    for (size_t i = 0; i < from.n; i += 3) {
        size_t have = from.n - i < 3 ? from.n - i : 3;
        uint32_t bits = (uint32_t)p[i] << 16 | (have > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
                        (have > 2 ? p[i + 2] : 0U);
        to[out++] = digits[bits >> 18];
        to[out++] = digits[bits >> 12 & 0x3f];
        to[out++] = have > 1 ? digits[bits >> 6 & 0x3f] : '=';
        to[out++] = have > 2 ? digits[bits & 0x3f] : '=';
    }
    return out;
}

static int digit_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static bool is_white(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r';
}

size_t web_base64_decode(str from, char *to)
{
    size_t out = 0, count = 0, pads = 0;
    uint32_t bits = 0;
    for (size_t i = 0; i != from.n; ++i) {
        char c = from.p[i];
        if (is_white(c))
            continue;
        if (c == '=') {
            ++pads;
            continue;
        }
        int value = digit_value(c);
        if (value < 0 || pads != 0)
            return SIZE_MAX;
        bits = bits << 6 | (uint32_t)value;
        if (++count % 4 == 0) {
            to[out++] = (char)(bits >> 16);
            to[out++] = (char)(bits >> 8);
            to[out++] = (char)bits;
        }
    }
    size_t rest = count % 4;
    if (rest == 1 || (pads != 0 && rest + pads != 4))
        return SIZE_MAX;
    if (rest >= 2)
        to[out++] = (char)(bits >> (rest == 2 ? 4 : 10));
    if (rest == 3)
        to[out++] = (char)(bits >> 2);
    return out;
}

// --- digests ---
// The engine's own libraries bring them (GLib); OpenSSL would be one more library for an attacker
// to find in this process.
size_t web_digest(unsigned bits, str from, uint8_t to[static WEB_DIGEST_MAX])
{
    GChecksumType type = bits == 1     ? G_CHECKSUM_SHA1
                         : bits == 256 ? G_CHECKSUM_SHA256
                         : bits == 384 ? G_CHECKSUM_SHA384
                                       : G_CHECKSUM_SHA512;
    if (type == G_CHECKSUM_SHA512 && bits != 512)
        return 0;
    GChecksum *sum = g_checksum_new(type);
    g_checksum_update(sum, (const guchar *)from.p, (gssize)from.n);
    gsize n = WEB_DIGEST_MAX;
    g_checksum_get_digest(sum, to, &n);
    g_checksum_free(sum);
    return n;
}
