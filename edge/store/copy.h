// Rows in PostgreSQL's binary COPY format (its documentation, "COPY", "Binary Format"), for db_copy: a
// header, rows of columns in the order the statement names them, a trailer. Pure.
#ifndef STOA_STORE_COPY_H
#define STOA_STORE_COPY_H
#include "edge/base/str.h"

void db_copy_begin(struct buf *b);
void db_copy_row(struct buf *b, unsigned columns); // so many columns follow
void db_copy_text(struct buf *b, str s);           // text, bytea
void db_copy_bool(struct buf *b, bool v);
void db_copy_int4(struct buf *b, uint32_t v); // cut to what an integer holds
void db_copy_int8(struct buf *b, int64_t v);
void db_copy_time(struct buf *b, int64_t real_ms);  // timestamptz
void db_copy_uuid(struct buf *b, const char *text); // as people write it; must be one
void db_copy_end(struct buf *b);
// PostgreSQL's own count of time: microseconds since 2000.
int64_t db_copy_microseconds(int64_t real_ms);
#endif
