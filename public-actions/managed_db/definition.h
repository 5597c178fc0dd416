// A column's definition in a manifest: a type, and what may follow it. Strangers' SQL, which only
// ever runs as the plugin's own role; read here as far as it takes to say early what cannot be one
// column, and to tell the type from the rest. Pure.
#ifndef STOA_MANAGED_DB_DEFINITION_H
#define STOA_MANAGED_DB_DEFINITION_H
#include "edge/base/str.h"

// NULL, or a sentence about what is wrong: no type at its start, open quotes or parentheses,
// comments, `;`, a `,` outside of parentheses.
const char *managed_db_definition_problem(str definition);
// The type at its start: "numeric(10,2)", "text[]"; what a serial makes, for a serial. Borrows.
str managed_db_definition_type(str definition);
#endif
