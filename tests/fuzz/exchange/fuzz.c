// A header and a payload, a line each, as a provisioning token whose signature was found good: what is
// accepted is within its bounds, what is refused names a claim. The whole input as an origin, too.
#include <stdint.h>
#include <stdlib.h>
#include "edge/auth/roles.h"
#include "embed/claims.h"
#include "embed/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW = 1800000000 };

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void add_part(struct buf *to, str part)
{
    size_t room = (part.n * 4 + 2) / 3 + 1;
    char *at = buf_reserve(to, room);
    to->n += base64url_encode(part, at, room);
}

static void check_text(str text)
{
    check(text.n != 0 && text.n <= 4 * CLAIM_TEXT_MAX && str_is_utf8(text));
    for (size_t i = 0; i != text.n; ++i)
        check((unsigned char)text.p[i] >= 0x20);
}

static void check_claims(const struct claims *c, const struct claims_rules *rules)
{
    check_text(c->external_user_id);
    check_text(c->external_project_id);
    check_text(c->first_name);
    check_text(c->last_name);
    check(c->email.n <= 4 * CLAIM_TEXT_MAX);
    check(role_of(str_from(c->role)) != ROLE_NONE);
    check(strcmp(c->filter, "NONE") == 0 || strcmp(c->filter, "ALLOWED") == 0);
    check(c->tags == NULL || json_array_size(c->tags) <= CLAIM_TAGS_MAX);
    check(c->expires_at > NOW - CLAIM_LEEWAY && c->lifetime_s >= 0);
    check(c->issued_at == c->expires_at || c->issued_at <= NOW + CLAIM_LEEWAY);
    check(rules->max_lifetime_s == 0 || c->lifetime_s <= rules->max_lifetime_s);
}

static void read_claims(const struct jose_token *t, const struct claims_rules *rules)
{
    struct claims claims;
    struct fault fault = {0};
    const char *claim = NULL;
    if (claims_read(t, rules, NOW, &claims, &claim, &fault) == FAIL_NONE)
        check_claims(&claims, rules);
    else
        check(claim != NULL && fault.fail == FAIL_UNAUTHORISED &&
              str_find_str(str_from(fault.public_text), str_from(claim)) != SIZE_MAX);
}

static void check_origin(str text)
{
    if (!key_origin_is_exact(text))
        return;
    check(text.n < 300 && (str_starts(text, STR("https://")) || str_starts(text, STR("http://"))));
    for (size_t i = 0; i != text.n; ++i)
        check(strchr(" ;,'\"*@?#%\\\t\r\n", text.p[i]) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct claims_rules rules[] = {{"", 0}, {"stoa", 600}};
    struct buf token;
    struct jose_token t;
    str payload = str_of(data, size);
    check_origin(payload);
    str header = str_cut(&payload, '\n');
    if (size > JOSE_TOKEN_MAX)
        return 0;
    buf_init(&token, 2 * JOSE_TOKEN_MAX);
    add_part(&token, header);
    buf_addc(&token, '.');
    add_part(&token, payload);
    buf_add(&token, STR(".c2lnbmVk"));
    if (jose_parse(buf_str(&token), &t, NULL) == FAIL_NONE) {
        for (size_t i = 0; i != sizeof rules / sizeof rules[0]; ++i)
            read_claims(&t, &rules[i]);
        jose_token_fini(&t);
    }
    buf_fini(&token);
    return 0;
}
