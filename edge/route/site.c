// Authority → site.
#include "edge/route/site.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include "edge/route/hosts.h"

enum { HOST_MAX = 256 }; // no name is longer (RFC 1035 §2.3.4)

struct origin {
    bool is_set, is_tls, is_loopback;
    str host;
    uint16_t port;
};

static struct origin apps, console, files;
static str instance_suffix; // ".apps.example.com", or empty

bool site_parse_origin(const char *origin, bool *ret_is_tls, str *ret_host, uint16_t *ret_port)
{
    str s = str_from(origin);
    bool is_tls = str_starts(s, STR("https://"));
    if (!is_tls && !str_starts(s, STR("http://")))
        return false;
    s = str_skip(s, is_tls ? 8 : 7);
    uint64_t port = is_tls ? 443 : 80;
    size_t bracket = s.n != 0 && s.p[0] == '[' ? str_find(s, ']') : 0;
    if (bracket == SIZE_MAX)
        return false;
    size_t colon = str_find(str_skip(s, bracket), ':');
    str host = s;
    if (colon != SIZE_MAX) {
        host.n = bracket + colon;
        if (!str_to_u64(str_skip(s, bracket + colon + 1), 65535, &port) || port == 0)
            return false;
    }
    if (host.n == 0 || str_find(host, '/') != SIZE_MAX)
        return false;
    *ret_is_tls = is_tls;
    *ret_host = host;
    *ret_port = (uint16_t)port;
    return true;
}

bool site_is_loopback(str host)
{
    if (str_eq(host, STR("localhost")) || str_eq(host, STR("[::1]")))
        return true;
    char z[16];
    struct in_addr a;
    if (host.n >= sizeof z || !str_starts(host, STR("127.")))
        return false;
    memcpy(z, host.p, host.n);
    z[host.n] = '\0';
    return inet_pton(AF_INET, z, &a) == 1;
}

// `*text` is a copy of ours: the origin's host is a view into it.
static struct origin keep_origin(char **text, const char *origin)
{
    struct origin o = {0};
    free(*text);
    *text = str_dup(str_from(origin));
    if (origin[0] != '\0')
        o.is_set = site_parse_origin(*text, &o.is_tls, &o.host, &o.port);
    o.is_loopback = !o.is_set || site_is_loopback(o.host);
    return o;
}

void site_init(const struct site_options *o)
{
    static char *apps_text, *console_text, *files_text, *suffix_text;
    apps = keep_origin(&apps_text, o->apps_origin);
    console = keep_origin(&console_text, o->console_origin);
    files = keep_origin(&files_text, o->files_origin != NULL ? o->files_origin : "");
    instance_suffix = (str){0};
    if (o->instance_domain[0] != '\0') {
        struct buf b;
        buf_init(&b, 300);
        buf_addf(&b, ".%s", o->instance_domain);
        free(suffix_text);
        suffix_text = buf_take(&b);
        instance_suffix = str_from(suffix_text);
    }
}

static bool is_ip_literal(str host)
{
    char z[48];
    uint8_t a[16];
    if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        return true;
    if (host.n >= sizeof z)
        return false;
    memcpy(z, host.p, host.n);
    z[host.n] = '\0';
    return inet_pton(AF_INET, z, a) == 1;
}

// Behind a proxy that ends TLS the scheme differs: the authority is what counts.
static bool is_origin(const struct origin *o, const struct request *r)
{
    uint16_t port = r->port != 0 ? r->port : o->is_tls ? 443 : 80;
    return o->is_set && port == o->port && str_eq(r->host, o->host);
}

bool site_is_console_origin(str origin)
{
    char z[300];
    struct origin o = {0};
    if (origin.n == 0 || origin.n >= sizeof z || !console.is_set)
        return false;
    memcpy(z, origin.p, origin.n);
    z[origin.n] = '\0';
    return site_parse_origin(z, &o.is_tls, &o.host, &o.port) && o.is_tls == console.is_tls &&
           o.port == console.port &&
           (str_eq(o.host, console.host) || (console.is_loopback && site_is_loopback(o.host)));
}

// A preview's label is "p-" and the deployment's 26 base32 characters; no instance slug looks so,
// since it ends in "-" and eight hex digits.
static bool is_preview_label(str label)
{
    return label.n == 28 && str_starts(label, STR("p-")) &&
           str_find(str_skip(label, 2), '-') == SIZE_MAX;
}

// False when the host lies outside instance_domain; else the site is one of its labels' or nobody's.
static bool decide_instance(struct request *r)
{
    if (instance_suffix.n == 0 || r->host.n <= instance_suffix.n ||
        !str_ends(r->host, instance_suffix))
        return false;
    str label = str_of(r->host.p, r->host.n - instance_suffix.n);
    if (str_find(label, '.') != SIZE_MAX)
        return true;
    r->site = is_preview_label(label) ? SITE_PREVIEW : SITE_INSTANCE;
    r->site_name = r->site == SITE_PREVIEW ? str_skip(label, 2) : label;
    return true;
}

// A custom domain: an instance's host by another name, whichever port it is reached at. The table may be
// another one by the time the answer is made.
static bool decide_domain(struct request *r)
{
    r->domain = hosts_find(r->host);
    if (r->domain == NULL)
        return false;
    r->site = SITE_INSTANCE;
    r->site_name = r->domain->slug;
    return true;
}

static void decide(struct request *r)
{
    enum site_kind listener = r->site;
    bool is_loopback = site_is_loopback(r->host);
    r->site_name = (str){0};
    r->domain = NULL;
    r->site = SITE_UNKNOWN;
    if (listener == SITE_ADMIN) { // a page in somebody's browser must not reach it by a name of its
                                  // own (DNS rebinding)
        if (str_eq(r->host, STR("localhost")) || is_ip_literal(r->host))
            r->site = SITE_ADMIN;
    } else if (listener != SITE_CONSOLE && is_origin(&files, r)) {
        r->site = SITE_FILES; // it may be a loopback name as the apps' is
    } else if (is_loopback && listener == SITE_CONSOLE && console.is_loopback) {
        r->site = SITE_CONSOLE;
    } else if (is_loopback && listener == SITE_APPS && apps.is_loopback) {
        r->site = SITE_APPS;
    } else if (is_origin(&apps, r)) {
        r->site = SITE_APPS; // before the instances: it may lie in their domain
    } else if (is_origin(&console, r)) {
        r->site = SITE_CONSOLE;
    } else if (listener == SITE_CONSOLE || !(decide_instance(r) || decide_domain(r))) {
        if (is_loopback && listener == SITE_UNKNOWN && apps.is_loopback)
            r->site = SITE_APPS;
    }
}

void site_decide(struct request *r)
{
    decide(r);
    if (r->domain == NULL)
        return;
    char *kept = request_alloc(r, r->site_name.n + 1);
    memcpy(kept, r->site_name.p, r->site_name.n);
    r->site_name.p = kept;
}

enum site_kind site_of(enum site_kind listener, str host, uint16_t port)
{
    struct request r = {.site = listener, .port = port};
    char lower[HOST_MAX];
    if (host.n > sizeof lower)
        return SITE_UNKNOWN;
    for (size_t i = 0; i != host.n; ++i)
        lower[i] = host.p[i] >= 'A' && host.p[i] <= 'Z' ? (char)(host.p[i] | 0x20) : host.p[i];
    r.host = str_of(lower, host.n);
    decide(&r);
    return r.site;
}
