// One run of a handler, from its input to its record: on the project's owner loop, whoever asked
// for it and from wherever. It loads the secrets the run needs, answers what the handler asks for
// (bridge.c), writes the record and its events, and then says that it is over.
#ifndef STOA_ACTIONS_RUN_H
#define STOA_ACTIONS_RUN_H
#include "public-actions/runs/runs.h"
#include "public-actions/target.h"

enum {
    RUN_FETCHES_MAX = 10,
    RUN_NOTICES_MAX = 20,
    RUN_NOTICES_BYTES_MAX = 48 * 1024, // of RUN_FACTS_MAX; ten requests' facts need 15 KiB at most
    RUN_QUERIES_MAX = 1000,
    RUN_FILES_MAX = 100,
    RUN_ACTION_ROOM = 65
};

struct action_run {
    struct plugin_run plugin; // first
    // Filled in by whoever starts it.
    struct target *target; // taken
    enum run_source source;
    char action[RUN_ACTION_ROOM];
    char request_id[TOKEN_REQUEST_ID_ROOM];
    char visitor[46];                // "": the owner's side
    char actor[CATALOG_ID_ROOM + 8]; // the acting member; "": a visitor
    // What of the code is called: "handler", "onUpload" when there is one, or NULL: nothing is, the
    // run is only recorded.
    const char *entry;
    json_t
        *refusal; // with no entry: {"code","message"}, why nothing came of it; taken; NULL: it did
    uint32_t timeout_ms;
    uint32_t input_bytes;
    struct buf input; // the JSON of the handler's `input`; taken
    // Once, on the owner loop; what follows is valid until action_run_destroy, which is the
    // starter's to call.
    void (*on_finished)(struct action_run *run);
    void *arg;

    enum plugin_outcome outcome;
    bool is_kept;        // false: its events could not be written; nothing may be promised
    bool is_answered;    // false: there was no code to answer
    bool reported_error; // the data that was responded, or the result, has error: true; or onUpload
                         // responded with a 4xx
    json_t *meta;        // protocol.h, WORKER_RESULT; NULL: nothing but the data was said
    char *data;          // the data's JSON; "null" for undefined
    size_t data_size;
    char run_id[CATALOG_ID_ROOM];

    struct action_run_state {
        struct loop_message start;
        size_t held;             // of a stranger's bytes
        size_t call_held;        // of what the handler is told, when that is much
        struct action_run *next; // while it waits for its secrets (secrets.h)
        void (*then)(struct action_run *run);
        char *secrets; // JSON, forgotten as soon as it was handed over
        enum fail secrets_fail;
        struct bridge *bridges; // under way
        unsigned fetches, queries, notices, files;
        json_t *fetch_facts;
        struct buf notices_text; // JSON objects with commas between; RUN_NOTICES_BYTES_MAX at most
        unsigned notices_left_out;
        struct run_record *record;
        struct run_kept kept;
        int64_t started_at;
        bool is_log_full;
    } _;
};

struct action_run *action_run_create(struct target *target, enum run_source source, str action);
// Before its input is written: whether there is room for so many bytes of a stranger's beside all
// that wait or run (inputs.h). Visitors' bodies are given back once their requests are gone, their
// copies for the handlers only with the run.
bool action_run_may_hold(struct action_run *run, size_t bytes);
// Any loop thread, or a pool thread. on_finished is never called from inside.
void action_run_start(struct action_run *run);
void action_run_destroy(struct action_run *run);
// What the handler responded with, 200 when it did not say. Once it is finished.
int action_run_status(const struct action_run *run);
size_t action_runs_running(void); // any thread

// --- bridge.c: what handlers ask for ---
void bridge_ask(struct action_run *run, uint32_t call, str op, str args);
unsigned bridge_cancel_all(struct action_run *run); // how many were under way
#endif
