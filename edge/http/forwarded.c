#include "edge/http/forwarded.h"

enum { HOPS_MAX = 64 };

// --- what is trusted ---

static bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL); // RFC 9110 §5.6.2
}

static bool take_header(struct http_proxies *p, str name)
{
    if (name.n >= sizeof p->header)
        return false;
    for (size_t i = 0; i != name.n; ++i) {
        char c = name.p[i];
        if (!is_token_char(c))
            return false;
        p->header[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    p->header[name.n] = '\0';
    return true;
}

bool http_proxies_parse(struct http_proxies *ret, str networks, str header, str *ret_bad)
{
    ret->count = 0;
    *ret_bad = str_trim(header);
    if (!take_header(ret, *ret_bad))
        return false;
    for (str rest = networks; rest.n != 0;) {
        str item = str_trim(str_cut(&rest, ','));
        if (item.n == 0)
            continue;
        *ret_bad = item;
        if (ret->count == HTTP_PROXIES_MAX || !ip_network_parse(item, &ret->list[ret->count]))
            return false;
        ++ret->count;
    }
    *ret_bad = header;
    return (ret->count != 0) == (ret->header[0] != '\0');
}

bool http_proxies_contain(const struct http_proxies *p, const struct ip *a)
{
    struct ip four = ip_unmap(a);
    for (size_t i = 0; i != p->count; ++i)
        if (ip_network_contains(&p->list[i], &four) || ip_network_contains(&p->list[i], a))
            return true;
    return false;
}

// --- reading ---

// RFC 7239 §6, and what others write: an address, IPv6 in brackets or bare, with a port or without.
static bool parse_node(str node, struct ip *ret)
{
    if (node.n != 0 && node.p[0] == '[') {
        size_t end = str_find(node, ']');
        if (end == SIZE_MAX)
            return false;
        str port = str_skip(node, end + 1);
        uint64_t number;
        if (port.n != 0 && (port.p[0] != ':' || !str_to_u64(str_skip(port, 1), 65535, &number)))
            return false;
        return ip_parse(str_of(node.p + 1, end - 1), ret) && ret->n == 16;
    }
    size_t colon = str_find(node, ':');
    if (colon != SIZE_MAX && str_find(str_skip(node, colon + 1), ':') == SIZE_MAX) {
        uint64_t number; // one colon: IPv4 and a port
        if (!str_to_u64(str_skip(node, colon + 1), 65535, &number))
            return false;
        node.n = colon;
    }
    return ip_parse(node, ret);
}

// True when the quote at `at` opens or closes: it is not behind an odd number of backslashes.
static bool is_quote(str s, size_t at)
{
    size_t slashes = 0;
    if (s.p[at] !=
        '"') // first: else each byte of a long row of backslashes would count those before it
        return false;
    while (slashes != at && s.p[at - 1 - slashes] == '\\')
        ++slashes;
    return slashes % 2 == 0;
}

// Cuts what is behind the last `sep` outside quotes off `*rest`. From the right, so that no quote
// that a visitor left open reaches what a proxy wrote behind it.
static str cut_last(str *rest, char sep)
{
    bool quoted = false;
    str all = *rest;
    for (size_t i = all.n; i-- != 0;) {
        quoted ^= is_quote(all, i);
        if (!quoted && all.p[i] == sep) {
            rest->n = i;
            return str_trim(str_skip(all, i + 1));
        }
    }
    rest->n = 0;
    return str_trim(all);
}

// The `for` of one forwarded-element (RFC 7239 §4); two of them are none.
static bool parse_element(str element, struct ip *ret)
{
    unsigned found = 0;
    while (element.n != 0) {
        str pair = cut_last(&element, ';');
        str value = pair;
        if (!str_caseeq(str_cut(&value, '='), STR("for")))
            continue;
        if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
            value = str_of(value.p + 1, value.n - 2);
        if (++found == 2 || !parse_node(value, ret))
            return false;
    }
    return found == 1;
}

// Also which element says so; empty when it is the peer.
static struct ip find_visitor(const struct http_proxies *p, const struct ip *peer,
                              const str *values, size_t count, str *ret_element)
{
    bool is_rfc7239 = strcmp(p->header, "forwarded") == 0;
    struct ip farthest = *peer;
    str of_farthest = {0};
    *ret_element = of_farthest;
    if (!http_proxies_contain(p, peer))
        return *peer;
    for (unsigned hops = 0; count-- != 0;) {
        for (str rest = values[count]; rest.n != 0;) {
            struct ip a;
            str element = cut_last(&rest, ',');
            if (element.n == 0) // RFC 9110 §5.6.1.2
                continue;
            if (++hops > HOPS_MAX)
                return *peer;
            if (!(is_rfc7239 ? parse_element(element, &a) : parse_node(element, &a)))
                return *peer;
            farthest = a;
            of_farthest = element;
            if (http_proxies_contain(p, &a))
                continue;
            *ret_element = element;
            return a;
        }
    }
    *ret_element = of_farthest;
    return farthest;
}

struct ip http_forwarded_visitor(const struct http_proxies *p, const struct ip *peer,
                                 const str *values, size_t count)
{
    str element;
    return find_visitor(p, peer, values, count, &element);
}

enum forwarded_proto http_forwarded_proto(const struct http_proxies *p, const struct ip *peer,
                                          const str *values, size_t count)
{
    str element;
    enum forwarded_proto said = FORWARDED_UNSAID;
    find_visitor(p, peer, values, count, &element);
    while (strcmp(p->header, "forwarded") == 0 && element.n != 0) {
        str value = cut_last(&element, ';');
        if (!str_caseeq(str_cut(&value, '='), STR("proto")))
            continue;
        if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
            value = str_of(value.p + 1, value.n - 2);
        if (said != FORWARDED_UNSAID)
            return FORWARDED_OTHER; // two of them are none
        said = str_caseeq(value, STR("https")) ? FORWARDED_HTTPS : FORWARDED_OTHER;
    }
    return said;
}
