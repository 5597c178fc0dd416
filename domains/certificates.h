// What the files about certificates share: when one is ordered, who may order, what is taken as
// one, and the statements. Pool threads (LANE_DOMAINS), but for what is said to be pure.
#ifndef STOA_DOMAINS_CERTIFICATES_H
#define STOA_DOMAINS_CERTIFICATES_H
#include <openssl/evp.h>
#include "domains/acme/acme.h"
#include "domains/caa.h"
#include "domains/domain.h"
#include "domains/hostname.h"
#include "edge/catalog/catalog.h"

// --- certificates_plan.c: pure ---

enum {
    CERTIFICATE_TRIES_DAYS = 30, // from the first failure on, then not by itself
    // A certificate authority's limits (Let's Encrypt's), less a share for what else the operator does.
    CERTIFICATE_ORDERS_3H = 270,
    CERTIFICATE_PROJECT_3H = 90, // of them for one project, whose names may all fail
    CERTIFICATE_NEW_A_WEEK = 45, // of names under one registrable domain; renewals come on top
    CERTIFICATE_NAME_A_WEEK = 20,
    CERTIFICATE_NAME_AN_HOUR = 4, // failed proofs of a name: five are allowed
    CERTIFICATE_OWN_WARNS_DAYS = 14,
};
struct certificate_usage {
    int64_t orders_3h, project_3h, new_a_week, name_a_week, name_an_hour;
};
// How long after that many failures in a row the next try is.
int64_t certificate_pause_ms(unsigned failures);
// How long the authority asks to wait with this name, seconds: `retry_after_s` is its last answer's,
// which was about another name when ours failed before it was asked. 0: it asks for nothing.
unsigned certificate_asked_s(const char *code, unsigned retry_after_s);
// When it fails next, real ms; 0: not by itself. `asked_s`: what the CA asked to wait for.
int64_t certificate_next_try(int64_t now, int64_t failing_since, unsigned failures,
                             unsigned asked_s);
// When a third of its life is left.
int64_t certificate_renews_at(int64_t not_before, int64_t not_after);
// Which part of the budget is used up, as a sentence, and for how long it is waited; NULL: none.
const char *certificate_over_budget(const struct certificate_usage *u, bool is_renewal,
                                    unsigned *ret_wait_s);

// --- certificates_check.c: what is served; pure ---

struct certificate_parts {
    struct buf leaf, chain; // DER; as edge/route/certificate.h has it
    struct buf key;         // PKCS #8 DER: seal_forget
    int64_t not_before, not_after;
};
void certificate_parts_fini(struct certificate_parts *p);
// A chain as PEM, the leaf first, and its key: takes them apart after looking whether a browser
// would be content with them for that name: the key fits, the name is covered, today is within the
// dates, each certificate signed the one before it, and a handshake with ourselves comes out well.
// FAIL_REFUSED "invalid_certificate" with the reason. `*ret` is to be finished in every case.
enum fail certificate_check(str chain_pem, EVP_PKEY *key, const char *hostname, int64_t now,
                            struct certificate_parts *ret, struct fault *fault) MUST_CHECK;
// A private key as PEM: RSA of 2048 to 4096 bits, or ECDSA on P-256 or P-384. FAIL_REFUSED
// "invalid_certificate".
enum fail certificate_read_key(str pem, EVP_PKEY **ret, struct fault *fault) MUST_CHECK;

// --- certificates_order.c ---

struct certificate_options {
    const char *directory, *contact, *ca_file, *caa, *eab_kid, *eab_key; // settings acme_…
    bool has_tls; // somebody would meet a certificate
    bool is_on;   // names' certificates are ordered
};
extern struct certificate_options certificate_options; // as certificates_init left it

// A row that was taken to be tried.
struct certificate_due {
    char domain_id[CATALOG_ID_ROOM], project_id[CATALOG_ID_ROOM], instance_id[CATALOG_ID_ROOM];
    char hostname[HOSTNAME_ROOM], registrable[HOSTNAME_ROOM];
    char claim[33];
    bool is_own;       // the owner's, about to end
    bool is_served;    // verified or failing
    bool leads_here;   // when DNS was last asked
    bool is_renewal;   // of one that was ordered
    char routing[328]; // what was said of where it leads
    int64_t not_after, failing_since;
    int64_t attempts;
    bool is_told;
};
// One try, whatever comes of it; FAIL_NONE when that was written down.
enum fail certificate_try(struct db *db, struct acme *a, const struct certificate_due *d,
                          struct fault *fault) MUST_CHECK;
// Row and project of where a key is sealed.
enum fail certificate_seal_key(const char *domain_id, const char *project_id, str der,
                               struct buf *to, struct fault *fault) MUST_CHECK;
// --- challenges.c ---

// From now on this node answers for it, as others do once they are told.
void challenges_open(str token);

// --- queries_certificates.c ---

// Takes one row that is due, of another project than the last ones if there is any; FAIL_NOT_FOUND:
// none.
// `directory` NULL: no orders, only owners' own certificates.
enum fail certificate_query_due(struct db *db, const char *directory, struct certificate_due *ret,
                                struct fault *fault) MUST_CHECK;
// Not by itself any more, until its name is served again.
enum fail certificate_query_rest(struct db *db, const struct certificate_due *d,
                                 struct fault *fault) MUST_CHECK;
struct certificate_failure {
    const char *code, *text;
    int64_t next_at, failing_since; // failing_since 0: nothing has failed that counts
    bool counts;                    // as a failed attempt; else the error of one that did stays
    bool is_told;
};
// FAIL_NOT_FOUND when the row is not ours any more.
enum fail certificate_query_failed(struct db *db, const struct certificate_due *d,
                                   const struct certificate_failure *why,
                                   struct fault *fault) MUST_CHECK;
// Ours only while nobody else took the row: FAIL_CONFLICT. In a transaction.
enum fail certificate_query_store(struct db *db, const struct certificate_due *d,
                                  const struct certificate_parts *p, str sealed_key,
                                  struct fault *fault) MUST_CHECK;
enum fail certificate_query_store_own(struct db *db, const char *domain_id, const char *project_id,
                                      const struct certificate_parts *p, str sealed_key,
                                      struct fault *fault) MUST_CHECK;
// One is ordered; with `keeps_it` the owner's is served until that is there, else it goes with its key.
// FAIL_NOT_FOUND when the owner gave none.
enum fail certificate_query_remove_own(struct db *db, const char *domain_id, bool keeps_it,
                                       struct fault *fault) MUST_CHECK;
// An order that failed, be it a renewal, is tried again now, if the last try is a minute ago.
enum fail certificate_query_hurry(struct db *db, const char *domain_id,
                                  struct fault *fault) MUST_CHECK;
// Counts the order, or says why it may not be: then *ret_wait_s and *ret_why are set. One at a time
// across nodes.
enum fail certificate_query_charge(struct db *db, const char *directory,
                                   const struct certificate_due *d, const char **ret_why,
                                   unsigned *ret_wait_s, struct fault *fault) MUST_CHECK;
enum fail certificate_query_purge(struct db *db, struct fault *fault) MUST_CHECK;
// Keys that are sealed under an older master key: id, project, key.
enum fail certificate_query_sealed_before(struct db *db, str key_id, unsigned limit,
                                          struct db_rows **ret, struct fault *fault) MUST_CHECK;
enum fail certificate_query_reseal(struct db *db, const char *domain_id, str before, str after,
                                   struct fault *fault) MUST_CHECK;

// *ret_key is malloc'ed, or NULL: there is none yet.
enum fail acme_query_account(struct db *db, const char *directory, uint8_t **ret_key, size_t *ret_n,
                             char ret_url[static ACME_URL_ROOM], struct fault *fault) MUST_CHECK;
enum fail acme_query_account_add(struct db *db, const char *directory, str sealed_key,
                                 struct fault *fault) MUST_CHECK;
enum fail acme_query_account_url(struct db *db, const char *directory, const char *url,
                                 struct fault *fault) MUST_CHECK;
enum fail acme_query_account_reseal(struct db *db, const char *directory, str before, str after,
                                    struct fault *fault) MUST_CHECK;
enum fail acme_query_pause(struct db *db, const char *directory, unsigned seconds,
                           struct fault *fault) MUST_CHECK;
enum fail acme_query_challenge_add(struct db *db, const struct acme_challenge *c,
                                   const char *hostname, struct fault *fault) MUST_CHECK;
enum fail acme_query_challenge_end(struct db *db, const char *token,
                                   struct fault *fault) MUST_CHECK;
// The answer to a token, to be freed; NULL: none.
enum fail acme_query_challenge(struct db *db, str token, char **ret,
                               struct fault *fault) MUST_CHECK;
// The bytes of a chain, to be freed.
enum fail certificate_query_chain(struct db *db, str digest, uint8_t **ret, size_t *ret_n,
                                  struct fault *fault) MUST_CHECK;
#endif
