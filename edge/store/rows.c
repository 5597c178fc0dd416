// Parameters on their way in, rows on their way out. A db_rows is libpq's own result under our
// name.
#include "edge/store/internal.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/clock.h"

struct db_param db_text(const char *z)
{
    return z != NULL ? (struct db_param){.p = z, .n = (int)strlen(z)} : DB_NULL;
}

struct db_param db_str(str s)
{
    assert(s.n < INT32_MAX);
    return (struct db_param){.p = s.p != NULL ? s.p : "", .n = (int)s.n, ._copy = true};
}

struct db_param db_bytes(str s)
{
    assert(s.n < INT32_MAX);
    return (struct db_param){.p = s.p != NULL ? s.p : "", .n = (int)s.n, .bytes = true};
}

struct db_param db_int(int64_t v)
{
    struct db_param d = {0};
    d.n = snprintf(d._room, sizeof d._room, "%lld", (long long)v);
    return d;
}

struct db_param db_bool(bool v)
{
    return db_text(v ? "t" : "f");
}

struct db_param db_time(int64_t real_ms)
{
    struct db_param d = {.n = CLOCK_RFC3339_ROOM - 1};
    _Static_assert(sizeof d._room >= CLOCK_RFC3339_ROOM, "a time fits");
    clock_rfc3339(real_ms, d._room);
    return d;
}

// libpq wants text NUL-terminated, so that a NUL inside would cut it short unseen.
static bool has_nul(const struct db_param *d)
{
    return d->_copy && memchr(d->p, '\0', (size_t)d->n) != NULL;
}

enum fail db_bound_init(struct bound *b, const struct db_param *params, size_t count,
                        struct fault *fault)
{
    assert(count <= DB_PARAMS_MAX);
    *b = (struct bound){.count = (int)count};
    size_t room = 0;
    for (size_t i = 0; i != count; ++i) {
        if (params[i].n >= 0 && has_nul(&params[i]))
            return fault_set(fault, FAIL_REFUSED, "invalid_text",
                             "Text must not hold NUL characters.");
        room += params[i]._copy ? (size_t)params[i].n + 1 : 0;
    }
    if (room != 0 && (b->copies = malloc(room)) == NULL)
        abort();
    char *copy = b->copies;
    for (size_t i = 0; i != count; ++i) {
        const struct db_param *d = &params[i];
        b->lengths[i] = d->n;
        b->formats[i] = d->bytes;
        b->values[i] = d->n < 0 ? NULL : d->p != NULL ? d->p : d->_room;
        if (!d->_copy)
            continue;
        memcpy(copy, d->p, (size_t)d->n);
        copy[d->n] = '\0';
        b->values[i] = copy;
        copy += d->n + 1;
    }
    return FAIL_NONE;
}

void db_bound_fini(struct bound *b)
{
    free(b->copies);
    b->copies = NULL;
}

static const PGresult *result_of(const struct db_rows *rows)
{
    return (const PGresult *)rows;
}

void db_rows_free(struct db_rows *rows)
{
    PQclear((PGresult *)rows);
}

size_t db_count(const struct db_rows *rows)
{
    return rows != NULL ? (size_t)PQntuples(result_of(rows)) : 0;
}

size_t db_affected(const struct db_rows *rows)
{
    uint64_t n = 0;
    // an empty text, for statements that change nothing, leaves 0
    (void)str_to_u64(str_from(PQcmdTuples((PGresult *)rows)), SIZE_MAX, &n);
    return (size_t)n;
}

bool db_is_null(const struct db_rows *rows, size_t row, size_t column)
{
    assert(row < db_count(rows));
    return PQgetisnull(result_of(rows), (int)row, (int)column) != 0;
}

str db_get(const struct db_rows *rows, size_t row, size_t column)
{
    assert(row < db_count(rows) && column < (size_t)PQnfields(result_of(rows)));
    return str_of(PQgetvalue(result_of(rows), (int)row, (int)column),
                  (size_t)PQgetlength(result_of(rows), (int)row, (int)column));
}

int64_t db_get_int(const struct db_rows *rows, size_t row, size_t column)
{
    return strtoll(db_get(rows, row, column).p, NULL, 10);
}

bool db_get_bool(const struct db_rows *rows, size_t row, size_t column)
{
    return str_eq(db_get(rows, row, column), STR("t"));
}

int64_t db_get_time(const struct db_rows *rows, size_t row, size_t column)
{
    return db_get_int(rows, row, column);
}

static unsigned nibble(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

uint8_t *db_get_bytes(const struct db_rows *rows, size_t row, size_t column, size_t *ret_n)
{
    str hex = db_get(rows, row, column); // "\x0a…", since bytea_output is hex
    size_t n = hex.n >= 2 ? (hex.n - 2) / 2 : 0;
    uint8_t *bytes = malloc(n + 1);
    if (bytes == NULL)
        abort();
    for (size_t i = 0; i != n; ++i)
        bytes[i] = (uint8_t)(nibble(hex.p[2 + 2 * i]) << 4 | nibble(hex.p[3 + 2 * i]));
    *ret_n = n;
    return bytes;
}
