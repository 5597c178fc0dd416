// Two keys: the one that seals, and the one that did before. They turn by the clock, whoever looks
// first.
#include "edge/tls_tickets.h"
#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>
#include "edge/base/clock.h"
#include "edge/base/digest.h"

enum { NAME_BYTES = 16, KEY_BYTES = 32, IV_BYTES = 16, NO = 0, YES = 1, YES_AND_RENEW = 2 };

struct ticket_key {
    unsigned char name[NAME_BYTES], cipher[KEY_BYTES], mac[KEY_BYTES];
};

static uint64_t interval;
static pthread_mutex_t lock =
    PTHREAD_MUTEX_INITIALIZER; // guards what follows, for a copy at a time
static struct ticket_key present, former;
static bool has_former;
static uint64_t made_at; // monotonic ms; of `present`

// Under the lock.
static void turn(uint64_t now)
{
    uint64_t turns = (now - made_at) / interval;
    if (turns == 0)
        return;
    has_former = turns == 1;
    if (has_former)
        former = present;
    else
        OPENSSL_cleanse(&former, sizeof former);
    random_bytes(&present, sizeof present);
    made_at += turns * interval;
}

static struct ticket_key key_to_seal(void)
{
    pthread_mutex_lock(&lock);
    turn(clock_monotonic_ms());
    struct ticket_key k = present;
    pthread_mutex_unlock(&lock);
    return k;
}

static int key_to_open(const unsigned char *name, struct ticket_key *ret)
{
    int is_known = NO;
    pthread_mutex_lock(&lock);
    turn(clock_monotonic_ms());
    if (CRYPTO_memcmp(name, present.name, NAME_BYTES) == 0) {
        *ret = present;
        is_known = YES;
    } else if (has_former && CRYPTO_memcmp(name, former.name, NAME_BYTES) == 0) {
        *ret = former;
        is_known = YES_AND_RENEW;
    }
    pthread_mutex_unlock(&lock);
    return is_known;
}

static bool use_mac(EVP_MAC_CTX *mac, struct ticket_key *k)
{
    char digest[] = "SHA256";
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, k->mac, sizeof k->mac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_END};
    return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

// As SSL_CTX_set_tlsext_ticket_key_evp_cb(3) has it: 0 is a full handshake, -1 ends the connection. A
// TLS 1.3 client uses each ticket once (RFC 8446 §C.4), and gets another only where that is said here.
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int is_sealed_now)
{
    struct ticket_key k;
    int answer = YES;
    if (is_sealed_now) {
        k = key_to_seal();
        memcpy(name, k.name, NAME_BYTES);
        random_bytes(iv, IV_BYTES);
    } else {
        answer = key_to_open(name, &k);
        if (answer == YES && SSL_version(ssl) == TLS1_3_VERSION)
            answer = YES_AND_RENEW;
    }
    if (answer == NO)
        return NO;
    bool is_used =
        EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, k.cipher, iv, is_sealed_now) == 1 &&
        use_mac(mac, &k);
    OPENSSL_cleanse(&k, sizeof k);
    return is_used ? answer : -1;
}

void tls_tickets_init(SSL_CTX *front, uint64_t interval_ms)
{
    assert(interval_ms != 0);
    interval = interval_ms;
    made_at = clock_monotonic_ms();
    random_bytes(&present, sizeof present);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(front, on_ticket);
    // no session is kept here for clients without tickets: it would outlive the keys
    SSL_CTX_set_session_cache_mode(front, SSL_SESS_CACHE_OFF);
}

void tls_tickets_tend(void)
{
    pthread_mutex_lock(&lock);
    if (interval != 0)
        turn(clock_monotonic_ms());
    pthread_mutex_unlock(&lock);
}
