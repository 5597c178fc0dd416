// Another implementation agrees: libjwt verifies what we sign, and we what it signs.
#include "edge/auth/jose/jose.h"
#include <jwt.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>
#include "edge/base/jsonx.h"

static void agree(enum jose_kind kind, jwt_alg_t alg)
{
    struct jose_key *k = jose_key_generate(kind);
    char *public_pem AUTOFREE = jose_key_public_pem(k);
    char *private_pem AUTOFREE = jose_key_private_pem(k);
    json_auto_t *payload = json_pack("{ss}", "sub", "ours");
    char *ours AUTOFREE = jose_sign(k, "key_1", "JWT", payload);
    jwt_t *read = NULL;
    assert_int_equal(
        jwt_decode(&read, ours, (const unsigned char *)public_pem, (int)strlen(public_pem)), 0);
    assert_int_equal(jwt_get_alg(read), alg);
    assert_string_equal(jwt_get_grant(read, "sub"), "ours");
    jwt_free(read);

    jwt_t *made = NULL;
    struct jose_token t;
    struct fault fault = {0};
    assert_int_equal(jwt_new(&made), 0);
    jwt_add_header(made, "kid", "key_1");
    jwt_add_grant(made, "sub", "theirs");
    jwt_set_alg(made, alg, (const unsigned char *)private_pem, (int)strlen(private_pem));
    char *theirs = jwt_encode_str(made);
    assert_non_null(theirs);
    assert_int_equal(jose_parse(str_from(theirs), &t, &fault), FAIL_NONE);
    assert_int_equal(jose_verify(&t, k, &fault), FAIL_NONE);
    assert_true(str_eq(jsonx_str(t.payload, "sub"), STR("theirs")));
    jose_token_fini(&t);
    free(theirs);
    jwt_free(made);
    jose_key_destroy(k);
}

static void test_rs256(void **state)
{
    agree(JOSE_RS256, JWT_ALG_RS256);
}

static void test_es256(void **state)
{
    for (int i = 0; i != 20; ++i) // numbers with leading zeroes among them
        agree(JOSE_ES256, JWT_ALG_ES256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rs256), cmocka_unit_test(test_es256)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
