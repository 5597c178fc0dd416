// Reading JSON text in place: what a worker sends, and what PostgreSQL's json columns hold. No tree
// is built: a handler's parameters may be 8 MiB, and numbers keep the digits they were written
// with. A function that takes `rest` leaves it behind what it has read; after false it is anywhere.
// Any thread.
#ifndef STOA_MANAGED_DB_QUERY_JSON_H
#define STOA_MANAGED_DB_QUERY_JSON_H
#include "edge/base/str.h"

// Behind white space: whether the next byte is `c`, which is then read.
bool managed_db_json_eat(str *rest, char c);
// Behind white space: the next byte, not read; '\0' at the end.
char managed_db_json_peek(str *rest);
// Reads one value (RFC 8259), nested at most 500 deep, and gives its text. Bytes above 0x7f are not
// looked at: the caller has checked that the text is UTF-8.
bool managed_db_json_value(str *rest, str *ret);
// The characters of a string's text (with its quotes, as managed_db_json_value gave it), added to
// `to`; a lone surrogate becomes U+FFFD, as in a Buffer of Node's.
void managed_db_json_characters(str string, struct buf *to);
// Whether all of it is one value.
bool managed_db_json_is_valid(str text);
#endif
