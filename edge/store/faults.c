// Counting calls down to the one that is to fail.
#include "edge/store/faults.h"
#ifdef STOA_FAULTS
#include <stdatomic.h>
#include <stdlib.h>
#include "edge/base/str.h"

// Calls left before the one that fails; 0: none is armed; UNREAD: the environment has not been
// asked.
#define UNREAD (-1L)
static _Atomic long left = UNREAD;
static _Atomic bool have_fired;

static long from_environment(void)
{
    uint64_t n = 0;
    const char *value = getenv("STOA_FAULT_NTH");
    return value != NULL && str_to_u64(str_from(value), 1000000000, &n) ? (long)n : 0;
}

void faults_at(unsigned long n)
{
    have_fired = false;
    left = (long)n;
}

bool faults_have_fired(void)
{
    return have_fired;
}

bool faults_due(void)
{
    long now = left;
    if (now == UNREAD) {
        long armed = from_environment();
        atomic_compare_exchange_strong(&left, &now, armed);
        now = left;
    }
    while (now > 0 && !atomic_compare_exchange_weak(&left, &now, now - 1))
        ;
    if (now == 1)
        have_fired = true;
    return now == 1;
}
#else
typedef int faults_are_off; // a file is not empty
#endif
