// A proxies' header: first byte the form, then its lines. Whatever a visitor put on the left, what a
// trusted proxy appends on the right is what counts.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "edge/http/forwarded.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
    if (!truth)
        abort();
}

static void check_appended(const struct http_proxies *p, const struct ip *peer, str left,
                           const char *appended)
{
    struct ip want;
    char *joined = malloc(left.n + 64);
    int n = snprintf(joined + left.n, 64, ", %s", appended);
    if (left.n != 0)
        memcpy(joined, left.p, left.n);
    str value = str_of(joined, left.n + (size_t)n);
    struct ip got = http_forwarded_visitor(p, peer, &value, 1);
    must(ip_parse(STR("203.0.113.9"), &want) && ip_eq(&got, &want));
    free(joined);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const headers[] = {"x-forwarded-for", "forwarded"};
    static const char *const appended[] = {"203.0.113.9:1", "for=203.0.113.9;by=\"a,b\""};
    struct http_proxies p;
    struct ip peer;
    str bad, values[HTTP_FORWARDED_LINES];
    size_t n = 0, form = size != 0 ? data[0] & 1 : 0;
    must(http_proxies_parse(&p, STR("10.0.0.0/8,2001:db8::/32"), str_from(headers[form]), &bad));
    must(ip_parse(STR("10.0.0.1"), &peer));
    str text = size != 0 ? str_of(data + 1, size - 1) : (str){0};
    for (str rest = text; rest.n != 0 && n != HTTP_FORWARDED_LINES;)
        values[n++] = str_cut(&rest, '\n');
    struct ip got = http_forwarded_visitor(&p, &peer, values, n);
    must(got.n == 4 || got.n == 16);
    check_appended(&p, &peer, text, appended[form]);
    struct http_proxies any;
    if (http_proxies_parse(&any, text, STR("x"), &bad))
        must(any.count != 0);
    return 0;
}
