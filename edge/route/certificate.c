// One allocation each.
#include "edge/route/certificate.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static void chain_free(struct shared *s)
{
    free(s);
}

struct certificate_chain *certificate_chain_create(str bytes)
{
    struct certificate_chain *c = malloc(sizeof *c + bytes.n);
    if (c == NULL)
        abort();
    shared_init(&c->shared, chain_free);
    c->bytes = str_of((char *)(c + 1), bytes.n);
    if (bytes.n != 0)
        memcpy(c + 1, bytes.p, bytes.n);
    return c;
}

static void certificate_free(struct shared *s)
{
    struct certificate *c = (struct certificate *)s;
    if (c->chain != NULL)
        shared_unref(&c->chain->shared);
    free(c);
}

struct certificate *certificate_create(str leaf, str sealed_key, struct certificate_chain *chain,
                                       const char *row, const char *project)
{
    static _Atomic uint64_t last;
    if (leaf.n == 0 || leaf.n > CERTIFICATE_LEAF_MAX || sealed_key.n == 0 ||
        sealed_key.n > CERTIFICATE_KEY_MAX ||
        (chain != NULL && chain->bytes.n > CERTIFICATE_CHAIN_MAX))
        return NULL;
    struct certificate *c = malloc(sizeof *c + leaf.n + sealed_key.n);
    if (c == NULL)
        abort();
    char *at = (char *)(c + 1);
    *c = (struct certificate){.leaf = str_of(at, leaf.n),
                              .sealed_key = str_of(at + leaf.n, sealed_key.n),
                              .chain = chain,
                              .number = atomic_fetch_add(&last, 1) + 1};
    shared_init(&c->shared, certificate_free);
    memcpy(at, leaf.p, leaf.n);
    memcpy(at + leaf.n, sealed_key.p, sealed_key.n);
    snprintf(c->row, sizeof c->row, "%s", row);
    snprintf(c->project, sizeof c->project, "%s", project);
    if (chain != NULL)
        shared_ref(&chain->shared);
    return c;
}
