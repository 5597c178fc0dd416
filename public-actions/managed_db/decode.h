// What PostgreSQL answers on its way to a handler: rows as JSON objects, typed as users of
// node-postgres know them after JSON.stringify, and errors. Written straight from the PGresult.
//
//   bool                            true, false
//   int2 int4 oid float4 float8     numbers; NaN and the infinities null
//   int8 numeric                    strings: a double would lose digits
//   json jsonb                      the value itself
//   date timestamp timestamptz      "2026-11-22T10:20:30.123Z", UTC; the infinities null
//   bytea                           base64
//   arrays of these and of texts    arrays, nested by dimension
//   all else                        its text
#ifndef STOA_MANAGED_DB_DECODE_H
#define STOA_MANAGED_DB_DECODE_H
#include <libpq-fe.h>
#include "edge/base/str.h"

// The columns of one statement's rows: how each is written, and its name as JSON.
struct managed_db_columns {
    int count;
    struct managed_db_column {
        Oid type;
        bool is_hidden;     // another one behind it has the same name
        uint32_t key, size; // in `keys`: `"name":`
    } * list;
    struct buf keys;
};
void managed_db_columns_init(struct managed_db_columns *c, const PGresult *r);
void managed_db_columns_fini(struct managed_db_columns *c); // takes a zeroed one
// ["a","b"], all of them.
void managed_db_columns_write(const struct managed_db_columns *c, struct buf *to);
// The row as an object: of columns with the same name the last.
void managed_db_row_write(const struct managed_db_columns *c, const PGresult *r, int row,
                          struct buf *to);
// One value of that type, in text form.
void managed_db_value_write(Oid type, str text, struct buf *to);
// {"message","code","position"?,"detail"?,"hint"?,"schema"?,"table"?,"column"?,"constraint"?} of a
// failed result, each member at most 4 KiB.
void managed_db_error_write(const PGresult *r, struct buf *to);

// decode_array.c: an array literal of such elements; false, with nothing written, when it is none.
bool managed_db_array_write(Oid element, str literal, struct buf *to);
// decode_time.c: a date, timestamp or timestamptz in ISO style; false, with nothing written, when
// it is none.
bool managed_db_time_write(str text, struct buf *to);
#endif
