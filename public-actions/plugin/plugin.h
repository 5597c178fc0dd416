// The one way to call a plugin's handler: runs, on the project's owner loop, in caged workers that
// belong to one instance each. Everything here happens on that loop's thread unless it says
// otherwise; whoever stands on another loop sends the owner a message first.
//
// A run waits in its plugin's queue, is given to the instance's worker (started, loaded and killed
// here), and ends with exactly one on_done. What the handler asks for meanwhile (context.…) comes
// as on_bridge, one question at a time, and is answered by plugin_reply, at once or later. Timers
// (setTimeout) are answered here.
#ifndef STOA_PLUGIN_PLUGIN_H
#define STOA_PLUGIN_PLUGIN_H
#include "edge/base/fail.h"
#include "edge/base/problem.h"
#include "edge/cage/cage.h"
#include "edge/catalog/catalog.h"
#include "edge/loop/loop.h"
#include "edge/loop/shared.h"

// One deployment's code as one instance runs it. Immutable, counted. Two handlers are the same when
// instance and deployment are: the worker stays; another deployment of the instance replaces it.
struct handler {
    struct shared shared;
    char instance_id[CATALOG_ID_ROOM], plugin_id[CATALOG_ID_ROOM];
    char project_id[CATALOG_ID_ROOM]; // of the instance: whose loop it is run on
    char deployment_id[27];
    str code;
    uint32_t first_line; // of the code in the file it came from; 0: 1
    bool is_fresh;       // runtime.isolation: request
};

// The loop that holds a project's workers, queues and connections. Any thread.
struct loop *plugin_owner_loop(const char *project_id);

enum plugin_outcome {
    PLUGIN_RETURNED,
    PLUGIN_THREW,         // meta.error says what
    PLUGIN_TIMED_OUT,     // the deadline, or busy for too long: 504 handler_timeout
    PLUGIN_CRASHED,       // the worker died: 502 handler_crashed
    PLUGIN_OUT_OF_MEMORY, // 502 handler_out_of_memory
    PLUGIN_TOO_LARGE,     // the result is over WORKER_RESULT_MAX: 502 handler_error
    PLUGIN_NOT_LOADED,    // the code could not be loaded; meta.error says why: 502 handler_error
    PLUGIN_BUSY,          // queue full, or no worker to be had: 503 busy
};

struct plugin_answer {
    enum plugin_outcome outcome;
    str meta; // a JSON object (protocol.h, WORKER_RESULT), checked to be one; may be empty
    str data; // one JSON value, checked to be valid UTF-8 JSON; empty: undefined
    uint64_t queued_us, ran_us;
};

struct plugin_run;
struct plugin_run_calls {
    // The handler called context.<op>(args…). `op` and `args` (a JSON array without the op, checked
    // to be one) are valid during the call only. `call` is 0 when no reply is wanted; else exactly
    // one plugin_reply or plugin_reply_error follows, unless the run ends first: on_done must drop
    // what is still under way.
    void (*on_bridge)(struct plugin_run *run, uint32_t call, str op, str args);
    // A line of console output; level is one of log info warn error debug. Capped here: 1,000 lines
    // and 256 KiB a run, then one line that says so.
    void (*on_log)(struct plugin_run *run, str level, str text);
    // Once, last; the answer is borrowed. The run's memory is its owner's again.
    void (*on_done)(struct plugin_run *run, const struct plugin_answer *answer);
};

// Embed it; zero it; fill in the first part.
struct plugin_run {
    struct handler *handler; // a reference is taken while it runs
    const struct plugin_run_calls *calls;
    struct buf call;     // the body of WORKER_CALL, at most WORKER_TO_MAX; taken
    uint32_t timeout_ms; // of wall clock, from when it leaves the queue
    bool is_retryable;   // may be begun again on another worker while it has made no bridge call
    struct plugin_run_state {
        void *instance, *worker, *first_timer;
        struct plugin_run *next, *previous;
        struct loop_timer deadline; // of its run, or of its wait
        uint64_t queued_at_us, started_at_us, in_flight_bytes;
        uint32_t id, bridge_calls, last_call, in_flight, log_lines, log_bytes, timers;
        unsigned step, outcome;
        bool is_hot, is_crowded, was_retried;
    } _;
};

// Values in what stands beside an answer: to read so many takes a loop 3 to 5 ms.
enum { PLUGIN_META_VALUES_MAX = 20000 };
enum { PLUGIN_SPARES_MAX = 16 };
// Where blank workers come from, and how they go.
struct plugin_source {
    enum fail (*start)(struct cage_worker *ret, struct fault *fault); // blocking
    void (*kill)(const struct cage_worker *worker); // its socket was closed already
};

struct plugin_options {
    uint64_t worker_memory;  // bytes of heap a worker may take (RLIMIT_AS above its start), 256 MiB
    uint64_t workers_memory; // bytes all workers together may take (PSS as far as it is known)
    uint64_t busy_ms;        // busy without answering, or loading: 10,000
    uint64_t queue_runs;     // runs waiting, per plugin
    uint64_t spares;         // blank workers kept ready, per process; at most PLUGIN_SPARES_MAX
    const struct plugin_source *source; // NULL: cage_start and cage_kill
};

// Process start; the options are kept. on_loop_start is called on every loop's thread.
void plugin_init(const struct plugin_options *o);
void plugin_on_loop_start(struct loop *loop);
// A caged process ended (any thread; told by the supervisor).
void plugin_on_worker_ended(uint32_t number, int status);

// Queues the run; a run that has waited for 30 s is told PLUGIN_BUSY. on_done is never called from
// inside. Owner loop.
void plugin_start(struct plugin_run *run);
// When its time is over, in ms of loop_now. Owner loop, while it runs.
uint64_t plugin_run_ends_at(const struct plugin_run *run);
// `json`: one JSON value made by us, or "" for undefined; borrowed.
void plugin_reply(struct plugin_run *run, uint32_t call, str json);
// The same for an object of ours with a member "body", which is `text`: any bytes, of which those
// that are no UTF-8 become U+FFFD.
void plugin_reply_with_text(struct plugin_run *run, uint32_t call, str json, str text);
// Becomes an Error with that message and, when not NULL, `code`, in the handler.
void plugin_reply_error(struct plugin_run *run, uint32_t call, const char *code, str message);
// The same with more members: `json` is an object {"message","code"?,…} made by us; borrowed.
void plugin_reply_failure(struct plugin_run *run, uint32_t call, str json);

// Whether this code can be loaded, tried in a blank worker: what is wrong is added to `problems`
// (section "handler", line and column in the file). Blocking; pool thread of LANE_INGEST. FAIL_BUSY
// when no worker is to be had, FAIL_REFUSED when there is a problem.
enum fail plugin_check(str code, unsigned first_line, struct problems *problems,
                       struct fault *fault) MUST_CHECK;
// Prometheus lines.
void plugin_metrics(struct buf *to);
#endif
