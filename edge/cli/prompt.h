// Secrets from a person or a script: typed without being shown, piped, or out of a file; never an
// argument, which other users of the machine and the shell's history would see.
#ifndef STOA_CLI_PROMPT_H
#define STOA_CLI_PROMPT_H
#include "edge/base/fail.h"

// One line from the terminal that stdin is, without echo and without its end. NULL when there was
// none. To be overwritten and free()d.
char *prompt_line(const char *question);
// The value: `file` when it is not NULL ("-" is stdin), else stdin when that is no terminal, else
// asked for. One line end at its end is left out. `to` sets the limit and is to be given up with
// prompt_forget. FAIL_BAD_INPUT (`no_value`), and the codes of files.h.
MUST_CHECK enum fail prompt_value(const char *question, const char *file, struct buf *to,
                                  struct fault *fault);
void prompt_forget(struct buf *value);
#endif
