// What time asks for: names that are due are taken one at a time, on every node at once, and tried.
// At most two of the lane's threads do this. And keys follow the master key.
#include "domains/certificates.h"
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "edge/base/clock.h"
#include "edge/base/log.h"
#include "edge/base/seal.h"
#include "edge/loop/pool.h"
#include "edge/route/certificate.h"

enum { TENDERS_MAX = 2, TEND_MS = 60 * 1000, PURGE_MS = 10 * 60 * 1000, RESEAL_AT_ONCE = 200 };

struct certificate_options certificate_options = {.directory = ""};
static _Atomic unsigned tenders;
static _Atomic uint64_t purged_at;

void certificates_init(const struct domains_acme_options *o)
{
    certificate_options =
        (struct certificate_options){.directory = o->directory,
                                     .contact = o->contact,
                                     .ca_file = o->ca_file[0] != '\0' ? o->ca_file : NULL,
                                     .caa = o->caa,
                                     .eab_kid = o->eab_kid,
                                     .eab_key = o->eab_key,
                                     .has_tls = o->has_tls,
                                     .is_on = o->directory[0] != '\0' && o->has_tls};
}

// --- what is due ---

static enum fail purge_sometimes(struct db *db, struct fault *fault)
{
    uint64_t now = clock_monotonic_ms(), before = purged_at;
    if (now - before < PURGE_MS || !atomic_compare_exchange_strong(&purged_at, &before, now))
        return FAIL_NONE;
    return certificate_query_purge(db, fault);
}

static struct acme *converse(void)
{
    const struct certificate_options *o = &certificate_options;
    return acme_open(&(struct acme_options){.directory = o->directory,
                                            .ca_file = o->ca_file,
                                            .contact = o->contact,
                                            .eab_kid = o->eab_kid,
                                            .eab_key = o->eab_key});
}

static enum fail try_what_is_due(struct db *db, struct fault *fault)
{
    uint64_t until = clock_monotonic_ms() + TEND_MS;
    struct acme *a = NULL;
    struct certificate_due due;
    enum fail f;
    do {
        f = certificate_query_due(
            db, certificate_options.is_on ? certificate_options.directory : NULL, &due, fault);
        if (f == FAIL_NONE && a == NULL && !due.is_own)
            a = converse();
        if (f == FAIL_NONE)
            f = certificate_try(db, a, &due, fault);
    } while (f == FAIL_NONE && clock_monotonic_ms() < until);
    acme_close(a);
    return f == FAIL_NOT_FOUND ? FAIL_NONE : f;
}

static void on_tend(struct job *j)
{
    struct fault fault = {0};
    struct db *db = db_of_thread();
    enum fail f = purge_sometimes(db, &fault);
    if (f == FAIL_NONE)
        f = try_what_is_due(db, &fault);
    if (f != FAIL_NONE)
        log_warn("certificates were not all looked after", "reason=%s",
                 LOG_STR(str_from(fault.log_text[0] != '\0' ? fault.log_text : fault.public_text)));
    --tenders;
}

static void on_done(struct job *j)
{
    free(j);
}

static bool post(enum lane lane, void (*run)(struct job *j))
{
    struct job *j = calloc(1, sizeof *j);
    if (j == NULL)
        abort();
    j->run = run;
    j->done = on_done;
    if (pool_post(lane, j) == FAIL_NONE)
        return true;
    free(j); // busy: the next time will do
    return false;
}

void certificates_tend(void)
{
    if (++tenders > TENDERS_MAX || !post(LANE_DOMAINS, on_tend))
        --tenders;
}

// --- another master key ---

static enum fail reseal_value(str sealed, const struct seal_context *where, struct buf *to,
                              struct fault *fault)
{
    struct buf plain;
    buf_init(&plain, CERTIFICATE_KEY_MAX);
    enum fail f = unseal(sealed, where, &plain, fault);
    if (f == FAIL_NONE)
        f = seal(buf_str(&plain), where, to, fault);
    seal_forget(&plain);
    return f;
}

static enum fail reseal_row(struct db *db, const struct db_rows *rows, size_t i,
                            struct fault *fault)
{
    size_t n = 0;
    struct buf sealed;
    const char *id = db_get(rows, i, 0).p;
    AUTOFREE uint8_t *before = db_get_bytes(rows, i, 2, &n);
    const struct seal_context where = {"domain_certificates", id, "key", db_get(rows, i, 1).p};
    buf_init(&sealed, CERTIFICATE_KEY_MAX);
    enum fail f = reseal_value(str_of(before, n), &where, &sealed, fault);
    if (f == FAIL_NONE)
        f = certificate_query_reseal(db, id, str_of(before, n), buf_str(&sealed), fault);
    buf_fini(&sealed);
    return f;
}

static enum fail reseal_account(struct db *db, struct fault *fault)
{
    size_t n = 0;
    struct buf sealed;
    char url[ACME_URL_ROOM];
    uint8_t *before = NULL;
    const char *directory = certificate_options.directory;
    const struct seal_context where = {"acme_accounts", directory, "key", ""};
    enum fail f = acme_query_account(db, directory, &before, &n, url, fault);
    buf_init(&sealed, CERTIFICATE_KEY_MAX);
    if (f == FAIL_NONE && before != NULL && !seal_is_current(str_of(before, n))) {
        f = reseal_value(str_of(before, n), &where, &sealed, fault);
        if (f == FAIL_NONE)
            f = acme_query_account_reseal(db, directory, str_of(before, n), buf_str(&sealed),
                                          fault);
    }
    buf_fini(&sealed);
    free(before);
    return f;
}

static void on_reseal(struct job *j)
{
    uint8_t id[SEAL_ID_BYTES];
    struct fault fault = {0};
    struct db *db = db_of_thread();
    size_t done = 0, count;
    enum fail f = seal_current_id(id, &fault);
    if (f == FAIL_NONE)
        f = reseal_account(db, &fault);
    do {
        DB_ROWS_AUTO rows = NULL;
        if (f == FAIL_NONE)
            f = certificate_query_sealed_before(db, str_of(id, sizeof id), RESEAL_AT_ONCE, &rows,
                                                &fault);
        count = f == FAIL_NONE ? db_count(rows) : 0;
        for (size_t i = 0; f == FAIL_NONE && i != count; ++i, ++done)
            f = reseal_row(db, rows, i, &fault);
    } while (f == FAIL_NONE && count != 0);
    const char *reason = fault.log_text[0] != '\0' ? fault.log_text : fault.public_text;
    if (f == FAIL_BUSY) // the database is away: in an hour it is tried again
        log_warn("certificates' keys were not sealed again", "done=%zu reason=%s", done,
                 LOG_STR(str_from(reason)));
    else if (f != FAIL_NONE)
        log_error("certificates' keys were not sealed again", "done=%zu reason=%s", done,
                  LOG_STR(str_from(reason)));
    else if (done != 0)
        log_info("certificates' keys were sealed again", "count=%zu", done);
}

void certificates_reseal(void)
{
    post(LANE_DOMAINS, on_reseal);
}
