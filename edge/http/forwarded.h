// The visitor behind trusted proxies (security-rules.md 19), by one header that they, and nobody
// else, write: read from the right, where the nearest of them wrote, up to the first address that is
// not one of theirs. What stands to the left of that is whatever the visitor sent. Any thread; no
// state.
#ifndef STOA_HTTP_FORWARDED_H
#define STOA_HTTP_FORWARDED_H
#include "edge/base/ip.h"

enum { HTTP_PROXIES_MAX = 256, HTTP_PROXY_HEADER_ROOM = 64, HTTP_FORWARDED_LINES = 16 };

struct http_proxies {
    struct ip_network list[HTTP_PROXIES_MAX];
    size_t count; // 0: nobody is trusted
    // In lower case. "forwarded" is read as RFC 7239; any other as a list of addresses with or
    // without port: X-Forwarded-For, X-Real-IP, CF-Connecting-IP, …
    char header[HTTP_PROXY_HEADER_ROOM];
};

// `networks` is comma-separated (ip_network_parse); `header` a field name. False with the item that is
// none in *ret_bad; both empty is valid, one alone is not.
bool http_proxies_parse(struct http_proxies *ret, str networks, str header, str *ret_bad);
// IPv4-mapped addresses count as IPv4; no other form does, for a proxy connects from its own.
bool http_proxies_contain(const struct http_proxies *p, const struct ip *a);
// `values` are the header's lines in the order they came, the last HTTP_FORWARDED_LINES of them at
// most. The peer itself when it is no proxy, when there is no address, or when what must be read is
// malformed. When all are proxies it is the leftmost.
struct ip http_forwarded_visitor(const struct http_proxies *p, const struct ip *peer,
                                 const str *values, size_t count);
// How the visitor came, by the `proto` of the very element that names him (RFC 7239 §5.4); UNSAID
// when it has none, and where the header is another one.
enum forwarded_proto { FORWARDED_UNSAID, FORWARDED_HTTPS, FORWARDED_OTHER };
enum forwarded_proto http_forwarded_proto(const struct http_proxies *p, const struct ip *peer,
                                          const str *values, size_t count);
#endif
