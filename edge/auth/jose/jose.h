// JSON Web Tokens in and out (RFC 7515, 7518, 7519; security-rules.md 25), and the keys they are
// signed with: the one door to both. What comes in is split and checked here before anything is
// believed of it: three parts of canonical base64url, a header and a payload that are objects
// without duplicate members, and the algorithm that the key has. Any thread.
#ifndef STOA_AUTH_JOSE_JOSE_H
#define STOA_AUTH_JOSE_JOSE_H
#include <jansson.h>
#include "edge/base/digest.h"

enum {
    JOSE_TOKEN_MAX = 16 * 1024,
    JOSE_KID_MAX = 64,
    JOSE_SIGNATURE_MAX = 512, // RSA of 4096 bits
    JOSE_PEM_MAX = 8 * 1024,
    JOSE_DEPTH_MAX = 16 // of arrays and objects, in header and payload
};

struct jose_token {
    str text;                 // borrowed
    str signing_input;        // header.payload, borrowed
    json_t *header, *payload; // owned
    char alg[16], kid[JOSE_KID_MAX + 1];
    uint8_t signature[JOSE_SIGNATURE_MAX];
    size_t signature_size;
};
// Form and header only; nothing of the payload is to be believed yet. `alg` is RS256 or ES256, `kid`
// 1 to 64 of [A-Za-z0-9_-] (ours are), `typ` absent or "JWT" in any case; members that change what is
// signed or bring a key of their own are refused, never followed. FAIL_UNAUTHORISED "invalid_token"
// with a sentence that names what is wrong; *ret needs no jose_token_fini then.
enum fail jose_parse(str text, struct jose_token *ret, struct fault *fault) MUST_CHECK;
// The same for tokens with a `typ` of their own, which must be there.
enum fail jose_parse_typed(str text, const char *typ, struct jose_token *ret,
                           struct fault *fault) MUST_CHECK;
void jose_token_fini(struct jose_token *t); // may run twice

// A claim that is a time: a whole number of seconds from 1970 to 9999; a fraction, a string or a
// number beyond is FAIL_UNAUTHORISED "invalid_token", naming the claim. *ret_present is false, and
// *ret untouched, when there is none.
enum fail jose_time(const struct jose_token *t, const char *claim, bool *ret_present, int64_t *ret,
                    struct fault *fault) MUST_CHECK;

struct jose_key; // a parsed public or private key; immutable, any thread
// RSA 2048–4096 with e = 65537, or P-256, from PEM (SubjectPublicKeyInfo, or PKCS #8 for a private
// key), nothing before or behind it; FAIL_REFUSED "bad_key" says what is wrong with it.
// Looks for small factors of an RSA modulus, which takes milliseconds: for a key that somebody brings.
enum fail jose_key_public(str pem, struct jose_key **ret, struct fault *fault) MUST_CHECK;
// The same without that look, in microseconds: for a key that was taken before and kept by us.
enum fail jose_key_public_kept(str pem, struct jose_key **ret, struct fault *fault) MUST_CHECK;
// Of ours: without the look too.
enum fail jose_key_private(str pem, struct jose_key **ret, struct fault *fault) MUST_CHECK;
struct jose_key *jose_key_ref(struct jose_key *k); // one reference more; returns k
void jose_key_destroy(struct jose_key *k);         // gives one up; takes NULL
enum jose_kind { JOSE_RS256, JOSE_ES256 };
enum jose_kind jose_key_kind(const struct jose_key *k);
const char *jose_key_algorithm(const struct jose_key *k); // "RS256", "ES256"
// New ones: RSA of 4096 bits (slow: up to seconds), P-256.
struct jose_key *jose_key_generate(enum jose_kind kind);
char *jose_key_public_pem(const struct jose_key *k);  // malloc'ed
char *jose_key_private_pem(const struct jose_key *k); // malloc'ed; clear it before free
// RFC 7517, public part, with "use" and "alg"; a new reference.
json_t *jose_key_jwk(const struct jose_key *k, const char *kid);

// The signature by this key, with the key's own algorithm, which the header must name too.
// FAIL_UNAUTHORISED "bad_signature".
enum fail jose_verify(const struct jose_token *t, const struct jose_key *k,
                      struct fault *fault) MUST_CHECK;
// A JWS compact serialisation by a private key, malloc'ed. `typ` is the header's.
char *jose_sign(const struct jose_key *k, const char *kid, const char *typ, const json_t *payload);
#endif
