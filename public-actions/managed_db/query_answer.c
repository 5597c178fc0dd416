// What a handler gets, written as it arrives: {"rows":[…],"columns":[…],"rowCount":n,
// "truncated":b,"executionTimeMs":n}, or an error.
#include "public-actions/managed_db/query_internal.h"
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"

enum {
    ROWS_BYTES = 5 * 1024 * 1024,        // of rows, as JSON
    REST_BYTES = 4 * 1024 * 1024 + 1024, // columns and numbers
};

void managed_db_answer_begin(struct managed_db_query *q)
{
    q->began_us = clock_monotonic_us();
    buf_init(&q->answer, ROWS_BYTES + REST_BYTES);
    buf_add(&q->answer, STR("{\"rows\":["));
}

static void learn_columns(struct managed_db_query *q, const PGresult *r)
{
    if (q->has_rows || PQnfields(r) == 0)
        return;
    managed_db_columns_init(&q->columns, r);
    q->has_rows = true;
}

// False when it is too much.
static bool add_row(struct managed_db_query *q, const PGresult *r, int row)
{
    size_t before = q->answer.n;
    if (q->rows == q->args.max_rows)
        return false;
    if (q->rows != 0)
        buf_addc(&q->answer, ',');
    managed_db_row_write(&q->columns, r, row, &q->answer);
    if (q->answer.full || q->answer.n > ROWS_BYTES) {
        q->answer.n = before;
        q->answer.full = false;
        return false;
    }
    ++q->rows;
    return true;
}

void managed_db_answer_rows(struct managed_db_query *q, const PGresult *r)
{
    learn_columns(q, r);
    for (int i = 0; i != PQntuples(r) && !q->is_cut && !q->has_error; ++i)
        q->is_cut = !add_row(q, r, i);
}

static void end(struct managed_db_query *q, uint64_t count)
{
    struct buf *to = &q->answer;
    buf_add(to, STR("],\"columns\":"));
    managed_db_columns_write(&q->columns, to);
    buf_addf(to, ",\"rowCount\":%llu,\"truncated\":%s,\"executionTimeMs\":%llu}",
             (unsigned long long)count, q->is_cut ? "true" : "false",
             (unsigned long long)((clock_monotonic_us() - q->began_us + 500) / 1000));
    q->has_answer = true;
    q->outcome = MANAGED_DB_ANSWERED;
}

void managed_db_answer_end(struct managed_db_query *q, PGresult *r)
{
    if (q->has_error)
        return;
    managed_db_answer_rows(q, r);
    uint64_t count = q->rows;
    (void)str_to_u64(str_from(PQcmdTuples(r)), INT64_MAX, &count);
    end(q, count);
}

void managed_db_answer_break(struct managed_db_query *q)
{
    if (!q->has_error)
        end(q, q->rows);
}

// Whatever was written before gives way.
static bool begin_error(struct managed_db_query *q, enum managed_db_outcome outcome)
{
    if (q->has_error)
        return false;
    q->has_answer = q->has_error = true;
    q->outcome = outcome;
    buf_fini(&q->answer);
    buf_init(&q->answer, REST_BYTES);
    return true;
}

void managed_db_answer_error(struct managed_db_query *q, enum managed_db_outcome outcome,
                             const char *code, const char *message)
{
    if (!begin_error(q, outcome))
        return;
    buf_add(&q->answer, STR("{\"message\":"));
    jsonx_add_string(&q->answer, str_from(message));
    buf_addf(&q->answer, ",\"code\":\"%s\"}", code);
}

void managed_db_answer_pg_error(struct managed_db_query *q, const PGresult *r)
{
    if (begin_error(q, MANAGED_DB_REFUSED))
        managed_db_error_write(r, &q->answer);
}
