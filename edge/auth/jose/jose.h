// JSON Web Tokens in and out: the one door to libjwt and to the keys they are signed with (RFC 7515,
// 7518, 7519; security-rules.md 25). What comes in is split and checked here before any library sees
// it: three parts of canonical base64url, a header and a payload that are objects without duplicate
// members, and the algorithm that the key has. Any thread.
#ifndef STOA_AUTH_JOSE_JOSE_H
#define STOA_AUTH_JOSE_JOSE_H
#include <jansson.h>
#include "edge/base/digest.h"

enum { JOSE_TOKEN_MAX = 16 * 1024, JOSE_KID_MAX = 64 };

struct jose_token {
    str text;                 // borrowed
    str signing_input;        // header.payload, borrowed
    json_t *header, *payload; // owned
    char alg[16], kid[JOSE_KID_MAX + 1];
    uint8_t signature[512];
    size_t signature_size;
};
// Form and header only; nothing of the payload is to be believed yet. FAIL_UNAUTHORISED
// "invalid_token" with a sentence that names what is wrong ("alg", "kid", "crit", …).
enum fail jose_parse(str text, struct jose_token *ret, struct fault *fault) MUST_CHECK;
void jose_token_fini(struct jose_token *t);

struct jose_key; // a parsed public or private key; immutable, any thread
// RSA 2048–4096 with e = 65537, or P-256, from PEM (SubjectPublicKeyInfo, or PKCS #8 for a private
// key); FAIL_REFUSED "bad_key" says what is wrong with it.
enum fail jose_key_public(str pem, struct jose_key **ret, struct fault *fault) MUST_CHECK;
enum fail jose_key_private(str pem, struct jose_key **ret, struct fault *fault) MUST_CHECK;
void jose_key_destroy(struct jose_key *k); // takes NULL
// New ones: RSA of 4096 bits (slow: up to seconds), P-256.
enum jose_kind { JOSE_RS256, JOSE_ES256 };
struct jose_key *jose_key_generate(enum jose_kind kind);
char *jose_key_public_pem(const struct jose_key *k);  // malloc'ed
char *jose_key_private_pem(const struct jose_key *k); // malloc'ed; clear it before free
json_t *jose_key_jwk(const struct jose_key *k,
                     const char *kid); // RFC 7517, public part; new reference

// The signature by this key, with the key's own algorithm, which the header must name too.
// FAIL_UNAUTHORISED "bad_signature".
enum fail jose_verify(const struct jose_token *t, const struct jose_key *k,
                      struct fault *fault) MUST_CHECK;
// A JWS compact serialisation, malloc'ed. `typ` is the header's.
char *jose_sign(const struct jose_key *k, const char *kid, const char *typ, const json_t *payload);
#endif
