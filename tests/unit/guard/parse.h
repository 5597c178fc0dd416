// A head taken apart by libh2o's own picohttpparser, as the guard gets it.
#ifndef STOA_TESTS_UNIT_GUARD_PARSE_H
#define STOA_TESTS_UNIT_GUARD_PARSE_H
#include "edge/guard/head.h"

int phr_parse_request(const char *buf, size_t len, const char **method, size_t *method_len,
                      const char **path, size_t *path_len, int *minor_version,
                      struct phr_header *headers, size_t *num_headers, size_t last_len);

// What phr_parse_request returns; `bytes` must be writable, `fields` has room for 100.
static inline int parse_head(struct head *h, char *bytes, size_t n, struct phr_header *fields)
{
    *h = (struct head){.bytes = bytes, .fields = fields, .count = 100};
    int ret = phr_parse_request(bytes, n, &h->method.p, &h->method.n, &h->target.p, &h->target.n,
                                &h->minor_version, fields, &h->count, 0);
    h->n = ret > 0 ? (size_t)ret : 0;
    return ret;
}
#endif
