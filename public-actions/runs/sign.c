// Signatures as the Standard Webhooks specification has them, so that subscribers can check them
// with its libraries. Keys are random and sealed in their subscription's row.
#include "public-actions/runs/internal.h"
#include <stdio.h>
#include "edge/base/seal.h"

// Padded base64 (RFC 4648 §4), NUL-terminated.
static void put_base64(str s, char *to)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < s.n; i += 3) {
        uint32_t v = (uint32_t)(uint8_t)s.p[i] << 16;
        v |= i + 1 < s.n ? (uint32_t)(uint8_t)s.p[i + 1] << 8 : 0;
        v |= i + 2 < s.n ? (uint8_t)s.p[i + 2] : 0;
        *to++ = digits[v >> 18];
        *to++ = digits[v >> 12 & 63];
        *to++ = i + 1 < s.n ? digits[v >> 6 & 63] : '=';
        *to++ = i + 2 < s.n ? digits[v & 63] : '=';
    }
    *to = '\0';
}

void event_secret(const uint8_t key[static EVENT_KEY_SIZE], char to[static EVENT_SECRET_ROOM])
{
    memcpy(to, "whsec_", 6);
    put_base64(str_of(key, EVENT_KEY_SIZE), to + 6);
}

void event_sign(const uint8_t key[static EVENT_KEY_SIZE], const char *id, int64_t at_seconds,
                str body, char to[static EVENT_SIGNATURE_ROOM])
{
    struct buf text;
    buf_init(&text, body.n + 128);
    buf_addf(&text, "%s.%lld.", id, (long long)at_seconds);
    buf_add(&text, body);
    struct digest mac = digest_hmac_sha256(str_of(key, EVENT_KEY_SIZE), buf_str(&text));
    buf_fini(&text);
    memcpy(to, "v1,", 3);
    put_base64(str_of(mac.b, sizeof mac.b), to + 3);
}

static struct seal_context place(const char *project_id, const char *subscription_id)
{
    return (struct seal_context){.table = "event_subscriptions",
                                 .row = subscription_id,
                                 .column = "secret",
                                 .project = project_id};
}

enum fail event_key_seal(const uint8_t key[static EVENT_KEY_SIZE], const char *project_id,
                         const char *subscription_id, struct buf *ret, struct fault *fault)
{
    struct seal_context at = place(project_id, subscription_id);
    return seal(str_of(key, EVENT_KEY_SIZE), &at, ret, fault);
}

enum fail event_key_unseal(str sealed, const char *project_id, const char *subscription_id,
                           uint8_t ret[static EVENT_KEY_SIZE], struct fault *fault)
{
    struct seal_context at = place(project_id, subscription_id);
    struct buf plain;
    buf_init(&plain, EVENT_KEY_SIZE);
    enum fail f = unseal(sealed, &at, &plain, fault);
    if (f == FAIL_NONE && plain.n != EVENT_KEY_SIZE)
        f = fault_set(fault, FAIL_INTERNAL, "seal_broken", "The secret has not its length.");
    if (f == FAIL_NONE)
        memcpy(ret, plain.p, EVENT_KEY_SIZE);
    seal_forget(&plain);
    return f;
}
