// An ACME client (RFC 8555) for one name at a time by HTTP-01: straight-line, blocking; pool
// threads (LANE_DOMAINS). What it needs kept between steps is its caller's: the account's key and
// URL, the order's URL, the certificate's key.
//
// A failure's fault: FAIL_UPSTREAM "acme_unreachable" (no answer, or none that can be read),
// FAIL_TOO_MANY "acme_rate_limited" (the CA's limits; acme_retry_after), FAIL_REFUSED
// "acme_refused" (the CA says no: its words are in public_text, escaped, cut; "acme_account_gone":
// it knows no such account), FAIL_TIMEOUT "acme_slow" (still pending after `patience_ms`).
#ifndef STOA_ACME_ACME_H
#define STOA_ACME_ACME_H
#include <jansson.h>
#include "domains/acme/key.h"
#include "edge/client/http_client.h"

enum { ACME_URL_ROOM = 512, ACME_TOKEN_ROOM = 129, ACME_CHAIN_MAX = 64 * 1024 };

struct acme_options {
    const char *directory; // "https://acme-v02.api.letsencrypt.org/directory"
    const char *ca_file;   // PEM, for the CA's own server; NULL: the system's
    const char *contact;   // "mailto:ops@example.com"; "": none
    // The account at the CA that the operator has by other means, which some CAs ask for (external
    // account binding, §7.3.4): its id, and its HMAC key in base64url. NULL or "": none.
    const char *eab_kid, *eab_key;
    unsigned patience_ms; // for one order's challenge or its certificate; 0: 60,000
};

// One conversation: nonces and connections are its own. One thread at a time.
struct acme;
struct acme *acme_open(const struct acme_options *o); // borrowed while it is open
void acme_close(struct acme *a);
// Seconds that the last failure asked to wait for; 0: none said.
unsigned acme_retry_after(const struct acme *a);

// Must come before what is below; a reference to the key is taken. acme_account finds or makes the
// account of the key: its URL; acme_use_account goes by a URL that was found before. The
// directory's terms of service are agreed to, which the operator did by naming the directory
// (docs/domains.md).
enum fail acme_account(struct acme *a, EVP_PKEY *account_key, char ret_url[static ACME_URL_ROOM],
                       struct fault *fault) MUST_CHECK;
enum fail acme_use_account(struct acme *a, EVP_PKEY *account_key, const char *url,
                           struct fault *fault) MUST_CHECK;
bool acme_has_account(const struct acme *a);
// The names CAA records know the authority by, as its directory has them (§9.7.6), with commas
// between.
void acme_identities(const struct acme *a, struct buf *to);

// What a CA looks for at http://{name}/.well-known/acme-challenge/{token}: put there before
// acme_prove.
struct acme_challenge {
    char token[ACME_TOKEN_ROOM];
    char answer[ACME_TOKEN_ROOM + ACME_THUMBPRINT_ROOM]; // the key authorization (§8.1)
    char url[ACME_URL_ROOM], authorization_url[ACME_URL_ROOM];
    bool is_needed; // false: the CA remembers an earlier proof
};
// Orders a certificate for the name. Challenges of other kinds are passed over; FAIL_REFUSED when
// HTTP-01 is not offered.
enum fail acme_order(struct acme *a, const char *name, char ret_order[static ACME_URL_ROOM],
                     struct acme_challenge *ret, struct fault *fault) MUST_CHECK;
// Has the CA look, and waits for what it says.
enum fail acme_prove(struct acme *a, const struct acme_challenge *c,
                     struct fault *fault) MUST_CHECK;
// Sends the request, waits, and fetches the chain as PEM (RFC 8555 §7.4.2), leaf first.
enum fail acme_finish(struct acme *a, const char *order, const char *name, EVP_PKEY *key,
                      struct buf *ret_pem, struct fault *fault) MUST_CHECK;
#endif
