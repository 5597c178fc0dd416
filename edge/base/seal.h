// Encryption at rest: AES-256-GCM under the master key (security-rules.md 5). What is sealed opens
// only at the place it was sealed for: table, row, column and project are authenticated with it, so
// that a row copied over another, or into another project, does not open. A sealed value is
//   version (1 byte, 1) | key id (8) | nonce (12, random) | ciphertext | tag (16)
// and the key id is derived from the key, so keys need no register: the first key seals, all open.
// Keys are set before or while other threads work, and read by any thread.
#ifndef STOA_BASE_SEAL_H
#define STOA_BASE_SEAL_H
#include "edge/base/fail.h"

enum { SEAL_KEYS_MAX = 16, SEAL_ID_BYTES = 8, SEAL_OVERHEAD = 1 + SEAL_ID_BYTES + 12 + 16 };

// A master key: 256 random bits.
struct seal_key {
    uint8_t b[32];
};
// Where a value lives. Strings are borrowed for the call, never NULL; `project` is "" for what
// belongs to none.
struct seal_context {
    const char *table, *row, *column, *project;
};

// Keys as people keep them: 32 bytes as 64 hex digits or as base64 (either alphabet, padded or
// not), one a line or with commas between, the newest first; empty lines and those that begin with
// # are passed over. False with a sentence in `why` when it is anything else or nothing.
bool seal_keys_parse(str text, struct seal_key keys[static SEAL_KEYS_MAX], size_t *ret_count,
                     char *why, size_t room);
void seal_key_make(struct seal_key *ret);
// Hex and a NUL.
void seal_key_print(const struct seal_key *key, char to[static 65]);

// Copies the keys; the first is the one that seals. Called again, other threads go over to the new
// keys at once; the old ones are wiped only by seal_fini.
void seal_init(const struct seal_key *keys, size_t count);
bool seal_is_ready(void);
void seal_fini(void); // no other thread may be at work

// Appends the sealed value. FAIL_BUSY "seal_not_ready" before seal_init; FAIL_TOO_LARGE when `ret`
// has no room for plain.n + SEAL_OVERHEAD bytes.
enum fail seal(str plain, const struct seal_context *ctx, struct buf *ret,
               struct fault *fault) MUST_CHECK;
// Appends the plain value, to be given up with seal_forget; `ret` is as it was on failure.
// FAIL_INTERNAL "seal_key_missing" when it was sealed under a key we were not given, "seal_broken"
// for any change of bytes or place; FAIL_BUSY and FAIL_TOO_LARGE as above.
enum fail unseal(str sealed, const struct seal_context *ctx, struct buf *ret,
                 struct fault *fault) MUST_CHECK;
// Whether one of these keys opens it: a look before they are taken into use.
bool seal_opens(const struct seal_key *keys, size_t count, str sealed,
                const struct seal_context *ctx);
// Whether it was sealed under the first key; what was not is to be sealed again.
bool seal_is_current(str sealed);
// The first key's id, which stands behind a sealed value's first byte. FAIL_BUSY as above.
enum fail seal_current_id(uint8_t ret[static SEAL_ID_BYTES], struct fault *fault) MUST_CHECK;
// Overwrites what is in it and frees it.
void seal_forget(struct buf *plain);

// A key for one purpose, HKDF-SHA256 of the first key: HMAC keys and the like. Another label gives
// an independent one. It changes when the first key does: not for what must outlive that. FAIL_BUSY
// as above.
enum fail seal_derive(const char *label, uint8_t ret[static 32], struct fault *fault) MUST_CHECK;
// The same of the key with that id (seal_current_id, kept beside what was made), the first or not:
// for what shall outlive a change of keys. False when it is none of ours, or before seal_init.
bool seal_derive_under(const uint8_t id[static SEAL_ID_BYTES], const char *label,
                       uint8_t ret[static 32]);
#endif
