// What the .c files of the server's half share.
#ifndef STOA_INSPECT_INTERNAL_H
#define STOA_INSPECT_INTERNAL_H
#include "edge/inspect/files_protocol.h"

// files.c: the template of processes for files.
void inspect_files_init(const struct inspect_source *source);
void inspect_files_fini(void);
#endif
