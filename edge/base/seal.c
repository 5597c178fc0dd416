// A keyring that is swapped whole, and GCM over it. The master keys themselves encrypt nothing: what
// does is derived from them, so that an HMAC key and an AES key are never the same bytes.
#include "edge/base/seal.h"
#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/digest.h"

enum { VERSION = 1, NONCE_BYTES = 12, TAG_BYTES = 16, CONTEXT_MAX = 2048 };
enum { HEAD_BYTES = 1 + SEAL_ID_BYTES };

struct ring_key {
    uint8_t id[SEAL_ID_BYTES];
    struct digest cipher, derive;
};
struct ring {
    struct ring *older; // replaced by this one; kept, since a thread may be reading it
    size_t count;
    struct ring_key keys[SEAL_KEYS_MAX];
};
static _Atomic(struct ring *) current;

// --- keys ---

static struct digest derive(str key, const char *label)
{
    return digest_hkdf_sha256(STR("stoa master key"), key, str_from(label));
}

static void fill(struct ring_key *to, const struct seal_key *key)
{
    str bytes = str_of(key->b, sizeof key->b);
    struct digest id = derive(bytes, "key id");
    memcpy(to->id, id.b, sizeof to->id);
    to->cipher = derive(bytes, "aes-256-gcm at rest");
    to->derive = derive(bytes, "derived keys");
}

static struct ring *make_ring(const struct seal_key *keys, size_t count)
{
    assert(count != 0 && count <= SEAL_KEYS_MAX);
    struct ring *ring = calloc(1, sizeof *ring);
    if (ring == NULL)
        abort();
    ring->count = count;
    for (size_t i = 0; i != count; ++i)
        fill(&ring->keys[i], &keys[i]);
    return ring;
}

static void free_ring(struct ring *ring)
{
    explicit_bzero(ring, sizeof *ring);
    free(ring);
}

void seal_init(const struct seal_key *keys, size_t count)
{
    struct ring *ring = make_ring(keys, count);
    ring->older = atomic_load(&current);
    while (!atomic_compare_exchange_weak(&current, &ring->older, ring))
        ;
}

bool seal_is_ready(void)
{
    return atomic_load(&current) != NULL;
}

void seal_fini(void)
{
    struct ring *ring = atomic_exchange(&current, NULL);
    while (ring != NULL) {
        struct ring *older = ring->older;
        free_ring(ring);
        ring = older;
    }
}

static enum fail the_ring(const struct ring **ret, struct fault *fault)
{
    *ret = atomic_load(&current);
    if (*ret != NULL)
        return FAIL_NONE;
    fault_set(fault, FAIL_BUSY, "seal_not_ready",
              "Secrets cannot be read or written yet; try again in a moment.");
    fault_log(fault, "the master key has not been checked against the database");
    return FAIL_BUSY;
}

static const struct ring_key *find_key(const struct ring *ring, const void *id)
{
    for (size_t i = 0; i != ring->count; ++i)
        if (memcmp(ring->keys[i].id, id, SEAL_ID_BYTES) == 0)
            return &ring->keys[i];
    return NULL;
}

static void derive_from(const struct ring_key *key, const char *label, uint8_t ret[static 32])
{
    struct digest d = derive(str_of(key->derive.b, 32), label);
    memcpy(ret, d.b, sizeof d.b);
    explicit_bzero(&d, sizeof d);
}

enum fail seal_derive(const char *label, uint8_t ret[static 32], struct fault *fault)
{
    const struct ring *ring;
    enum fail fail = the_ring(&ring, fault);
    if (fail == FAIL_NONE)
        derive_from(&ring->keys[0], label, ret);
    return fail;
}

bool seal_derive_under(const uint8_t id[static SEAL_ID_BYTES], const char *label,
                       uint8_t ret[static 32])
{
    const struct ring *ring = atomic_load(&current);
    const struct ring_key *key = ring != NULL ? find_key(ring, id) : NULL;
    if (key != NULL)
        derive_from(key, label, ret);
    return key != NULL;
}

// --- keys as text ---

static int hex_digit(char c)
{
    int low = c | 0x20;
    return c >= '0' && c <= '9' ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

static bool from_hex(str s, struct seal_key *ret)
{
    if (s.n != 64)
        return false;
    for (size_t i = 0; i != 32; ++i) {
        int high = hex_digit(s.p[2 * i]), low = hex_digit(s.p[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        ret->b[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool from_base64(str s, struct seal_key *ret)
{
    char text[43];
    size_t n;
    if (s.n == 44 && s.p[43] == '=')
        --s.n;
    if (s.n != sizeof text)
        return false;
    for (size_t i = 0; i != s.n; ++i)
        text[i] = s.p[i] == '+' ? '-' : s.p[i] == '/' ? '_' : s.p[i];
    bool is_fine = base64url_decode(str_of(text, sizeof text), ret->b, sizeof ret->b, &n) &&
                   n == sizeof ret->b;
    explicit_bzero(text, sizeof text);
    return is_fine;
}

static bool take_key(str word, struct seal_key keys[static SEAL_KEYS_MAX], size_t *n, char *why,
                     size_t room)
{
    if (*n == SEAL_KEYS_MAX) {
        snprintf(why, room, "There are more than %d keys.", SEAL_KEYS_MAX);
        return false;
    }
    if (!from_hex(word, &keys[*n]) && !from_base64(word, &keys[*n])) {
        snprintf(why, room, "Key %zu is not 32 bytes in hex (64 digits) or base64 (44 characters).",
                 *n + 1);
        return false;
    }
    ++*n;
    return true;
}

bool seal_keys_parse(str text, struct seal_key keys[static SEAL_KEYS_MAX], size_t *ret_count,
                     char *why, size_t room)
{
    size_t n = 0;
    while (text.n != 0) {
        str line = str_trim(str_cut(&text, '\n'));
        if (str_ends(line, STR("\r")))
            --line.n;
        if (str_starts(line, STR("#")))
            continue;
        while (line.n != 0) {
            str word = str_trim(str_cut(&line, ','));
            if (word.n != 0 && !take_key(word, keys, &n, why, room))
                return false;
        }
    }
    if (n == 0)
        snprintf(why, room, "There is no key in it.");
    *ret_count = n;
    return n != 0;
}

void seal_key_make(struct seal_key *ret)
{
    random_bytes(ret->b, sizeof ret->b);
}

void seal_key_print(const struct seal_key *key, char to[static 65])
{
    struct digest d;
    memcpy(d.b, key->b, sizeof d.b);
    digest_hex(&d, to);
    explicit_bzero(&d, sizeof d);
}

// --- values ---

static void add_part(struct buf *to, str s)
{
    char n[4] = {(char)(s.n >> 24), (char)(s.n >> 16), (char)(s.n >> 8), (char)s.n};
    buf_add(to, str_of(n, sizeof n));
    buf_add(to, s);
}

// Each part behind its length: no two places give the same bytes.
static void place_of(const struct seal_context *ctx, str head, struct buf *to)
{
    buf_init(to, CONTEXT_MAX);
    add_part(to, head);
    add_part(to, str_from(ctx->table));
    add_part(to, str_from(ctx->row));
    add_part(to, str_from(ctx->column));
    add_part(to, str_from(ctx->project));
    assert(!to->full);
}

static bool encrypt(EVP_CIPHER_CTX *c, const struct ring_key *key, str place, str plain, char *to)
{
    int n;
    uint8_t *nonce = (uint8_t *)to, *body = nonce + NONCE_BYTES;
    return EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, key->cipher.b, nonce) == 1 &&
           EVP_EncryptUpdate(c, NULL, &n, (const uint8_t *)place.p, (int)place.n) == 1 &&
           (plain.n == 0 ||
            EVP_EncryptUpdate(c, body, &n, (const uint8_t *)plain.p, (int)plain.n) == 1) &&
           EVP_EncryptFinal_ex(c, body + plain.n, &n) == 1 &&
           EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, body + plain.n) == 1;
}

static bool decrypt(EVP_CIPHER_CTX *c, const struct ring_key *key, str place, str sealed, char *to)
{
    int n;
    size_t size = sealed.n - NONCE_BYTES - TAG_BYTES;
    const uint8_t *nonce = (const uint8_t *)sealed.p, *body = nonce + NONCE_BYTES;
    return EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, key->cipher.b, nonce) == 1 &&
           EVP_DecryptUpdate(c, NULL, &n, (const uint8_t *)place.p, (int)place.n) == 1 &&
           (size == 0 || EVP_DecryptUpdate(c, (uint8_t *)to, &n, body, (int)size) == 1) &&
           EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, (void *)(body + size)) == 1 &&
           EVP_DecryptFinal_ex(c, (uint8_t *)to + size, &n) == 1;
}

enum fail seal(str plain, const struct seal_context *ctx, struct buf *ret, struct fault *fault)
{
    const struct ring *ring;
    enum fail fail = the_ring(&ring, fault);
    if (fail != FAIL_NONE)
        return fail;
    char *to = plain.n > INT32_MAX ? NULL : buf_reserve(ret, plain.n + SEAL_OVERHEAD);
    if (to == NULL)
        return fault_set(fault, FAIL_TOO_LARGE, "too_large", "This is too long to be sealed.");
    to[0] = VERSION;
    memcpy(to + 1, ring->keys[0].id, SEAL_ID_BYTES);
    random_bytes(to + HEAD_BYTES, NONCE_BYTES);
    struct buf place;
    place_of(ctx, str_of(to, HEAD_BYTES), &place);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    bool is_done = c != NULL && encrypt(c, &ring->keys[0], buf_str(&place), plain, to + HEAD_BYTES);
    EVP_CIPHER_CTX_free(c);
    buf_fini(&place);
    if (!is_done)
        abort(); // memory, or an OpenSSL without AES
    ret->n += plain.n + SEAL_OVERHEAD;
    return FAIL_NONE;
}

static enum fail broken(struct fault *fault, const struct seal_context *ctx, const char *code,
                        const char *why)
{
    fault_set(fault, FAIL_INTERNAL, code,
              "A stored secret cannot be read. The server's operator finds the reason in the log.");
    fault_log(fault, "%.60s.%.60s of row %.60s %s", ctx->table, ctx->column, ctx->row, why);
    return FAIL_INTERNAL;
}

static enum fail open_with(const struct ring_key *key, str sealed, const struct seal_context *ctx,
                           struct buf *ret, struct fault *fault)
{
    size_t size = sealed.n - SEAL_OVERHEAD;
    char *to = buf_reserve(ret, size);
    if (to == NULL)
        return fault_set(fault, FAIL_TOO_LARGE, "too_large",
                         "A stored secret is longer than what asked for it can take.");
    struct buf place;
    place_of(ctx, str_of(sealed.p, HEAD_BYTES), &place);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    if (c == NULL)
        abort();
    bool is_whole = decrypt(c, key, buf_str(&place), str_skip(sealed, HEAD_BYTES), to);
    EVP_CIPHER_CTX_free(c);
    buf_fini(&place);
    if (!is_whole) {
        explicit_bzero(to, size); // nothing unverified is left behind
        return broken(fault, ctx, "seal_broken", "is not as it was sealed");
    }
    ret->n += size;
    return FAIL_NONE;
}

static enum fail open_by(const struct ring *ring, str sealed, const struct seal_context *ctx,
                         struct buf *ret, struct fault *fault)
{
    if (sealed.n < SEAL_OVERHEAD || sealed.n - SEAL_OVERHEAD > INT32_MAX || sealed.p[0] != VERSION)
        return broken(fault, ctx, "seal_broken", "is no sealed value");
    const struct ring_key *key = find_key(ring, sealed.p + 1);
    if (key == NULL)
        return broken(fault, ctx, "seal_key_missing", "was sealed under a key that is not given");
    return open_with(key, sealed, ctx, ret, fault);
}

enum fail unseal(str sealed, const struct seal_context *ctx, struct buf *ret, struct fault *fault)
{
    const struct ring *ring;
    enum fail fail = the_ring(&ring, fault);
    return fail == FAIL_NONE ? open_by(ring, sealed, ctx, ret, fault) : fail;
}

bool seal_opens(const struct seal_key *keys, size_t count, str sealed,
                const struct seal_context *ctx)
{
    struct buf plain;
    struct ring *ring = make_ring(keys, count);
    buf_init(&plain, sealed.n);
    enum fail fail = open_by(ring, sealed, ctx, &plain, NULL);
    seal_forget(&plain);
    free_ring(ring);
    return fail == FAIL_NONE;
}

bool seal_is_current(str sealed)
{
    const struct ring *ring = atomic_load(&current);
    return ring != NULL && sealed.n >= SEAL_OVERHEAD && sealed.p[0] == VERSION &&
           memcmp(ring->keys[0].id, sealed.p + 1, SEAL_ID_BYTES) == 0;
}

enum fail seal_current_id(uint8_t ret[static SEAL_ID_BYTES], struct fault *fault)
{
    const struct ring *ring;
    enum fail fail = the_ring(&ring, fault);
    if (fail == FAIL_NONE)
        memcpy(ret, ring->keys[0].id, SEAL_ID_BYTES);
    return fail;
}

void seal_forget(struct buf *plain)
{
    if (plain->p != NULL)
        explicit_bzero(plain->p, plain->_room);
    buf_fini(plain);
}
