// Cells of strangers as CSV (RFC 4180, security-rules.md 28).
#ifndef STOA_CLI_DATA_H
#define STOA_CLI_DATA_H
#include "edge/base/str.h"

// Quoted where it must be; what a spreadsheet would take for a formula begins with an apostrophe,
// numbers excepted.
void data_csv_cell(struct buf *to, str cell);
#endif
