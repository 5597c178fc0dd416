// What was run: a row per run with its outcome, times and log lines, the heartbeat events it
// raised, and their deliveries to subscribers. A run that raises an event is committed, with its
// events and deliveries in one transaction, before its visitor is answered (group commit, ≤ 5 ms);
// all other runs are written in batches after the answer, and the last second of those may be lost
// in a crash. Deliveries wait in the same database (an outbox): at least once, signed, retried with
// backoff for 24 h, each with an id to deduplicate by.
#ifndef STOA_RUNS_RUNS_H
#define STOA_RUNS_RUNS_H
#include <jansson.h>
#include "edge/base/token.h"
#include "edge/catalog/catalog.h"
#include "edge/http/service.h"
#include "edge/loop/loop.h"
#include "edge/store/migrate.h"

enum run_source { RUN_PUBLIC, RUN_WIDGET, RUN_TOOL, RUN_SOURCES };

// One run's record. Made and filled on one loop thread, given away whole by runs_record. Text is
// the record's own (malloc'ed by run_record_create's buffers), so that it may outlive its request.
struct run_record {
    char id[CATALOG_ID_ROOM];
    char instance_id[CATALOG_ID_ROOM], plugin_id[CATALOG_ID_ROOM], project_id[CATALOG_ID_ROOM];
    char deployment_id[27];
    char action[65];
    char request_id[TOKEN_REQUEST_ID_ROOM];
    char visitor[46]; // address; "" for owner's runs
    char actor[CATALOG_ID_ROOM + 8];
    enum run_source source;
    bool is_preview;
    const char *outcome; // one of run_outcomes
    int64_t started_at;  // real ms
    uint32_t queued_ms, ran_ms;
    uint32_t input_bytes, output_bytes;
    uint32_t queries, fetches;
    struct buf log;   // JSON lines: ["level","text"], one a line; bounded by plugin.h
    struct buf error; // a JSON object {"name","message","line","column","stack"}, or empty
    struct buf
        facts; // JSON: {"fetches":[{"method","host","status","ms"}],"notices":[…],"noticesLeftOut":n}
    struct buf payload; // events: what subscribers are sent, a JSON object; empty: no event
    json_t *events;     // ids of the heartbeat events it raised (an array of strings), or NULL
};
// Bounds of a record's text; over them the text is cut and, where it is JSON lines, says so.
enum {
    RUN_LOG_MAX = 320 * 1024, // plugin.h's 256 KiB of text, packed
    RUN_ERROR_MAX = 32 * 1024,
    RUN_FACTS_MAX = 64 * 1024,
    RUN_PAYLOAD_MAX = 256 * 1024, // over it subscribers are sent {"truncated":true}
    RUN_EVENTS_MAX = 20,          // events one run may raise
};
// With an id of its own, empty buffers of these bounds, everything else zero.
struct run_record *run_record_create(void);
void run_record_destroy(struct run_record *r); // takes NULL

// What a record's outcome may be; the last is NULL.
extern const char *const run_outcomes[];
bool run_outcome_is_known(str outcome);

// Which heartbeat events a successful run of `action` raises: the ids of those in the manifest
// (`front`'s manifest.heartbeatEvents.events[]) that are enabled and have a matcher of this source
// and action, each once, RUN_EVENTS_MAX at most. A new array, or NULL when there are none. What has
// not the manifest's form matches nothing. Pure; any thread.
json_t *run_events_match(const json_t *front, enum run_source source, str action);

// Takes the record, in every case. `on_kept` (may be NULL): posted to `loop` once the transaction is
// committed or has failed; only runs with events are waited for. Any thread; never blocks. A bounded
// queue: over it, runs without events are dropped and counted, runs with events answer FAIL_BUSY at
// once in `kept->fail`. Runs that nobody waits for fill three quarters of it, one project's a quarter.
struct run_kept {
    struct loop_message message;
    enum fail fail;
};
// A log of more than 4 KiB that is over its project's part of the day is left out, and says so.
void runs_record(struct run_record *r, struct loop *loop, struct run_kept *on_kept);

struct runs_options {
    const char *database;
    uint64_t keep_days, keep_rows; // per instance; events are kept as long
    uint64_t log_bytes_per_day;    // of a project's runs; 0: unbounded
    // What its owner wants: fewer days than that, or 0. NULL: nobody is asked. Pool threads.
    uint32_t (*keep_days_of)(struct db *db, const char *instance_id);
    uint64_t delivery_timeout_ms; // for one attempt; 0: 15 s
    uint64_t delivery_retry_ms;   // before the second attempt, then growing; 0: 5 s
    uint64_t delivery_give_up_ms; // after the event; 0: 24 h
};
// Process start. The strings are copied. Subscriptions' secrets are sealed: seal_init before the
// first request.
void runs_init(const struct runs_options *o);
void runs_start(void);              // after the pool: the writer's and the deliverer's threads
void runs_stop(void);               // writes what is queued (≤ 5 s)
void runs_collect(void);            // scheduler, every few minutes: retention, on a pool thread
struct service *runs_service(void); // the owner's view (contract §4), subscriptions, streams
// A commit of runs or events on any node (NOTIFY "stoa_runs"): wakes streams. Listener thread.
void runs_on_notice(str payload);
void runs_on_listener_back(void); // notices may have been missed
void runs_metrics(struct buf *to);
extern const struct migration runs_migrations[];
extern const size_t runs_migration_count;
#endif
