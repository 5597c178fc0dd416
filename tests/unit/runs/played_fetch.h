// Subscribers without a network: what fetch_start is given is kept, and answered as the test says.
#ifndef STOA_TESTS_RUNS_PLAYED_FETCH_H
#define STOA_TESTS_RUNS_PLAYED_FETCH_H
#include "edge/client/fetch.h"

struct played_request {
    char url[256], id[64], timestamp[32], signature[64];
    char *body;
    uint64_t at_ms;
    unsigned redirects;
    char project_id[40];
};
enum { PLAYED_MAX = 4096 };
extern struct played_request played[PLAYED_MAX];

// The answer to a request: a status, or 0 for "not yet": it is answered by played_release, or never.
void played_answer(unsigned (*answer)(const struct played_request *r));
unsigned played_count(void);          // requests so far
unsigned played_most(void);           // most under way at the same time
void played_release(unsigned status); // answers all that wait
void played_clear(void);
#endif
