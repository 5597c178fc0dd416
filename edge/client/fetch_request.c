// What may be asked at all: the method, the URL, the headers. Checked before anything is copied or
// sent; libcurl puts header lines on the wire as they are.
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include "edge/client/fetch_internal.h"

enum { BODY_MAX = 32 << 20 };

static bool is_token(str s)
{
    for (size_t i = 0; i != s.n; ++i)
        if (!isalnum((unsigned char)s.p[i]) &&
            (s.p[i] == '\0' || strchr("!#$%&'*+-.^_`|~", s.p[i]) == NULL)) // RFC 9110 §5.6.2
            return false;
    return s.n != 0;
}

static bool is_visible(str s)
{
    for (size_t i = 0; i != s.n; ++i)
        if (((unsigned char)s.p[i] < 0x20 && s.p[i] != '\t') || (unsigned char)s.p[i] >= 0x7f)
            return false;
    return true;
}

static bool is_one_of(str s, const char *const *names)
{
    for (; *names != NULL; ++names)
        if (str_caseeq(s, str_from(*names)))
            return true;
    return false;
}

// The connection's own business, and what would say in our name what we did not.
static bool is_ours(str name)
{
    static const char *const names[] = {
        "accept-encoding", "cdn-loop",  "connection", "content-length",
        "expect",          "forwarded", "host",       "http2-settings",
        "keep-alive",      "te",        "trailer",    "transfer-encoding",
        "upgrade",         "via",       NULL};
    return is_one_of(name, names) || (name.n > 6 && str_caseeq(str_of(name.p, 6), STR("proxy-")));
}

bool fetch_header_may_travel(str name)
{
    static const char *const names[] = {
        "accept", "accept-language", "content-language", "content-type", "range", "user-agent",
        NULL};
    return is_one_of(name, names);
}

// --- URLs ---

static void free_url(CURLU **u)
{
    curl_url_cleanup(*u);
}

static void free_part(char **p)
{
    curl_free(*p);
}
#define URL_AUTO __attribute__((cleanup(free_url)))
#define PART_AUTO __attribute__((cleanup(free_part)))

// For messages: a host that a stranger chose.
static void tell_host(const char *name, char *to, size_t room)
{
    size_t n = 0;
    for (; name[n] != '\0' && n + 1 != room; ++n)
        to[n] = name[n] > 0x20 && name[n] < 0x7f ? name[n] : '?';
    to[n] = '\0';
}

// An origin's parts; a sentence when it is none that may be asked.
static const char *look_at(CURLU *u, char *host, size_t room)
{
    PART_AUTO char *scheme = NULL, *name = NULL, *user = NULL, *password = NULL;
    if (curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        (strcasecmp(scheme, "http") != 0 && strcasecmp(scheme, "https") != 0))
        return "Only http:// and https:// URLs can be fetched.";
    if (curl_url_get(u, CURLUPART_HOST, &name, 0) != CURLUE_OK || name[0] == '\0')
        return "The URL names no host.";
    if (curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_OK ||
        curl_url_get(u, CURLUPART_PASSWORD, &password, 0) == CURLUE_OK)
        return "The URL holds a user name or password; send an Authorization header instead.";
    tell_host(name, host, room);
    return NULL;
}

char *fetch_url_normalise(str url, char *host, size_t room, const char **ret_why)
{
    URL_AUTO CURLU *u = curl_url();
    PART_AUTO char *whole = NULL;
    *ret_why = "The URL is too long.";
    if (url.n > FETCH_URL_MAX)
        return NULL;
    *ret_why = "The URL cannot be read.";
    AUTOFREE char *text = str_dup(url);
    if (strlen(text) != url.n ||
        curl_url_set(u, CURLUPART_URL, text,
                     CURLU_NON_SUPPORT_SCHEME | CURLU_URLENCODE | CURLU_ALLOW_SPACE) != CURLUE_OK)
        return NULL;
    const char *why = look_at(u, host, room);
    if (why != NULL) {
        *ret_why = why;
        return NULL;
    }
    curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
    if (curl_url_get(u, CURLUPART_URL, &whole, 0) != CURLUE_OK || !is_visible(str_from(whole)))
        return NULL;
    return str_dup(str_from(whole));
}

// "https://host:port" in lower case, the port always.
static bool origin_of(const char *url, char *to, size_t room)
{
    URL_AUTO CURLU *u = curl_url();
    PART_AUTO char *scheme = NULL, *host = NULL, *port = NULL;
    if (curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK)
        return false;
    int n = snprintf(to, room, "%s://%s:%s", scheme, host, port);
    return n > 0 && (size_t)n < room;
}

bool fetch_url_same_origin(const char *a, const char *b)
{
    char first[512], second[512];
    return origin_of(a, first, sizeof first) && origin_of(b, second, sizeof second) &&
           strcasecmp(first, second) == 0;
}

// --- orders ---

static bool method_is_fine(const struct fetch_request *r, struct fetch_answer *ret)
{
    static const char *const names[] = {"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", NULL};
    bool known = false;
    for (size_t i = 0; names[i] != NULL; ++i)
        known = known || str_eq(r->method, str_from(names[i]));
    if (!known) {
        fetch_fail(ret, FAIL_BAD_INPUT, "bad_method",
                   "The method must be GET, POST, PUT, DELETE, PATCH or HEAD.");
        return false;
    }
    bool has_none = str_eq(r->method, STR("GET")) || str_eq(r->method, STR("HEAD"));
    if ((has_none && r->body.n != 0) || r->body.n > BODY_MAX) {
        fetch_fail(ret, FAIL_BAD_INPUT, "bad_body",
                   has_none ? "A GET or HEAD request has no body." : "The body is too large.");
        return false;
    }
    return true;
}

static bool headers_are_fine(const struct fetch_request *r, struct fetch_answer *ret)
{
    size_t bytes = 0;
    const char *why = r->header_count > FETCH_HEADERS_MAX ? "There are too many headers." : NULL;
    for (size_t i = 0; i != r->header_count && why == NULL; ++i) {
        const struct fetch_header *h = &r->headers[i];
        bytes += h->name.n + h->value.n;
        if (!is_token(h->name))
            why = "A header's name holds a character that no name may have.";
        else if (!is_visible(h->value))
            why = "A header's value holds a character that is not visible ASCII.";
        else if (bytes > FETCH_HEADER_BYTES_MAX)
            why = "The headers are too large.";
    }
    if (why != NULL)
        fetch_fail(ret, FAIL_BAD_INPUT, "bad_header", "%s", why);
    return why == NULL;
}

static str copy(char **to, str s)
{
    str at = str_of(*to, s.n);
    if (s.n != 0)
        memcpy(*to, s.p, s.n);
    *to += s.n;
    return at;
}

struct fetch_order *fetch_order_create(const struct fetch_request *r, struct fetch_answer *ret)
{
    char host[128];
    const char *why;
    if (!method_is_fine(r, ret) || !headers_are_fine(r, ret))
        return NULL;
    char *url = fetch_url_normalise(r->url, host, sizeof host, &why);
    if (url == NULL) {
        fetch_fail(ret, FAIL_BAD_INPUT, "bad_url", "%s", why);
        return NULL;
    }
    size_t bytes = r->header_count * sizeof *r->headers + r->body.n;
    for (size_t i = 0; i != r->header_count; ++i)
        bytes += r->headers[i].name.n + r->headers[i].value.n;
    struct fetch_order *o = calloc(1, sizeof *o + bytes);
    if (o == NULL)
        abort();
    snprintf(o->project_id, sizeof o->project_id, "%.*s", STR_FMT(r->project_id));
    snprintf(o->method, sizeof o->method, "%.*s", STR_FMT(r->method));
    o->url = url;
    o->headers = o->_all;
    char *to = (char *)(o->_all + r->header_count);
    for (size_t i = 0; i != r->header_count; ++i) {
        if (is_ours(r->headers[i].name))
            continue;
        struct fetch_header *h = &o->headers[o->header_count++];
        h->name = copy(&to, r->headers[i].name);
        h->value = copy(&to, str_trim(r->headers[i].value));
    }
    if (r->body.p != NULL)
        o->body = copy(&to, r->body);
    o->timeout_ms = r->timeout_ms;
    o->body_max = r->body_max;
    o->redirects = r->redirects;
    return o;
}

void fetch_order_destroy(struct fetch_order *o)
{
    if (o == NULL)
        return;
    free(o->url);
    free(o);
}
