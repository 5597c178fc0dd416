// The audit trail: each project's events, in a chain. An event's hash is SHA-256 over the one
// before it and over its own fields, each led by its length, so that no two events have the same
// bytes. The chain begins with the hash of the project's id.
#include "edge/catalog/internal.h"
#include <assert.h>
#include <stdio.h>
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"

enum { VERIFY_AT_ONCE = 500 };

static void add_field(struct digest_stream *s, str field)
{
    char length[24];
    int n = snprintf(length, sizeof length, "%zu:", field.n);
    digest_update(s, str_of(length, (size_t)n));
    if (field.n != 0)
        digest_update(s, field);
}

static void add_number(struct digest_stream *s, int64_t number)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%lld", (long long)number);
    add_field(s, str_of(text, (size_t)n));
}

struct digest audit_hash(const struct digest *previous, const struct audit_event *e)
{
    struct digest_stream *s = digest_begin();
    add_field(s, str_of(previous->b, sizeof previous->b));
    add_field(s, str_from(e->project_id));
    add_number(s, e->seq);
    add_number(s, e->at);
    add_field(s, str_from(e->actor));
    add_field(s, str_from(e->action));
    add_field(s, str_from(e->subject));
    add_field(s, str_from(e->request_id));
    add_field(s, e->address);
    add_field(s, e->facts);
    return digest_end(s);
}

enum fail audit_append(struct db *db, const char *project_id, const char *actor, const char *action,
                       const char *subject, const char *request_id, str address, json_t *facts,
                       struct fault *fault)
{
    assert(db_is_in_transaction(db));
    char *text AUTOFREE = facts != NULL ? jsonx_dump(facts, NULL) : NULL;
    struct audit_event e = {.at = clock_real_ms(),
                            .project_id = project_id,
                            .actor = actor,
                            .action = action,
                            .subject = subject,
                            .request_id = request_id,
                            .address = address,
                            .facts = str_from(text)};
    struct digest previous;
    enum fail f = catalog_query_audit_head(db, project_id, &e.seq, &previous, fault);
    if (f != FAIL_NONE)
        return f;
    ++e.seq;
    struct digest hash = audit_hash(&previous, &e);
    return catalog_query_audit_insert(db, &e, &hash, fault);
}

// Whether the row continues the chain, whose end then is its own hash.
static bool continues(const struct db_rows *rows, size_t row, const char *project_id,
                      int64_t expected, struct digest *end)
{
    struct audit_event e = {.seq = db_get_int(rows, row, 0),
                            .at = db_get_int(rows, row, 1),
                            .project_id = project_id,
                            .actor = db_get(rows, row, 2).p,
                            .action = db_get(rows, row, 3).p,
                            .subject = db_get(rows, row, 4).p,
                            .request_id = db_get(rows, row, 5).p,
                            .address = db_get(rows, row, 6),
                            .facts = db_get(rows, row, 7)};
    size_t n = 0;
    uint8_t *stored AUTOFREE = db_get_bytes(rows, row, 8, &n);
    *end = audit_hash(end, &e);
    return e.seq == expected && n == sizeof end->b && memcmp(stored, end->b, n) == 0;
}

enum fail audit_verify(struct db *db, const char *project_id, int64_t *ret_bad, struct fault *fault)
{
    int64_t seen = 0, head_seq = 0;
    struct digest end = digest_sha256(str_from(project_id)), head_hash;
    enum fail f = catalog_query_audit_head(db, project_id, &head_seq, &head_hash, fault);
    while (f == FAIL_NONE) {
        DB_ROWS_AUTO rows = NULL;
        f = catalog_query_audit_rows(db, project_id, seen, VERIFY_AT_ONCE, &rows, fault);
        size_t n = db_count(rows);
        for (size_t i = 0; i != n; ++i) {
            if (!continues(rows, i, project_id, ++seen, &end)) {
                *ret_bad = seen;
                return FAIL_NONE;
            }
        }
        if (f == FAIL_NONE && n < VERIFY_AT_ONCE)
            break;
    }
    if (f != FAIL_NONE)
        return f;
    *ret_bad = seen == head_seq && digest_eq(&end, &head_hash) ? 0 : seen + 1;
    return FAIL_NONE;
}
