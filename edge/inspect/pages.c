// Files' pages are not copied to a fork: it would take a fault for each 64 KiB of code that it runs,
// and drop as many entries at its end. Measured: 15 faults, 45 of 165 microseconds a file.
#include "edge/inspect/pages.h"
#include <elf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 * 1024 * 1024 };

static size_t round_up(size_t n)
{
    return (n + HUGE_PAGE - 1) & ~(size_t)(HUGE_PAGE - 1);
}

char *pages_huge(size_t size)
{
    size_t room = round_up(size);
    char *p =
        mmap(NULL, room + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    p = (char *)round_up((uintptr_t)p);
    return madvise(p, room, MADV_HUGEPAGE) == 0 ? p : NULL;
}

// This file's own header; the linker's.
extern const Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden")));

static const Elf64_Phdr *segments(void)
{
    return (const Elf64_Phdr *)((const char *)&__ehdr_start + __ehdr_start.e_phoff);
}

// Whether nothing else is in the huge pages that it begins in and fills.
static bool has_its_own_pages(const Elf64_Phdr *of)
{
    Elf64_Addr end = of->p_vaddr + round_up(of->p_memsz);
    for (const Elf64_Phdr *s = segments(); s != segments() + __ehdr_start.e_phnum; ++s)
        if (s->p_type == PT_LOAD && s->p_vaddr > of->p_vaddr && s->p_vaddr < end)
            return false;
    return of->p_align >= HUGE_PAGE;
}

// The same bytes at the same place throughout: this runs in them.
static void move(char *at, size_t size)
{
    size_t room = round_up(size);
    char *copy = pages_huge(size);
    if (copy == NULL)
        return;
    memcpy(copy, at, size);
    if (mprotect(copy, room, PROT_READ | PROT_EXEC) != 0 ||
        mremap(copy, room, room, MREMAP_MAYMOVE | MREMAP_FIXED, at) == MAP_FAILED)
        abort();
}

// The one segment with the header, code and constants (-z noseparate-code).
void pages_settle(void)
{
    const Elf64_Phdr *s = segments();
    while (s->p_type != PT_LOAD)
        ++s;
    char *at = (char *)&__ehdr_start;
    if (s->p_flags == (PF_R | PF_X) && (uintptr_t)at % HUGE_PAGE == 0 && has_its_own_pages(s))
        move(at, s->p_memsz);
}
