// Which origins may stand beside each other (security-rules.md 11 and 16): owners' pages and
// visitors' apps never share one, nor, where cookies and storage could cross, a registrable domain.
#include "edge/settings_internal.h"
#include <arpa/inet.h>
#include <libpsl.h>
#include <stdlib.h>
#include "edge/base/log.h"
#include "edge/client/origin.h"
#include "edge/listen.h"

enum { HOST_ROOM = 256 };

struct place {
    const char *name; // the setting
    bool is_set;
    struct origin origin;
    char host[HOST_ROOM]; // without brackets and port
};

static void cut_host(const char *origin, char to[static HOST_ROOM])
{
    str host = str_from(strstr(origin, "://") + 3);
    if (str_starts(host, STR("[")))
        host = str_of(host.p + 1, str_find(host, ']') - 1);
    else
        host = str_cut(&host, ':');
    snprintf(to, HOST_ROOM, "%.*s", STR_FMT(host));
}

static void use_origin(struct settings_load *l, struct place *p, const char *url)
{
    struct fault fault;
    if (origin_parse(url, &p->origin, &fault) != FAIL_NONE) {
        settings_complain(l, p->name, "Write an origin such as https://example.com: %.200s",
                          fault.public_text);
        return;
    }
    p->is_set = true;
    cut_host(p->origin.text, p->host);
}

// What the first address of a listener makes of an origin that is not set. With port 0 the port is
// not known yet; it will be nobody else's.
static void use_listener(struct settings_load *l, struct place *p, const char *list)
{
    str rest = str_from(list);
    struct listen_address a;
    char text[80], url[96];
    if (listen_parse(listen_next(&rest), &a, NULL) != FAIL_NONE) {
        if (list[0] == '\0')
            settings_complain(l, p->name,
                              "Only listen_tls carries it: write its origin, such as "
                              "https://example.com.");
        return;
    }
    if (listen_is_wildcard(&a)) {
        settings_complain(l, p->name,
                          "It listens on every address: write the origin people use, "
                          "such as https://example.com.");
        return;
    }
    listen_text(&a, text, sizeof text);
    snprintf(url, sizeof url, "http://%s", text);
    if (listen_port(&a) == 0)
        *strrchr(url, ':') = '\0';
    use_origin(l, p, url);
    if (listen_port(&a) == 0)
        snprintf(p->origin.text, sizeof p->origin.text, "%s:0 of %s", url, p->name);
}

static struct place find_place(struct settings_load *l, const char *name, const char *origin,
                               const char *list)
{
    struct place p = {.name = name};
    if (origin[0] != '\0')
        use_origin(l, &p, origin);
    else if (list != NULL)
        use_listener(l, &p, list);
    return p;
}

static bool is_ip(const char *host)
{
    struct in6_addr a;
    return inet_pton(AF_INET, host, &a) == 1 || inet_pton(AF_INET6, host, &a) == 1;
}

static bool is_label(str label)
{
    if (label.n == 0 || label.n > 63 || label.p[0] == '-' || label.p[label.n - 1] == '-')
        return false;
    for (size_t i = 0; i != label.n; ++i)
        if (!((label.p[i] >= 'a' && label.p[i] <= 'z') ||
              (label.p[i] >= '0' && label.p[i] <= '9') || label.p[i] == '-'))
            return false;
    return true;
}

// Lower-case LDH labels; room for "{instance slug}." before it.
static bool is_host_name(const char *name)
{
    str rest = str_from(name);
    if (rest.n == 0 || rest.n > 253 - 64 || is_ip(name) || name[rest.n - 1] == '.')
        return false;
    while (rest.n != 0)
        if (!is_label(str_cut(&rest, '.')))
            return false;
    return true;
}

static bool is_loopback_name(const char *host)
{
    return strcmp(host, "localhost") == 0 || str_ends(str_from(host), STR(".localhost"));
}

static bool is_same_or_below(const char *host, const char *domain)
{
    size_t h = strlen(host), d = strlen(domain);
    return strcmp(host, domain) == 0 ||
           (h > d && host[h - d - 1] == '.' && strcmp(host + h - d, domain) == 0);
}

static bool shares_domain(const psl_ctx_t *psl, const char *a, const char *b)
{
    if (strcmp(a, b) == 0)
        return true;
    if (is_ip(a) || is_ip(b))
        return false;
    const char *x = psl_registrable_domain(psl, a), *y = psl_registrable_domain(psl, b);
    return x != NULL && y != NULL && strcmp(x, y) == 0;
}

static void check_equal(struct settings_load *l, const struct place *a, const struct place *b)
{
    if (a->is_set && b->is_set && origin_eq(&a->origin, &b->origin))
        settings_complain(l, a->name,
                          "It is the same as %s (%.100s): what strangers' pages do there would be "
                          "done as the owner. Take another host or port.",
                          b->name, a->origin.text);
}

static void check_instance_domain(struct settings_load *l, const psl_ctx_t *psl,
                                  const struct place *console, const struct place *files)
{
    const char *domain = l->s->instance_domain;
    if (domain[0] == '\0')
        return;
    if (!is_host_name(domain)) {
        settings_complain(l, "instance_domain",
                          "%.80s is no host name: write one in lower case, such as "
                          "apps.example.com (IDNA as xn--…).",
                          LOG_STR(str_from(domain)));
        return;
    }
    if (!is_loopback_name(domain) && psl_is_public_suffix(psl, domain))
        settings_complain(l, "instance_domain", "%s is a public suffix; take a name below it.",
                          domain);
    const struct place *others[] = {console, files};
    for (size_t i = 0; i != 2; ++i)
        if (others[i]->is_set && is_same_or_below(others[i]->host, domain))
            settings_complain(l, others[i]->name,
                              "Its host lies in instance_domain (%s), where every name belongs to "
                              "an app.",
                              domain);
}

static void check_console(struct settings_load *l, const psl_ctx_t *psl,
                          const struct place *console, const struct place *apps,
                          const struct place *files)
{
    if (l->s->insecure_origins || !console->is_set || console->origin.is_loopback)
        return;
    if (!console->origin.is_https)
        settings_complain(l, console->name,
                          "%.100s is plain HTTP beyond this machine: tokens would travel in the "
                          "clear. Use https, or set insecure_origins: accepted.",
                          console->origin.text);
    const struct {
        const char *name, *host;
    } others[] = {{"apps_origin", apps->is_set ? apps->host : ""},
                  {"files_origin", files->is_set ? files->host : ""},
                  {"instance_domain", l->s->instance_domain}};
    for (size_t i = 0; i != 3; ++i)
        if (others[i].host[0] != '\0' && shares_domain(psl, console->host, others[i].host))
            settings_complain(l, console->name,
                              "It shares a registrable domain with %s (%.80s), and so cookies. "
                              "Take another domain, or set insecure_origins: accepted.",
                              others[i].name, others[i].host);
}

void settings_check_origins(struct settings_load *l)
{
    const struct settings *s = l->s;
    psl_ctx_t *psl = psl_latest(NULL);
    const psl_ctx_t *list = psl != NULL ? psl : psl_builtin();
    struct place apps = find_place(l, "apps_origin", s->apps_origin, s->listen_apps),
                 console = find_place(l, "console_origin", s->console_origin, s->listen_console),
                 files = find_place(l, "files_origin", s->files_origin, NULL);
    check_equal(l, &console, &apps);
    check_equal(l, &files, &apps);
    check_equal(l, &files, &console);
    check_instance_domain(l, list, &console, &files);
    check_console(l, list, &console, &apps, &files);
    psl_free(psl);
}
