// From a token's text to its parts. Nothing here knows a key; what is refused here costs no
// signature check.
#include "edge/auth/jose/jose.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/jsonx.h"

static const int64_t year_9999 = 253402300799;

// Each would change what the signature covers, or bring a key along (RFC 7515 §4.1, RFC 7797, RFC
// 7516): never followed, and never passed over either.
static const char *const refused_members[] = {"crit", "b64", "jwk", "jku",
                                              "x5u",  "x5c", "zip", "enc"};

static enum fail refuse(struct fault *fault, const char *sentence)
{
    return fault_set(fault, FAIL_UNAUTHORISED, "invalid_token", "%s", sentence);
}

// One part into an object; NULL when it is none.
static json_t *object_of(str part)
{
    size_t n = 0;
    uint8_t *bytes AUTOFREE = malloc(part.n + 1);
    if (bytes == NULL)
        abort();
    if (!base64url_decode(part, bytes, part.n, &n) ||
        !jsonx_is_valid(str_of(bytes, n), JOSE_DEPTH_MAX))
        return NULL;
    json_t *value = jsonx_parse(str_of(bytes, n), NULL);
    if (json_is_object(value))
        return value;
    json_decref(value);
    return NULL;
}

static enum fail split(str text, struct jose_token *t, str *ret_header, str *ret_payload,
                       struct fault *fault)
{
    str rest = text;
    if (text.n > JOSE_TOKEN_MAX)
        return refuse(fault, "The token is longer than 16 KiB.");
    *ret_header = str_cut(&rest, '.');
    *ret_payload = str_cut(&rest, '.');
    if (ret_header->n == 0 || ret_payload->n == 0 || rest.n == 0 || str_find(rest, '.') != SIZE_MAX)
        return refuse(fault, "The token must have three parts with a dot between them: header, "
                             "payload and signature.");
    if (!base64url_decode(rest, t->signature, sizeof t->signature, &t->signature_size))
        return refuse(fault, "The token's signature must be unpadded, canonical base64url of at "
                             "most 512 bytes.");
    t->text = text;
    t->signing_input = str_of(text.p, ret_header->n + 1 + ret_payload->n);
    return FAIL_NONE;
}

static enum fail read_alg(struct jose_token *t, struct fault *fault)
{
    str alg = jsonx_str(t->header, "alg");
    if (!str_eq(alg, STR("RS256")) && !str_eq(alg, STR("ES256")))
        return refuse(fault, "The token's header must have \"alg\" RS256 or ES256.");
    memcpy(t->alg, alg.p, alg.n + 1);
    return FAIL_NONE;
}

static bool is_kid(str s)
{
    for (size_t i = 0; i != s.n; ++i) {
        char c = s.p[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            c != '_' && c != '-')
            return false;
    }
    return s.n != 0 && s.n <= JOSE_KID_MAX;
}

static enum fail read_kid(struct jose_token *t, struct fault *fault)
{
    str kid = jsonx_str(t->header, "kid");
    if (!is_kid(kid))
        return refuse(fault, "The token's header must have the signing key's id as \"kid\".");
    memcpy(t->kid, kid.p, kid.n + 1);
    return FAIL_NONE;
}

// RFC 7515 §4.1.9: a media type, so in any case.
static enum fail check_typ(const struct jose_token *t, const char *typ, bool may_lack,
                           struct fault *fault)
{
    if (json_object_get(t->header, "typ") == NULL && may_lack)
        return FAIL_NONE;
    if (str_caseeq(jsonx_str(t->header, "typ"), str_from(typ)))
        return FAIL_NONE;
    return fault_set(fault, FAIL_UNAUTHORISED, "invalid_token",
                     "The token's header must have \"typ\" %s%s.", typ, may_lack ? " or none" : "");
}

static enum fail check_members(const struct jose_token *t, struct fault *fault)
{
    for (size_t i = 0; i != sizeof refused_members / sizeof refused_members[0]; ++i)
        if (json_object_get(t->header, refused_members[i]) != NULL)
            return fault_set(fault, FAIL_UNAUTHORISED, "invalid_token",
                             "The token's header must not have \"%s\".", refused_members[i]);
    return FAIL_NONE;
}

static enum fail read_parts(struct jose_token *t, str text, const char *typ, bool may_lack_typ,
                            struct fault *fault)
{
    str header, payload;
    enum fail f = split(text, t, &header, &payload, fault);
    if (f != FAIL_NONE)
        return f;
    if ((t->header = object_of(header)) == NULL)
        return refuse(fault, "The token's header must be a JSON object in unpadded, canonical "
                             "base64url, without duplicate members.");
    f = read_alg(t, fault);
    if (f == FAIL_NONE)
        f = check_members(t, fault);
    if (f == FAIL_NONE)
        f = check_typ(t, typ, may_lack_typ, fault);
    if (f == FAIL_NONE)
        f = read_kid(t, fault);
    if (f != FAIL_NONE)
        return f;
    if ((t->payload = object_of(payload)) == NULL)
        return refuse(fault, "The token's payload must be a JSON object in unpadded, canonical "
                             "base64url, without duplicate members.");
    return FAIL_NONE;
}

static enum fail parse(str text, const char *typ, bool may_lack_typ, struct jose_token *ret,
                       struct fault *fault)
{
    struct jose_token t = {0};
    enum fail f = read_parts(&t, text, typ, may_lack_typ, fault);
    if (f != FAIL_NONE)
        jose_token_fini(&t);
    else
        *ret = t;
    return f;
}

enum fail jose_parse(str text, struct jose_token *ret, struct fault *fault)
{
    return parse(text, "JWT", true, ret, fault);
}

enum fail jose_parse_typed(str text, const char *typ, struct jose_token *ret, struct fault *fault)
{
    return parse(text, typ, false, ret, fault);
}

void jose_token_fini(struct jose_token *t)
{
    json_decref(t->header);
    json_decref(t->payload);
    t->header = t->payload = NULL;
}

enum fail jose_time(const struct jose_token *t, const char *claim, bool *ret_present, int64_t *ret,
                    struct fault *fault)
{
    const json_t *value = json_object_get(t->payload, claim);
    *ret_present = value != NULL;
    if (value == NULL)
        return FAIL_NONE;
    int64_t seconds = json_integer_value(value);
    if (!json_is_integer(value) || seconds < 0 || seconds > year_9999)
        return fault_set(fault, FAIL_UNAUTHORISED, "invalid_token",
                         "The claim \"%s\" must be a time in whole seconds since 1970.", claim);
    *ret = seconds;
    return FAIL_NONE;
}
