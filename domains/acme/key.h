// Keys and what is made with them: an ACME account's (RFC 8555 §6.2, ES256) and a certificate's
// request. All are ECDSA on P-256. Pure; any thread.
#ifndef STOA_ACME_KEY_H
#define STOA_ACME_KEY_H
#include <openssl/evp.h>
#include "edge/base/fail.h"

enum { ACME_THUMBPRINT_ROOM = 44 };

EVP_PKEY *acme_key_make(void);
// PKCS #8 DER, as it is sealed and kept; the caller forgets it (seal_forget).
void acme_key_write(EVP_PKEY *key, struct buf *to);
// NULL when it is none, or none on P-256.
EVP_PKEY *acme_key_read(str der);
// The public half as a JWK with its members in the order of RFC 7638, and that RFC's SHA-256
// thumbprint in base64url.
void acme_key_jwk(EVP_PKEY *key, struct buf *to);
void acme_key_thumbprint(EVP_PKEY *key, char to[static ACME_THUMBPRINT_ROOM]);
// A flattened JWS (RFC 7515 §7.2.2): `kid` is the account's URL, or NULL for a request that carries
// the JWK itself; `payload` is JSON, or p == NULL for POST-as-GET.
void acme_key_sign(EVP_PKEY *key, const char *kid, const char *nonce, const char *url, str payload,
                   struct buf *to);
// A flattened JWS that binds the key to an account made elsewhere (RFC 8555 §7.3.4): HS256 under
// `mac`, base64url that has been checked (at most 128 bytes), over the key's JWK.
void acme_key_bind(EVP_PKEY *key, const char *kid, str mac, const char *url, struct buf *to);
// A request (PKCS #10, DER) for a certificate of that one name. FAIL_INTERNAL.
enum fail acme_key_request(EVP_PKEY *key, const char *name, struct buf *to,
                           struct fault *fault) MUST_CHECK;
#endif
