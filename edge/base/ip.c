#include "edge/base/ip.h"
#include <arpa/inet.h>
#include <netinet/in.h>

bool ip_parse(str text, struct ip *ret)
{
    char z[IP_ROOM];
    struct ip a = {.n = 4};
    if (text.n == 0 || text.n >= sizeof z || memchr(text.p, '\0', text.n) != NULL)
        return false;
    memcpy(z, text.p, text.n);
    z[text.n] = '\0';
    if (inet_pton(AF_INET, z, a.b) != 1) {
        a.n = 16;
        if (inet_pton(AF_INET6, z, a.b) != 1)
            return false;
    }
    *ret = a;
    return true;
}

struct ip ip_of_socket(const struct sockaddr *sa)
{
    struct ip a = {.n = 0};
    if (sa->sa_family == AF_INET) {
        a.n = 4;
        memcpy(a.b, &((const struct sockaddr_in *)sa)->sin_addr, 4);
    } else if (sa->sa_family == AF_INET6) {
        a.n = 16;
        memcpy(a.b, &((const struct sockaddr_in6 *)sa)->sin6_addr, 16);
    }
    return a;
}

// inet_ntop goes through sprintf, which would be a twentieth of a small request's cost.
static void put_ipv4(const uint8_t b[static 4], char *to)
{
    for (int i = 0; i != 4; ++i) {
        if (b[i] >= 100)
            *to++ = (char)('0' + b[i] / 100);
        if (b[i] >= 10)
            *to++ = (char)('0' + b[i] / 10 % 10);
        *to++ = (char)('0' + b[i] % 10);
        *to++ = i != 3 ? '.' : '\0';
    }
}

void ip_text(const struct ip *a, char to[static IP_ROOM])
{
    to[0] = '\0';
    if (a->n == 4)
        put_ipv4(a->b, to);
    else if (a->n == 16)
        inet_ntop(AF_INET6, a->b, to, IP_ROOM);
}

bool ip_eq(const struct ip *a, const struct ip *b)
{
    return a->n == b->n && memcmp(a->b, b->b, a->n) == 0;
}

static struct ip ipv4_at(const struct ip *a, size_t at)
{
    struct ip four = {.n = 4};
    memcpy(four.b, a->b + at, 4);
    return four;
}

struct ip ip_unmap(const struct ip *a)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return a->n == 16 && memcmp(a->b, mapped, 12) == 0 ? ipv4_at(a, 12) : *a;
}

struct ip ip_normalise(const struct ip *a)
{
    static const uint8_t nat64[12] = {0, 0x64, 0xff, 0x9b};
    if (a->n == 16 && memcmp(a->b, nat64, 12) == 0)
        return ipv4_at(a, 12);
    if (a->n == 16 && a->b[0] == 0x20 && a->b[1] == 0x02)
        return ipv4_at(a, 2);
    return ip_unmap(a);
}

static bool has_prefix(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    return memcmp(a, b, whole) == 0 && (rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0);
}

bool ip_network_parse(str text, struct ip_network *ret)
{
    struct ip_network n;
    str rest = text;
    str base = str_cut(&rest, '/');
    uint64_t bits;
    if (!ip_parse(base, &n.base))
        return false;
    bits = n.base.n * 8u;
    if (base.n != text.n && !str_to_u64(rest, bits, &bits))
        return false;
    n.bits = (uint8_t)bits;
    for (unsigned i = n.bits; i != n.base.n * 8u; ++i)
        if (n.base.b[i / 8] & 0x80 >> i % 8)
            return false;
    *ret = n;
    return true;
}

bool ip_network_contains(const struct ip_network *network, const struct ip *a)
{
    return a->n != 0 && a->n == network->base.n && has_prefix(a->b, network->base.b, network->bits);
}
