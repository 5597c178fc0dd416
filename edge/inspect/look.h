// What a single file is, by its bytes: libmagic's word where libmagic can be believed, a zip file's
// directory, and our own look for what a browser or a system would run. Part of
// stoa-inspect-files; opens nothing and makes no system call, so that a test or a fuzzer can run it
// in its own process, and the caged process can run it when it may only read and write.
//
// How much of a file is looked at: 16 KiB of any; a JSON text up to 1 MiB and an
// old Office file up to LOOK_WHOLE_MAX whole; SVG and XML to their end; a zip file's end and its
// directory. What hides behind that is served as what the file was taken for, and never sniffed.
#ifndef STOA_INSPECT_LOOK_H
#define STOA_INSPECT_LOOK_H
#include "edge/inspect/inspect.h"

enum {
    LOOK_TEXT = 16 * 1024,                // of text, at least
    LOOK_JSON = 1024 * 1024,              // longer ones are text/plain
    LOOK_WHOLE_MAX = 16 * 1024 * 1024,    // longer ones are not looked into
    LOOK_DIRECTORY_MAX = 2 * 1024 * 1024, // of a zip file
};

struct look_io {
    uint64_t size; // of the file
    char *head;    // room for LOOK_WHOLE_MAX bytes
    size_t have;   // of them there are by now; at first the smaller of `size` and 16 KiB
    // Brings n bytes at `offset`, which are in the file, to `to`; false when no more will come.
    bool (*pull)(struct look_io *io, uint64_t offset, size_t n, char *to);
};

// Once per process, before anything is read: the database, and memory enough for any file, since
// malloc may not ask for more later. False when there is no database.
bool look_warm_up(void);
// False when nobody sends the bytes any more.
bool look_file(struct look_io *io, struct inspect_seen *ret);
#endif
