// Making the n-th call of the database or the blob store fail, in debug and sanitizer builds only:
// tests count n up until the request succeeds, and look for leaks, hangs and odd statuses on the
// way. The count is the process's. STOA_FAULT_NTH in the environment arms it at the first call. Any
// thread.
#ifndef STOA_STORE_FAULTS_H
#define STOA_STORE_FAULTS_H
#include <stdbool.h>

#ifdef STOA_FAULTS
// The n-th call from now fails, once; 0: none does.
void faults_at(unsigned long n);
// Whether the call that faults_at armed has been reached.
bool faults_have_fired(void);
// For edge/store: counts this call; true when it is the one to fail.
bool faults_due(void);
#else
static inline bool faults_due(void)
{
    return false;
}
#endif
#endif
