// Files of our own, read through a mapping: what the disk cannot give any more, because it fails or
// the file was cut, would end the process with SIGBUS at the first touch. Here it ends the mapping
// alone: it reads as zeros from then on, and says so. Any thread.
#ifndef STOA_BASE_MAPPED_H
#define STOA_BASE_MAPPED_H
#include <stdbool.h>
#include <stddef.h>

enum { MAPPED_MOST = 16384 }; // at once; a process has 65,530 mappings of any kind

struct mapped {
    const char *p; // n bytes
    size_t n;      // not 0
    size_t _slot;
};

// Process start, before the first of them: SIGBUS is ours from then on. One that is about no file of
// these ends the process as ever.
void mapped_init(void);
// The first n bytes of the file, read from the disk already; the descriptor is the caller's to keep
// or close. 0, or an errno (ENOMEM: there are too many).
int mapped_open(struct mapped *m, int fd, size_t n);
void mapped_close(struct mapped *m);
// Whether these bytes of it can be had: they are touched, and nothing of it was found missing.
bool mapped_has(const struct mapped *m, const char *p, size_t n);
#endif
