// HTTP/1 heads: what comes out straightened keeps the promises of edge/guard/head.h, and says the same when it is read again.
#include <stdlib.h>
#include "tests/unit/guard/parse.h"

static void must(bool truth)
{
    if (!truth)
        abort();
}

static void check_fields(const struct head *h)
{
    size_t hosts = 0, entities = 0;
    for (size_t i = 0; i < h->count; ++i) {
        const struct phr_header *f = &h->fields[i];
        str name = str_of(f->name, f->name_len), value = str_of(f->value, f->value_len);
        must(head_is_token(name));
        must(!str_caseeq(name, STR("upgrade")));
        hosts += str_caseeq(name, STR("host"));
        entities +=
            str_caseeq(name, STR("content-length")) || str_caseeq(name, STR("transfer-encoding"));
        if (str_caseeq(name, STR("connection")))
            must(str_eq(value, STR("close")) || str_eq(value, STR("keep-alive")));
        must(value.n == 0 || (value.p[value.n - 1] != ' ' && value.p[value.n - 1] != '\t'));
        for (size_t j = 0; j < value.n; ++j)
            must(value.p[j] != '\r' && value.p[j] != '\n' && value.p[j] != '\0');
    }
    must(hosts == 1 || (hosts == 0 && h->minor_version == 0));
    must(entities == (h->entity != NULL ? 1 : 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct phr_header fields[100];
    struct head h;
    char *bytes = malloc(size + 1);
    memcpy(bytes, data, size);
    if (parse_head(&h, bytes, size, fields) > 0 && head_straighten(&h)) {
        must(head_is_target(h.target, h.method));
        must(h.authority.p == NULL || head_is_authority(h.authority));
        check_fields(&h);
    }
    free(bytes);
    return 0;
}
