// Cancelling, ending and measuring from outside of a connection. All of it blocks, so pool threads
// do it; a loop goes on meanwhile.
#include "public-actions/managed_db/connections.h"
#include <stdlib.h>
#include "edge/base/log.h"
#include "edge/loop/pool.h"
#include "public-actions/managed_db/queries_session.h"

enum {
    MEASURE_MS = 30000,     // between two looks at a project's size
    MEASURE_NEAR_MS = 3000, // when more than half of the quota is used
};

// --- cancelling: libpq sends the request over a connection of its own, and waits ---

struct managed_db_cancelling {
    struct job job;
    PGcancel *cancel;
    struct managed_db_connection *connection; // NULL: closed meanwhile
};

static void on_cancel_run(struct job *job)
{
    struct managed_db_cancelling *j = (struct managed_db_cancelling *)job;
    char why[256];
    if (PQcancel(j->cancel, why, sizeof why) != 1) // it then ends by force, a second later
        log_debug("a statement was not cancelled", "why=%s", LOG_STR(str_from(why)));
}

static void on_cancel_done(struct job *job)
{
    struct managed_db_cancelling *j = (struct managed_db_cancelling *)job;
    struct managed_db_connection *c = j->connection;
    PQfreeCancel(j->cancel);
    free(j);
    if (c == NULL)
        return;
    c->cancelling = NULL;
    if (c->state == MANAGED_DB_CLEANING && c->step == c->step_count)
        managed_db_clean(c); // alone: what was sent late hits the broom, and shows
}

void managed_db_cancel_statement(struct managed_db_connection *c)
{
    if (c->cancelling != NULL)
        return;
    struct managed_db_cancelling *j = calloc(1, sizeof *j);
    if (j == NULL)
        abort();
    *j = (struct managed_db_cancelling){.job = {.run = on_cancel_run, .done = on_cancel_done},
                                        .cancel = PQgetCancel(c->pg),
                                        .connection = c};
    if (j->cancel != NULL && pool_post(LANE_API, &j->job) == FAIL_NONE) {
        ++managed_db_counts.cancelled;
        c->cancelling = j;
        return;
    }
    PQfreeCancel(j->cancel);
    free(j);
}

void managed_db_forget_cancelling(struct managed_db_connection *c)
{
    if (c->cancelling != NULL)
        c->cancelling->connection = NULL;
    c->cancelling = NULL;
}

// --- ending ---

struct ending {
    struct job job;
    int pid;
    char since[48], role[64], database[64];
};

static void on_end_run(struct job *job)
{
    struct ending *j = (struct ending *)job;
    struct db *db = NULL;
    struct fault fault = {0};
    enum fail f = managed_db_control_open(&db, &fault);
    if (f == FAIL_NONE)
        f = managed_db_terminate_backend(db, j->pid, j->since, j->role, j->database, &fault);
    db_close(db);
    if (f != FAIL_NONE)
        log_warn("a backend could not be ended", "role=%s why=%s", j->role,
                 LOG_STR(str_from(fault.log_text)));
}

// Until then its room is held: the backend lived on.
static void on_end_done(struct job *job)
{
    managed_db_give_room_back();
    free(job);
}

void managed_db_connection_kill(struct managed_db_connection *c)
{
    struct ending *j = calloc(1, sizeof *j);
    if (j == NULL)
        abort();
    *j = (struct ending){.job = {.run = on_end_run, .done = on_end_done},
                         .pid = PQbackendPID(c->pg)};
    memcpy(j->since, c->since, sizeof j->since);
    memcpy(j->role, c->role->access.role, sizeof j->role);
    memcpy(j->database, c->role->access.database, sizeof j->database);
    ++managed_db_counts.killed;
    managed_db_connection_close(c, true);
    if (j->since[0] != '\0' && pool_post(LANE_API, &j->job) == FAIL_NONE)
        return;
    managed_db_give_room_back();
    free(j);
}

// --- measuring ---

struct measuring {
    struct job job;
    struct managed_db_project *project; // held by its roles while is_measuring
    char database[64];
    uint64_t bytes;
    bool is_known;
};

static void on_measure_run(struct job *job)
{
    struct measuring *j = (struct measuring *)job;
    struct db *db = NULL;
    struct fault fault = {0};
    enum fail f = managed_db_control_open(&db, &fault);
    if (f == FAIL_NONE)
        f = managed_db_database_bytes(db, j->database, &j->bytes, &fault);
    db_close(db);
    j->is_known = f == FAIL_NONE;
}

static void on_measure_done(struct job *job)
{
    struct measuring *j = (struct measuring *)job;
    struct managed_db_project *p = j->project;
    p->is_measuring = false;
    p->measured_at = loop_now(loop_self());
    if (j->is_known) {
        p->bytes = j->bytes;
        p->is_over_quota = j->bytes > managed_db_options()->project_bytes;
    }
    free(j);
}

static bool is_time(const struct managed_db_project *p)
{
    uint64_t quota = managed_db_options()->project_bytes;
    uint64_t pause = p->bytes > quota / 2 ? MEASURE_NEAR_MS : MEASURE_MS;
    return quota != 0 && !p->is_measuring &&
           (p->measured_at == 0 || loop_now(loop_self()) - p->measured_at >= pause);
}

void managed_db_measure(struct managed_db_role *r)
{
    struct managed_db_project *p = r->project;
    if (!is_time(p))
        return;
    struct measuring *j = calloc(1, sizeof *j);
    if (j == NULL)
        abort();
    *j = (struct measuring){.job = {.run = on_measure_run, .done = on_measure_done}, .project = p};
    memcpy(j->database, r->access.database, sizeof j->database);
    p->is_measuring = pool_post(LANE_API, &j->job) == FAIL_NONE;
    if (!p->is_measuring)
        free(j);
}
