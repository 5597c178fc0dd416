// A custom domain's certificate as it is held for every served name: the leaf as DER, its key sealed, the
// rest of the chain shared with all names of the same issuer. edge/tls_domains.c parses it when a client
// asks for the name. Immutable, counted.
#ifndef STOA_ROUTE_CERTIFICATE_H
#define STOA_ROUTE_CERTIFICATE_H
#include "edge/base/str.h"
#include "edge/loop/shared.h"

enum {
    CERTIFICATE_LEAF_MAX = 16 * 1024,
    CERTIFICATE_KEY_MAX = 8 * 1024,
    CERTIFICATE_CHAIN_MAX = 64 * 1024
};

// Intermediate certificates, each DER behind its length in four bytes (network order), the leaf's issuer
// first.
struct certificate_chain {
    struct shared shared;
    str bytes;
};
struct certificate_chain *certificate_chain_create(str bytes); // copies

struct certificate {
    struct shared shared;
    str leaf;                        // DER
    str sealed_key;                  // PKCS #8 DER, under edge/base/seal.h
    struct certificate_chain *chain; // a reference
    // Where the key was sealed: table "domain_certificates", column "key", this row and project.
    char row[33], project[33];
    uint64_t number; // another one for each that is made: what caches go by
};
// Copies the strings, takes a reference to the chain (NULL: none). NULL when one is over its limit.
struct certificate *certificate_create(str leaf, str sealed_key, struct certificate_chain *chain,
                                       const char *row, const char *project);
#endif
