// What the .c files of this folder share.
#ifndef STOA_AUTH_JOSE_INTERNAL_H
#define STOA_AUTH_JOSE_INTERNAL_H
#include "edge/auth/jose/jose.h"
#include <openssl/evp.h>
#include <stdatomic.h>

enum { JOSE_ES256_HALF = 32, JOSE_ES256_SIZE = 2 * JOSE_ES256_HALF };

struct jose_key {
    EVP_PKEY *pkey; // immutable once made: OpenSSL then lets any thread use it
    enum jose_kind kind;
    bool is_private;
    atomic_uint refs;
};
#endif
