// Pool threads, in lanes: work that may block. Each lane has its own threads and its own bounded
// queue, so that a slow deploy delays no page load. A pool thread owns its database connection
// (edge/store/db: db_of_thread).
#ifndef STOA_LOOP_POOL_H
#define STOA_LOOP_POOL_H
#include "edge/base/fail.h"
#include "edge/loop/loop.h"

enum lane {
    LANE_API,      // management endpoints
    LANE_INGEST,   // deploys, compression
    LANE_LOAD,     // cold apps and file bytes for the serving cache
    LANE_FILES,    // visitors' uploads, handlers' files
    LANE_DOMAINS,  // what waits for DNS
    LANE_EXCHANGE, // strangers' provisioning tokens: signatures are checked here and nowhere else
    LANE_DATA,     // owners' looks at plugins' tables: they wait for strangers' SQL
    LANES
};

// Embed it. `run` is called once on a pool thread; then, if `done` is set, `done` on the loop that
// posted (or, posted from no loop, on the same pool thread). The memory is the poster's again with
// the last of the two, which may free it.
struct job {
    void (*run)(struct job *j);
    void (*done)(struct job *j);
    struct loop *_origin;
    struct job *_next;
    struct loop_message _back;
};

void pool_start(const unsigned threads[LANES], size_t queue_max);
// FAIL_BUSY when the lane's queue is full: nothing was taken. Any thread.
enum fail pool_post(enum lane lane, struct job *j) MUST_CHECK;
// Waits until every queue is empty and every thread idle, or the time is over; then no job is taken
// any more.
bool pool_drain(uint64_t timeout_ms);
size_t pool_queued(enum lane lane);
#endif
