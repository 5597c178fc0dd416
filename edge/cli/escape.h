// Text of strangers (an app's name, a file's path, the server's own sentences) made safe for a
// terminal: C0, DEL, C1, line separators, bidi controls and invalid UTF-8 become visible escapes,
// so that no name can move the cursor, set a title or reverse the line it stands on
// (security-rules.md 28).
#ifndef STOA_CLI_ESCAPE_H
#define STOA_CLI_ESCAPE_H
#include <stdio.h>
#include "edge/base/str.h"

// Decodes one scalar value at `s` (s.n is not 0). Returns its length, or 0 when the first byte
// begins none.
size_t escape_decode(str s, uint32_t *ret_scalar);
// `s` with every dangerous character as \n, \t, \r, \xNN (a byte) or \u{NNNN} (a character).
void escape_add(struct buf *to, str s);
// The same on a stream.
void escape_print(FILE *to, str s);
// Columns that text without dangerous characters takes on a terminal.
size_t escape_width(str s);
#endif
