// SHA-256, HMAC, key derivation: the one door to OpenSSL's digests (encryption at rest: seal.h). Any
// thread; no state.
#ifndef STOA_BASE_DIGEST_H
#define STOA_BASE_DIGEST_H
#include "edge/base/fail.h"

struct digest {
    uint8_t b[32];
};
enum { DIGEST_HEX_ROOM = 65, BASE64URL_32_ROOM = 44 };

struct digest digest_sha256(str s);
struct digest digest_hmac_sha256(str key, str s);
// RFC 5869 (HKDF), 32 bytes; `info` at most 200 bytes.
struct digest digest_hkdf_sha256(str salt, str key, str info);
// Lower-case hex, NUL-terminated.
void digest_hex(const struct digest *d, char to[static DIGEST_HEX_ROOM]);
bool digest_from_hex(str hex, struct digest *ret);
bool digest_eq(const struct digest *a, const struct digest *b); // constant time
// Equal length and bytes, in time that depends on the length only.
bool digest_secret_eq(str a, str b);

// A digest of bytes that come in pieces.
struct digest_stream;
struct digest_stream *digest_begin(void);
void digest_update(struct digest_stream *s, str piece);
struct digest digest_end(struct digest_stream *s); // frees it

// Unpadded base64url (RFC 4648 §5), NUL-terminated: `room` is at least (n * 4 + 2) / 3 + 1.
size_t base64url_encode(str s, char *to, size_t room);
// Canonical only: no padding, no other bytes, no stray bits. False otherwise, or when it does not
// fit.
bool base64url_decode(str s, uint8_t *to, size_t room, size_t *ret_n);

// n random bytes of the kernel's; aborts when there are none.
void random_bytes(void *to, size_t n);
uint64_t random_u64(void);
#endif
