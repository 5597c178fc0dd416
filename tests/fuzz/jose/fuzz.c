// Any text as a token, and as the header and payload of one with a line end between. What is taken has one form only: put together again from its decoded parts it
// is the same text; it has an algorithm of ours, and no key but its own verifies it.
#include <stdint.h>
#include <stdlib.h>
#include "edge/auth/jose/jose.h"
#include "edge/base/jsonx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_again(str part)
{
    uint8_t bytes[JOSE_TOKEN_MAX];
    char text[JOSE_TOKEN_MAX + 4];
    size_t n = 0;
    check(base64url_decode(part, bytes, sizeof bytes, &n));
    check(str_eq(part, str_of(text, base64url_encode(str_of(bytes, n), text, sizeof text))));
}

static void check_times(const struct jose_token *t)
{
    static const char *const claims[] = {"exp", "iat", "nbf"};
    for (size_t i = 0; i != 3; ++i) {
        bool present = false;
        int64_t at = -1;
        if (jose_time(t, claims[i], &present, &at, NULL) == FAIL_NONE)
            check(present ? at >= 0 : at == -1);
    }
}

static void check_token(str text, const struct jose_token *t)
{
    static struct jose_key *ec;
    str rest = text;
    if (ec == NULL)
        ec = jose_key_generate(JOSE_ES256);
    for (int i = 0; i != 3; ++i)
        check_again(str_cut(&rest, '.'));
    check(rest.n == 0 && text.n <= JOSE_TOKEN_MAX);
    check(str_eq(str_from(t->alg), STR("RS256")) || str_eq(str_from(t->alg), STR("ES256")));
    check(json_is_object(t->header) && json_is_object(t->payload));
    check(json_object_get(t->header, "crit") == NULL && json_object_get(t->header, "jwk") == NULL);
    check(t->kid[0] != '\0');
    check(jose_verify(t, ec, NULL) != FAIL_NONE);
    check_times(t);
}

static void try_token(str text)
{
    struct jose_token t;
    if (jose_parse(text, &t, NULL) != FAIL_NONE)
        return;
    check_token(text, &t);
    jose_token_fini(&t);
}

static void try_parts(str text)
{
    enum { PART_MAX = 6000 };
    char token[2 * (PART_MAX * 4 / 3 + 4) + 8];
    str payload = text, header = str_cut(&payload, '\n');
    if (header.n > PART_MAX || payload.n > PART_MAX)
        return;
    size_t n = base64url_encode(header, token, sizeof token);
    token[n++] = '.';
    n += base64url_encode(payload, token + n, sizeof token - n);
    memcpy(token + n, ".AAAA", 5);
    try_token(str_of(token, n + 5));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct jose_key *k = NULL;
    str text = str_of(data, size);
    try_token(text);
    try_parts(text);
    if (jose_key_public(text, &k, NULL) == FAIL_NONE)
        jose_key_destroy(k);
    return 0;
}
