// What the files of this folder share. A loop owns everything here but the spares: a `desk` is a
// loop's, and what hangs below it is touched on its thread only. The way of things:
//
//   plugin_start → instance (its queue) → worker (a process, its frames) → on_done
//
// Callers' functions may start runs and answer calls from inside of any callback. So nothing is
// freed below them: a worker that has to go is marked as ended at once, and settled (its runs ended
// or begun again, its memory freed) by a timer of its own.
#ifndef STOA_PLUGIN_INTERNAL_H
#define STOA_PLUGIN_INTERNAL_H
#include <stdatomic.h>
#include "edge/loop/watch.h"
#include "public-actions/plugin/plugin.h"
#include "public-actions/runtime/protocol.h"

enum {
    RUNS_PER_WORKER = 64,      // given to one worker at once
    RUNS_UNSTARTED = 16,       // … of which it has not begun that many
    WORKERS_PER_INSTANCE = 2,  // the second only under load
    SECOND_WORKER_AT = 8,      // runs given and not begun, from which on a second one helps
    RUNS_PER_LIFE = 10 * 1000, // then a worker is replaced
    CALLS_IN_FLIGHT =
        64, // bridge calls of one run; runs.js sends no more, and who does is not read
    CALL_BYTES_IN_FLIGHT = 16 * 1024 * 1024, // … and their arguments
    CALLS_PER_RUN = 100 * 1000,
    TIMERS_PER_RUN = 1000,
    LOG_LINES = 1000,
    LOG_BYTES = 256 * 1024,
    OUTPUT_MAX = 64 * 1024 * 1024, // waiting for one worker to read it
    BUSY_PER_LOOP = 64,            // workers at work at once
    BUSY_PER_PLUGIN = 16,
#if defined(STOA_ASAN) || defined(STOA_TSAN)
    PONG_MS = 1000, // all takes longer there
#else
    PONG_MS = 100,
#endif
    IDLE_MS = 2000,         // then a worker tidies up
    SECOND_IDLE_MS = 30000, // then a second one goes, or one of former code
    QUEUE_WAIT_MS = 30000,  // a run waits no longer than this
    RETRY_MS = 200,         // after a worker could not be had
    DEATH_MS = 200,         // between a worker's last byte and its wait status
    MEMORY_MS = 50,         // between two looks at the memory of workers at work
    TICK_MS = 1000,
    KILLS_A_MINUTE = 3,
    CRASHES_A_MINUTE = 10,
    OFFENCE_MS = 60000,
    MEMORY_GUESS = 16 * 1024 * 1024, // of a worker that was not looked at yet
    SCRATCH = 128 * 1024,            // what one read brings
    DESK_BUCKETS = 256,
};

// --- spares.c: blank workers, of the process. Any thread. ---
struct spare_wish {
    // On the loop that wished; worker->fd is -1 when none could be started.
    void (*on_spare)(struct spare_wish *wish, const struct cage_worker *worker);
    struct loop *_loop;
    struct spare_wish *_next;
    struct cage_worker _worker;
    struct loop_message _message;
};
void spares_init(size_t wanted, const struct plugin_source *source);
// on_spare comes later, once, never from inside.
void spares_wish(struct spare_wish *wish);
// Blocking, for pool threads. FAIL_BUSY.
enum fail spares_take(struct cage_worker *ret, struct fault *fault) MUST_CHECK;
// Closes its socket and kills it.
void spares_end(const struct cage_worker *worker);

// --- a worker ---
enum worker_state {
    WORKER_IS_WISHED,  // for a blank process
    WORKER_IS_LOADING, // its code
    WORKER_IS_LIVE,
    WORKER_IS_ENDED, // nothing is read or written any more; it is about to be settled
};
// Why a worker went; labels of a metric.
enum worker_end {
    WORKER_END_DIED,       // by itself
    WORKER_END_STUCK,      // did not answer
    WORKER_END_MEMORY,     // took more than it may
    WORKER_END_LIED,       // sent what no worker of ours sends
    WORKER_END_UNREAD,     // did not read what was sent to it
    WORKER_END_NOT_LOADED, // its code
    WORKER_END_REPLACED,   // another deployment's took over
    WORKER_END_RECYCLED,   // after many runs, or grown
    WORKER_END_EVICTED,    // memory for others
    WORKER_END_YIELDED,    // the same, with runs: its project held the most
    WORKER_END_IDLE,       // a second one that is not needed
    WORKER_ENDS
};
struct worker_bytes {
    char *p;
    size_t from, to, room;
};

struct worker {
    struct worker *newer, *older; // of the desk, by last use
    struct plugin_instance *instance;
    struct handler *handler; // a reference: the code it runs
    enum worker_state state;
    enum worker_end end;
    bool is_ready, has_loaded, is_retiring;

    struct spare_wish wish;
    struct cage_worker process; // fd -1: none
    struct loop_watch watch;
    struct worker_bytes in, out; // not yet understood; not yet sent
    bool is_paused;              // not read: a run has too many calls in flight
    bool is_strict;              // read in spite of that, to hear a pong; such calls are refused
    bool is_blocked;             // its socket took no more: `out` goes on when it does
    struct loop_timer resume;
    struct loop_timer flush; // at the end of a turn in which something was sent

    struct plugin_run *runs[RUNS_PER_WORKER];
    unsigned run_count, unstarted, crowded;
    unsigned heat;        // runs that may be using the processor, and the loading
    uint32_t last_number; // of the runs given to it, from 1
    uint32_t spoke;       // the run whose frame came last

    // Whether it still reads. `proof_at`: when it last answered something that must be read to be
    // answered. At half the time that may pass a ping asks; without a pong the watchdog strikes at
    // the end of it, or at strikes_at when that is set.
    struct loop_timer watchdog;
    uint64_t proof_at, strikes_at;
    uint32_t ping, ping_number; // the open one, or 0, and the last run sent before it
    uint32_t last_ping;
    bool has_lost_suspect; // a run was at work when its deadline passed; no proof came since
    bool owes_stats;

    struct loop_timer idle;
    struct loop_timer settle;
    int wait_status;
    bool has_status;
    bool is_tidy;
    uint64_t used_at;
    struct worker_holder *holder; // among whose it is counted; NULL: it is not any more
    uint64_t bytes, looked_at;    // when last looked at
    bool was_at_work;             // since then
};

// --- a deployment of an instance, and its plugin ---
struct offences {
    uint64_t at[CRASHES_A_MINUTE]; // a ring; 0: none
    unsigned next;
};
struct plugin_instance {
    struct plugin_instance *next; // in the bucket
    struct share *share;
    char id[CATALOG_ID_ROOM];
    struct handler *handler;         // a reference
    uint64_t used;                   // the desk's count when it was asked last
    struct plugin_run *first, *last; // waiting
    struct worker *workers[WORKERS_PER_INSTANCE];
    unsigned worker_count; // with those that finish their runs or are about to be settled
    struct plugin_instance *next_waiting; // of the share, for leave to work
    bool is_waiting;
    struct offences kills, crashes;
    uint64_t lost_bytes, lost_at; // by its worker that had to make room last; 0: none
    struct loop_timer retry;
};
// A plugin's part of the desk.
struct share {
    struct share *next; // in the bucket
    char id[CATALOG_ID_ROOM];
    struct plugin_instance *first_waiting, *last_waiting;
    struct share *next_waiting;
    bool is_waiting;
    unsigned instances;
    size_t queued;
    unsigned busy; // workers
};
struct desk {
    struct loop *loop;
    struct plugin_instance *instances[DESK_BUCKETS];
    struct share *shares[DESK_BUCKETS];
    struct share *first_waiting, *last_waiting;
    struct worker *newest, *oldest;
    unsigned busy; // workers with heat
    uint64_t uses; // of instances
    struct loop_timer serve, tick, memory;
    struct loop_message evict, yield;
    _Atomic uint64_t evict_bytes;  // the message is under way, for so many; 0: it is not
    _Atomic uint64_t evict_spares; // … and leaves projects with no more what they used just now
    _Atomic bool is_yielding;
    char scratch[SCRATCH];
};
extern struct plugin_options plugin_options; // as given to plugin_init
struct desk *plugin_desk(void);              // of this thread's loop
struct desk *plugin_desk_at(unsigned index); // of any, for its messages; NULL: not there yet

// --- plugin.c: a run ---
enum run_step { RUN_NEW, RUN_QUEUED, RUN_REFUSED, RUN_GIVEN, RUN_STARTED };
// Ends it, once; it is in no queue and has no worker any more. Calls out: the last thing to do.
void plugin_finish(struct plugin_run *run, enum plugin_outcome outcome, str meta, str data);
// The same, from a timer: for when nobody may be called.
void plugin_finish_later(struct plugin_run *run, enum plugin_outcome outcome);

// --- instance.c ---
struct plugin_instance *plugin_instance_of(struct handler *handler);
// Whether other code of the same instance was asked since.
bool plugin_instance_is_superseded(const struct plugin_instance *in);
// At the end of its queue, or again at its front.
void plugin_instance_queue(struct plugin_instance *in, struct plugin_run *run, bool at_front);
void plugin_instance_unqueue(struct plugin_run *run);
// Gives waiting runs to its workers, as many as they take; wishes for a worker.
void plugin_instance_feed(struct plugin_instance *in);
// Ends all that wait.
void plugin_instance_refuse(struct plugin_instance *in, enum plugin_outcome outcome, str meta);
bool plugin_instance_is_barred(
    const struct plugin_instance *in); // too many offences within a minute
void plugin_instance_offends(struct plugin_instance *in, bool is_kill);
// Frees it when nothing is left that it should remember. Returns whether it did. Not from inside a
// caller's function.
bool plugin_instance_forget(struct plugin_instance **at);
// A worker begins or ceases to be at work.
void plugin_instance_heat(struct plugin_instance *in, bool is_at_work);
// Whether another worker of its instance is there to take over from it; wishes for one if not.
bool plugin_instance_relieve(const struct worker *w);
// Lets those that wait for leave to work go on, a plugin after the other.
void plugin_instance_serve(struct loop_timer *t);

// --- worker.c ---
struct worker *worker_wish(struct plugin_instance *in);
bool worker_has_room(const struct worker *w);
void worker_give(struct worker *w, struct plugin_run *run);
// Its run is over: the worker's part of it ends.
void worker_take_back(struct plugin_run *run);
// No further runs; goes when it has none.
void worker_retire(struct worker *w, enum worker_end why);
// Whether it has idled long enough to go is looked at again.
void worker_watch_idling(struct worker *w);
// Goes now.
void worker_end(struct worker *w, enum worker_end why);
// After what its heat and its being crowded depend on has changed.
void worker_note(struct plugin_run *run);
void worker_proves(struct worker *w, bool is_pong);
void worker_is_loaded(struct worker *w);
void worker_on_readable(struct loop_watch *watch);
void worker_on_writable(struct loop_watch *watch);
extern const char *const worker_end_names[WORKER_ENDS];

// --- worker_io.c ---
void worker_send(struct worker *w, enum worker_frame type, uint8_t flags, uint32_t id, uint32_t ref,
                 str body);
void worker_watch(struct worker *w); // for what it waits for by now
void worker_bytes_fini(struct worker_bytes *b);
void worker_resume(struct loop_timer *t);
void worker_flush(struct loop_timer *t);

// --- worker_frames.c: what a frame means; the body may be written to ---
// How many bytes of body a frame of this type may have; SIZE_MAX: none that comes from a worker.
size_t worker_frame_max(uint8_t type);
// False: no worker of ours sends that.
bool worker_frame(struct worker *w, const struct worker_frame_head *head, char *body);

// --- worker_timers.c: setTimeout ---
void worker_timer_start(struct plugin_run *run, uint32_t call, str args);
void worker_timers_drop(struct plugin_run *run);

// --- worker_memory.c ---
void worker_memory_join(struct worker *w); // it counts from now on, until it is ended
void worker_memory_look(struct worker *w); // ends it when it has too much
void worker_memory_forget(struct worker *w);
// Whether there is room for another worker of that instance. If not, some is being made: by workers
// that idle; and, when it is the first one and runs have waited for it long enough, by others.
bool worker_memory_has_room(const struct plugin_instance *in, bool is_first);
// Whether it is remembered that a worker of that instance had to make room, and how large it was.
bool worker_memory_remembers(const struct plugin_instance *in);
void worker_memory_start(struct desk *desk);
void worker_memory_at_work(void);

// --- worker_holders.c: what each project's workers hold and ask for, of the process. Any thread. ---
struct worker_holder;
// One more worker of that project's; it leaves when what was counted for it is taken back.
struct worker_holder *worker_holder_join(const char *project_id);
void worker_holder_leave(struct worker_holder *h);
void worker_holder_count(struct worker_holder *h, int64_t by);
uint64_t worker_holder_bytes(const struct worker_holder *h);

struct worker_shares {
    uint64_t share;                  // of each project: what it is not asked to give back
    bool is_within;                  // who asks stays within its own with what it wants
    char greediest[CATALOG_ID_ROOM]; // the project that holds the most, if more than that; or ""
};
struct worker_shares worker_holders_shares(const char *project_id, uint64_t wants);
// Counts for a moment (it is asked again each RETRY_MS). has_waited: it would take from others.
void worker_holders_ask(const char *project_id, uint64_t wants, bool has_waited);
void worker_holders_answered(const char *project_id);
// What is free is for those that hold least: whether nobody asks that has a worker less, or none.
bool worker_holders_goes_first(const char *project_id);
// For a while now all hold more than there is.
bool worker_holders_are_over(void);

struct worker_yield {
    char project_id[CATALOG_ID_ROOM];
    uint64_t at_most;     // bytes of its worker that goes
    uint64_t wanted;      // there is enough when so much more would fit
    uint64_t held, share; // of the project
};
// Whose worker has to go, with its runs, for who has waited or because all hold too much; false:
// nobody's.
bool worker_holders_next_to_yield(struct worker_yield *ret);

// --- plugin_metrics.c ---
void plugin_count_outcome(enum plugin_outcome outcome);
void plugin_count_end(enum worker_end end);
void plugin_count_workers(int by);
void plugin_count_bytes(int64_t by);
uint64_t plugin_worker_bytes(void); // of all workers
#endif
