// The verdict on one address. Ours are refused whatever the port: a service that listens on this
// machine's public address may trust what comes from the machine itself.
#include <arpa/inet.h>
#include <assert.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include "edge/base/clock.h"
#include "edge/client/address_policy.h"
#include "edge/client/fetch_internal.h"

enum { ENDPOINTS_MAX = 64, OWN_MAX = 256, OWN_FRESH_MS = 30000 };

struct endpoint {
    struct ip address;
    uint16_t port;
};
struct endpoints {
    struct endpoint list[ENDPOINTS_MAX];
    size_t count;
};

static struct endpoints own_listeners, allowed;
static struct ip own[OWN_MAX]; // the interfaces', as they were at own_at_ms
static size_t own_count;
static uint64_t own_at_ms;

static bool parse_endpoint(str text, struct endpoint *ret)
{
    uint64_t port;
    size_t colon = SIZE_MAX;
    for (size_t i = 0; i != text.n; ++i)
        if (text.p[i] == ':')
            colon = i;
    if (colon == SIZE_MAX || !str_to_u64(str_skip(text, colon + 1), 65535, &port))
        return false;
    str host = str_of(text.p, colon);
    if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = str_of(host.p + 1, host.n - 2);
    ret->port = (uint16_t)port;
    return ip_parse(host, &ret->address);
}

static void parse_endpoints(struct endpoints *to, const char *list)
{
    to->count = 0;
    for (str rest = str_from(list); rest.n != 0;) {
        str item = str_trim(str_cut(&rest, ','));
        if (item.n == 0)
            continue;
        assert(to->count != ENDPOINTS_MAX);
        bool is_endpoint = parse_endpoint(item, &to->list[to->count++]);
        assert(is_endpoint); // the settings' check has read them
    }
}

static bool has(const struct endpoints *e, const struct ip *a, uint16_t port)
{
    for (size_t i = 0; i != e->count; ++i)
        if (e->list[i].port == port && ip_eq(&e->list[i].address, a))
            return true;
    return false;
}

static void look_at_interfaces(void)
{
    struct ifaddrs *list;
    uint64_t now = clock_monotonic_ms();
    if ((own_at_ms != 0 && now - own_at_ms < OWN_FRESH_MS) || getifaddrs(&list) != 0)
        return;
    own_at_ms = now;
    own_count = 0;
    for (const struct ifaddrs *i = list; i != NULL && own_count != OWN_MAX; i = i->ifa_next)
        if (i->ifa_addr != NULL && (own[own_count] = ip_of_socket(i->ifa_addr)).n != 0)
            ++own_count;
    freeifaddrs(list);
}

static bool is_own(const struct ip *a)
{
    look_at_interfaces();
    for (size_t i = 0; i != own_count; ++i)
        if (ip_eq(&own[i], a))
            return true;
    return false;
}

void fetch_address_init(const struct fetch_options *o)
{
    parse_endpoints(&own_listeners, o->own_listeners);
    parse_endpoints(&allowed, o->allow);
    own_at_ms = 0;
}

bool fetch_address_is_allowed(const struct sockaddr *sa)
{
    struct ip a = ip_of_socket(sa);
    uint16_t port = sa->sa_family == AF_INET6 ? ntohs(((const struct sockaddr_in6 *)sa)->sin6_port)
                                              : ntohs(((const struct sockaddr_in *)sa)->sin_port);
    if (has(&allowed, &a, port))
        return true;
    struct ip carried = ip_normalise(&a);
    return fetch_address_purpose(&a) == NULL && !has(&own_listeners, &a, port) && !is_own(&a) &&
           !is_own(&carried);
}
