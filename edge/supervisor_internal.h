// What the supervisor's .c files share: all it knows, and the pauses of what is started again. One thread.
#ifndef STOA_SUPERVISOR_INTERNAL_H
#define STOA_SUPERVISOR_INTERNAL_H
#include "edge/base/process.h"
#include "edge/listen.h"
#include "edge/store/private_postgres.h"
#include "edge/supervisor.h"
#include "edge/workers.h"

enum {
    LISTENERS_MAX = PROCESS_FDS_MAX - LISTEN_FD_FIRST,
    STABLE_MS = 10000,        // a life this long ends the back-off
    PLUGINS_GRACE_MS = 10000, // how long the plugins' cluster may keep the server waiting
    ADVANCE_MS = 20,          // between two looks at a cluster on its way
    STOP_GRACE_MS = 2000,     // beyond shutdown_timeout, which the server keeps itself
    TEND_MS = 60000,          // how often clusters are looked at: their logs, what does not end
    MESSAGES_PER_TURN = 64,   // of the server, before signals are looked at again
};

struct backoff {
    unsigned failures;
    uint64_t started, due; // monotonic ms; due 0: it runs, or shall not
};

// A private PostgreSQL. One that has answered once is only ever started again; until then it is
// on its way.
struct cluster {
    struct private_postgres *postgres; // NULL: an external database
    struct backoff backoff;
    bool has_answered;
    uint64_t advance_at; // monotonic ms; 0: not on its way
};
enum { STATE, PLUGINS, CLUSTERS };

struct supervisor {
    struct settings *settings;
    int argc; // the flags, for a reload
    char **argv;
    int lock, signals;
    struct user server_user, state_user, plugin_user, caged_users[CAGE_KINDS]; // 0: ours
    struct listener_fd listeners[LISTENERS_MAX];
    size_t listener_count;

    struct cluster clusters[CLUSTERS];
    uint64_t tend_at;

    pid_t server; // 0: none
    int control;  // -1: none
    bool is_ready;
    struct backoff server_backoff;
    struct workers workers;

    bool is_stopping, is_done;
    uint64_t stop_deadline;
    int exit_status;
};

void supervisor_backoff_started(struct backoff *b);
// Returns the pause in ms.
unsigned supervisor_backoff_ended(struct backoff *b);

// --- supervisor_clusters.c ---
// FAIL_NONE, and each may still be on its way: supervisor_cluster_advance is then due from time to time.
enum fail supervisor_clusters_start(struct supervisor *sv, struct fault *fault) MUST_CHECK;
void supervisor_cluster_advance(struct cluster *c);
void supervisor_cluster_ended(struct supervisor *sv, struct cluster *c, int status);
void supervisor_cluster_again(struct cluster *c);
struct cluster *supervisor_cluster_of(struct supervisor *sv, pid_t pid); // NULL: none
#endif
