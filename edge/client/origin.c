// Origins by libcurl's own URL parser, so that what is compared is what is connected to.
#include "edge/client/origin.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <curl/curl.h>
#include <stdio.h>

static void free_url(CURLU **u)
{
    curl_url_cleanup(*u);
}

static void free_part(char **p)
{
    curl_free(*p);
}
#define PART_AUTO __attribute__((cleanup(free_part)))

static bool host_is_loopback(const char *host)
{
    char bare[64];
    struct in_addr v4;
    struct in6_addr v6;
    size_t n = strlen(host);
    if (host[0] == '[' && n > 2 && n - 2 < sizeof bare) {
        memcpy(bare, host + 1, n - 2);
        bare[n - 2] = '\0';
        return inet_pton(AF_INET6, bare, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
    }
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return strcmp(host, "localhost") == 0 || str_ends(str_from(host), STR(".localhost"));
}

static bool has_part(CURLU *u, CURLUPart part)
{
    PART_AUTO char *value = NULL;
    return curl_url_get(u, part, &value, 0) == CURLUE_OK;
}

static enum fail bad_url(struct fault *fault, const char *why)
{
    return fault_set(fault, FAIL_BAD_INPUT, "bad_url",
                     "%s: give the console's origin, such as https://stoa.example.", why);
}

enum fail origin_parse(const char *url, struct origin *ret, struct fault *fault)
{
    __attribute__((cleanup(free_url))) CURLU *u = curl_url();
    PART_AUTO char *scheme = NULL, *host = NULL, *port = NULL, *path = NULL;
    struct origin origin = {.is_https = false};
    if (curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_PATH, &path, 0) != CURLUE_OK)
        return bad_url(fault, "This is no URL");
    origin.is_https = strcmp(scheme, "https") == 0;
    if (!origin.is_https && strcmp(scheme, "http") != 0)
        return bad_url(fault, "The URL is neither http:// nor https://");
    if (has_part(u, CURLUPART_USER) || has_part(u, CURLUPART_PASSWORD))
        return bad_url(fault, "The URL holds a user name or password");
    if (strcmp(path, "/") != 0 || has_part(u, CURLUPART_QUERY) || has_part(u, CURLUPART_FRAGMENT))
        return bad_url(fault, "The URL has something behind the host and port");
    for (char *c = host; *c != '\0'; ++c)
        *c = (char)tolower((unsigned char)*c);
    // With NO_DEFAULT_PORT a default port is no port.
    bool has_port = curl_url_get(u, CURLUPART_PORT, &port, CURLU_NO_DEFAULT_PORT) == CURLUE_OK;
    int n = snprintf(origin.text, sizeof origin.text, "%s://%s%s%s", scheme, host,
                     has_port ? ":" : "", has_port ? port : "");
    if (n < 0 || (size_t)n >= sizeof origin.text)
        return bad_url(fault, "The host is too long");
    origin.is_loopback = host_is_loopback(host);
    *ret = origin;
    return FAIL_NONE;
}

bool origin_eq(const struct origin *a, const struct origin *b)
{
    return strcmp(a->text, b->text) == 0;
}
