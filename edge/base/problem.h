// A list of everything that is wrong with one file (a .pie, an archive, a settings file), each with
// the place it was seen at, so that a person can mend all of it at once. Owned by the caller; any
// one thread at a time.
#ifndef STOA_BASE_PROBLEM_H
#define STOA_BASE_PROBLEM_H
#include <jansson.h>
#include "edge/base/str.h"

enum { PROBLEMS_MAX = 100 }; // further ones are counted only

struct problem {
    unsigned line, column; // from 1; 0 = not known
    char section[96];      // "manifest", "public-file:app.js", …; "" = the file as a whole
    char message[320];     // a sentence; bytes of strangers in it are escaped
};

struct problems {
    struct problem *list; // in the order found
    size_t count;         // in the list, at most PROBLEMS_MAX
    size_t left_out;
};

void problems_init(struct problems *ps);
void problems_fini(struct problems *ps);
// `section` is cut at its room.
void problems_add(struct problems *ps, unsigned line, unsigned column, const char *section,
                  const char *format, ...) __attribute__((format(printf, 5, 6)));
// `s` in double quotes for a message: readable Unicode stays, controls (C0, C1, bidi, line and
// paragraph separators), quotes, backslashes and invalid UTF-8 are escaped, and it is cut with "…"
// at a character's border to fit `room`, at least 16. Returns `to`.
const char *problem_quote(char *to, size_t room, str s);
#define QUOTED(s) problem_quote((char[128]){0}, 128, (s))
// Sorts by line, then by the order found.
void problems_sort(struct problems *ps);
// [{"line","column"?,"section","message"}], a new reference; line is left out where it is not
// known.
json_t *problems_json(const struct problems *ps);
#endif
