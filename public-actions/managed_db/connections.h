// Connections of one owner loop to the plugins' cluster, each logged in as one plugin's role for
// its whole life, and the lines of queries that wait for one. Everything here belongs to the loop
// it happens on; only the count of all connections is shared.
//
// A connection is opened for a waiting query while its plugin, its project and all loops together
// hold fewer than they may; the last quarter of all is for projects that hold none. Where there is
// no room, the connection that rests longest gives way, and a plugin with several gives one to a
// plugin with none.
#ifndef STOA_MANAGED_DB_CONNECTIONS_H
#define STOA_MANAGED_DB_CONNECTIONS_H
#include <libpq-fe.h>
#include "edge/loop/watch.h"
#include "public-actions/managed_db/query_internal.h"

enum managed_db_connection_state {
    MANAGED_DB_OPENING,
    MANAGED_DB_RESTING,  // clean, in no transaction
    MANAGED_DB_RUNNING,  // a handler's statement
    MANAGED_DB_CLEANING, // its answer is out; not yet fit for another
    MANAGED_DB_CONNECTION_STATES
};
// What the server was sent, in order.
enum managed_db_step {
    MANAGED_DB_STEP_ROLLBACK,
    MANAGED_DB_STEP_DISCARD,
    MANAGED_DB_STEP_BEGIN,
    MANAGED_DB_STEP_SETTING, // each
    MANAGED_DB_STEP_TIME,    // once a connection
    MANAGED_DB_STEP_STATEMENT,
    MANAGED_DB_STEP_COMMIT,
    MANAGED_DB_STEP_SYNC,
};
enum { MANAGED_DB_STEPS_MAX = 16 };
struct managed_db_cancelling; // connections_control.c

TAILQ_HEAD(managed_db_line, managed_db_query);
TAILQ_HEAD(managed_db_connections, managed_db_connection);
TAILQ_HEAD(managed_db_roles, managed_db_role);

enum { MANAGED_DB_BUCKETS = 1024 };

struct managed_db_project {
    struct managed_db_project *next; // in its bucket
    char id[CATALOG_ID_ROOM];
    unsigned roles, connections;
    bool is_measuring, is_over_quota;
    uint64_t bytes, measured_at; // loop_now; 0: never
};

struct managed_db_role {
    struct managed_db_role *next; // in its bucket
    TAILQ_ENTRY(managed_db_role) in_age, in_starving;
    struct managed_db_project *project;
    char plugin_id[CATALOG_ID_ROOM];
    struct managed_db_line line;
    size_t line_count, line_bytes;
    struct managed_db_connections resting; // the one used last in front
    unsigned connections, in_state[MANAGED_DB_CONNECTION_STATES];
    bool is_starving; // more would be opened, were there room
    uint64_t used_at; // loop_now
    // how to get in, fetched on a pool thread at first need
    struct managed_db_access access;
    char *conninfo;   // NULL: not known
    char address[48]; // of the host, when it is a name; ""
    bool is_fetching;
    uint64_t restored_at;      // when it was fetched again after a refused login
    uint64_t no_opening_until; // no backend was free for it: those in line wait
    uint64_t down_until;       // it cannot be entered: those in line fail
};

struct managed_db_connection {
    TAILQ_ENTRY(managed_db_connection) in_role, in_age; // while it rests
    struct managed_db_role *role;
    enum managed_db_connection_state state;
    PGconn *pg;
    int fd; // a duplicate of its socket, which libpq may close by itself; 0: not yet
    struct loop_watch watch;
    struct loop_timer timer; // opening and cleaning have a time
    struct loop_timer go_on; // results are left for the next turn
    struct managed_db_query *query;
    enum managed_db_step steps[MANAGED_DB_STEPS_MAX];
    unsigned step_count, step;
    bool is_dirty;   // somebody's statement was here since it was cleaned
    bool is_spoiled; // to be closed after this
    bool is_broken;  // libpq could not send
    bool wants_write;
    bool has_reached; // somebody answers at the other end
    char since[48];   // a time of the server's when this backend was there; "": not known yet
    size_t unread;    // bytes that came since the last result
    size_t drained;   // bytes of rows nobody gets
    unsigned served;
    uint64_t rests_since; // loop_now
    struct managed_db_cancelling *cancelling;
};

// What belongs to one loop.
struct managed_db_room {
    struct managed_db_project *projects[MANAGED_DB_BUCKETS];
    struct managed_db_role *buckets[MANAGED_DB_BUCKETS];
    struct managed_db_roles roles;         // the one not used for longest in front
    struct managed_db_roles starving;      // the one that waits longest in front
    struct managed_db_connections resting; // of all roles, the one that rests longest in front
    size_t line_bytes;
    struct loop_timer sweep, feed;
    uint64_t down_until; // the cluster was not there: loop_now
    unsigned down_pause; // ms
};
struct managed_db_room *managed_db_room_self(void);

// --- connections.c: lines, room, age ---
void managed_db_room_start(struct loop *loop);
// NULL: "managed_db_busy", its line is full.
struct managed_db_role *managed_db_line_up(const char *project_id, const char *plugin_id,
                                           struct managed_db_query *q);
void managed_db_leave_line(struct managed_db_query *q);
// Gives those in line what rests, and opens more.
void managed_db_serve(struct managed_db_role *r);
// The same when one of its connections has ended, in turn with all who wait for room.
void managed_db_refill(struct managed_db_role *r);
// All in line fail.
void managed_db_fail_line(struct managed_db_role *r, enum managed_db_outcome outcome,
                          const char *code, const char *message);
void managed_db_connection_set_state(struct managed_db_connection *c,
                                     enum managed_db_connection_state state);
// What becomes of one whose answer is out: another query of its role's, cleaning, rest, or the end.
void managed_db_connection_next(struct managed_db_connection *c);
// Closes the socket and forgets it; frees c. Its room is given back unless `keep_room`.
void managed_db_connection_close(struct managed_db_connection *c, bool keep_room);
void managed_db_give_room_back(struct managed_db_role *r);

// --- connections_open.c ---
// Room has been taken. It serves the role's line when it is there.
void managed_db_connection_open(struct managed_db_role *r);
// conninfo of the role, on a pool thread; again with `restore`, once a login was refused.
void managed_db_fetch_access(struct managed_db_role *r, bool restore);

// --- query_run.c ---
// Sends q, behind what cleans the connection when it is dirty.
void managed_db_run(struct managed_db_connection *c, struct managed_db_query *q);
// Cleans it alone.
void managed_db_clean(struct managed_db_connection *c);
void managed_db_on_connected(struct managed_db_connection *c);

// --- query_recv.c ---
// PQconsumeInput of 256 KiB at most; *ret_taken is set to how much it was. False: the end.
bool managed_db_consume(PGconn *pg, size_t *ret_taken);
// Whether the program was linked so that libpq finds our recv.
bool managed_db_consume_is_bounded(void);

// --- connections_control.c: the other ways to a backend; pool threads do it ---
// Asks the server to break off the running statement; until that has gone through, the connection
// is not used again.
void managed_db_cancel_statement(struct managed_db_connection *c);
void managed_db_forget_cancelling(struct managed_db_connection *c);
// Closes the socket, ends the backend too; frees c. Its room is held until the backend has gone.
void managed_db_connection_kill(struct managed_db_connection *c);
// Looks at the size of the project's database, when it is time.
void managed_db_measure(struct managed_db_role *r);

struct managed_db_counts {
    _Atomic uint64_t connections; // that hold room
    _Atomic uint64_t opened, killed, cancelled, waiting, outcomes[MANAGED_DB_OUTCOMES];
    _Atomic uint64_t run_us;
};
extern struct managed_db_counts managed_db_counts; // query.c
#endif
