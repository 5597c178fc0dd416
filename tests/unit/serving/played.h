// Two loops and a pool, played by the test: messages and jobs stand in queues until the test runs
// them, so that every order of events can be had.
#ifndef STOA_TESTS_PLAYED_H
#define STOA_TESTS_PLAYED_H
#include "edge/loop/pool.h"

enum { PLAYED_LOOPS = 2 };

// Whoever calls into the code under test does so as this loop; NULL: some other thread.
void play_as(struct loop *loop);
struct loop *played_loop(unsigned index);
// Runs the messages of one loop, or of all until nothing is left.
void play_messages(struct loop *loop);
bool play_job(void); // the oldest; false: there is none
void play_all(void); // jobs and messages until nothing is left
size_t played_jobs(void);
void play_time(uint64_t ms); // moves the clock on
void play_pool_is_full(bool is_full);
#endif
