// The handler runs on the thread that touched the page, which holds the mapping open meanwhile, so
// that its slot stands still; others come and go. In its place it puts pages of zeros, and the
// instruction is tried again.
#include "edge/base/mapped.h"
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>

enum { PAGE = 4096 }; // or more: a touch too many does no harm

static struct slot {
    _Atomic uintptr_t begin; // 0: free
    _Atomic uintptr_t end;
    atomic_bool is_broken;
} slots[MAPPED_MOST];
static atomic_size_t next_slot; // where to look first

static struct slot *slot_at(uintptr_t address)
{
    for (size_t i = 0; i != MAPPED_MOST; ++i) {
        uintptr_t begin = atomic_load(&slots[i].begin);
        if (begin != 0 && begin <= address && address < atomic_load(&slots[i].end))
            return &slots[i];
    }
    return NULL;
}

static void on_bus_error(int signal_number, siginfo_t *info, void *context)
{
    int kept = errno;
    struct slot *s = slot_at((uintptr_t)info->si_addr);
    if (s == NULL) { // not of ours: it happens again, and ends the process
        signal(signal_number, SIG_DFL);
        return;
    }
    uintptr_t begin = atomic_load(&s->begin);
    atomic_store(&s->is_broken, true);
    if (mmap((void *)begin, atomic_load(&s->end) - begin, PROT_READ,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        signal(signal_number, SIG_DFL);
    errno = kept;
}

void mapped_init(void)
{
    struct sigaction a = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
    sigaction(SIGBUS, &a, NULL);
}

// Taken by its `end`, found by its `begin`: a slot is seen when both are there.
static bool take_slot(uintptr_t begin, size_t n, size_t *ret)
{
    for (size_t tries = 0; tries != MAPPED_MOST; ++tries) {
        size_t i = atomic_fetch_add(&next_slot, 1) % MAPPED_MOST;
        uintptr_t none = 0;
        if (!atomic_compare_exchange_strong(&slots[i].end, &none, begin + n))
            continue;
        atomic_store(&slots[i].is_broken, false);
        atomic_store(&slots[i].begin, begin);
        *ret = i;
        return true;
    }
    return false;
}

int mapped_open(struct mapped *m, int fd, size_t n)
{
    void *p = mmap(NULL, n, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (p == MAP_FAILED)
        return errno;
    if (!take_slot((uintptr_t)p, n, &m->_slot)) {
        munmap(p, n);
        return ENOMEM;
    }
    m->p = p;
    m->n = n;
    return 0;
}

void mapped_close(struct mapped *m)
{
    struct slot *s = &slots[m->_slot];
    munmap((void *)m->p, m->n);
    atomic_store(&s->begin, 0);
    atomic_store(&s->end, 0);
    m->p = NULL;
}

bool mapped_has(const struct mapped *m, const char *p, size_t n)
{
    const volatile char *at = p;
    for (size_t i = 0; i < n; i += PAGE)
        (void)at[i];
    if (n != 0)
        (void)at[n - 1];
    return !atomic_load(&slots[m->_slot].is_broken);
}
