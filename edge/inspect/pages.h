// Memory as a template wants it, whose cost is its forks: what is in one huge page is one entry of a
// page table to copy, and no page fault to the process that reads it. Part of the caged programs.
#ifndef STOA_INSPECT_PAGES_H
#define STOA_INSPECT_PAGES_H
#include <stddef.h>

// Zeroed; never freed. NULL: the kernel has no such pages, or there is no memory.
char *pages_huge(size_t size);
// Moves the program's code and constants to such memory. First thing in main, in a program whose
// segments are aligned to huge pages (-z max-page-size); does nothing in others.
void pages_settle(void);
#endif
