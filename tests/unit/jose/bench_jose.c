// What a token costs, by libjwt (which parses the PEM at every call) and by a parsed key. Prints
// microseconds of one thread's time: bench_jose [rounds].
#include <jwt.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "edge/auth/jose/jose.h"

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static struct jose_key *key_of(EVP_PKEY *pkey)
{
    struct jose_key *k = NULL;
    char *at = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL);
    long n = BIO_get_mem_data(bio, &at);
    if (jose_key_private(str_of(at, (size_t)n), &k, NULL) != FAIL_NONE)
        exit(1);
    BIO_free(bio);
    EVP_PKEY_free(pkey);
    return k;
}

static void bench(const char *name, struct jose_key *k, jwt_alg_t alg, int rounds)
{
    char *pem AUTOFREE = jose_key_public_pem(k);
    char *private_pem AUTOFREE = jose_key_private_pem(k);
    json_auto_t *payload = json_pack("{ss ss ss ss ss si si}", "version", "v3", "externalUserId",
                                     "user-1", "externalProjectId", "project-1", "firstName", "Ada",
                                     "lastName", "Lovelace", "iat", 1800000000, "exp", 1800000300);
    char *text AUTOFREE = jose_sign(k, "key_1", "JWT", payload);
    double start = now_us();
    for (int i = 0; i != rounds; ++i) {
        struct jose_token t;
        if (jose_parse(str_from(text), &t, NULL) != FAIL_NONE ||
            jose_verify(&t, k, NULL) != FAIL_NONE)
            exit(1);
        jose_token_fini(&t);
    }
    double verified = now_us();
    for (int i = 0; i != rounds; ++i)
        free(jose_sign(k, "key_1", "JWT", payload));
    double ours = now_us();
    for (int i = 0; i != rounds; ++i) {
        jwt_t *jwt = NULL;
        if (jwt_decode(&jwt, text, (const unsigned char *)pem, (int)strlen(pem)) != 0)
            exit(1);
        jwt_free(jwt);
    }
    double decoded = now_us();
    for (int i = 0; i != rounds; ++i) {
        jwt_t *jwt = NULL;
        char *grants AUTOFREE = json_dumps(payload, JSON_COMPACT);
        if (jwt_new(&jwt) != 0 || jwt_add_header(jwt, "kid", "key_1") != 0 ||
            jwt_add_grants_json(jwt, grants) != 0)
            exit(1);
        jwt_set_alg(jwt, alg, (const unsigned char *)private_pem, (int)strlen(private_pem));
        free(jwt_encode_str(jwt));
        jwt_free(jwt);
    }
    double encoded = now_us();
    printf(
        "%-9s verify: parsed key %6.1f, libjwt %6.1f   sign: parsed key %7.1f, libjwt %7.1f us\n",
        name, (verified - start) / rounds, (decoded - ours) / rounds, (ours - verified) / rounds,
        (encoded - decoded) / rounds);
    jose_key_destroy(k);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 500;
    bench("RSA 2048", key_of(EVP_RSA_gen(2048)), JWT_ALG_RS256, rounds);
    bench("RSA 4096", jose_key_generate(JOSE_RS256), JWT_ALG_RS256, rounds);
    bench("P-256", jose_key_generate(JOSE_ES256), JWT_ALG_ES256, rounds);
    return 0;
}
