// Cancelling, ending and measuring from outside of a connection. All of it blocks, so pool threads
// do it; a loop goes on meanwhile.
#include "public-actions/managed_db/connections.h"
#include <stddef.h>
#include <stdlib.h>
#include <time.h>
#include "edge/base/log.h"
#include "edge/loop/pool.h"
#include "public-actions/managed_db/queries_session.h"

enum {
    MEASURE_MS = 30000,     // between two looks at a project's size
    MEASURE_NEAR_MS = 3000, // when more than half of the quota is used
    GONE_LOOKS = 10,        // at a backend that was ended, and the pause between two
    GONE_LOOK_MS = 20,
    GONE_AGAIN_MS = 5000, // until it is tried again
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

// Its room is held until the backend has gone, in its plugin and its project too: what looks at no
// signal (position() over 100 MB) keeps a connection of the cluster's for hours.
struct ending {
    struct job job;
    struct loop_timer again;
    struct managed_db_role *role; // its count is held
    int pid;
    char since[48], role_name[64], database[64];
    bool has_gone, was_told;
};

static void on_end_run(struct job *job)
{
    struct ending *j = (struct ending *)job;
    struct db *db = NULL;
    struct fault fault = {0};
    enum fail f = managed_db_control_open(&db, &fault);
    for (int i = 0; i != GONE_LOOKS && f == FAIL_NONE && !j->has_gone; ++i) {
        if (i != 0)
            nanosleep(&(struct timespec){.tv_nsec = GONE_LOOK_MS * 1000000}, NULL);
        f = managed_db_terminate_backend(db, j->pid, j->since, j->role_name, j->database,
                                         &j->has_gone, &fault);
    }
    db_close(db);
    if (f != FAIL_NONE)
        log_warn("a backend could not be ended", "role=%s why=%s", j->role_name,
                 LOG_STR(str_from(fault.log_text)));
    else if (!j->has_gone && !j->was_told)
        log_warn("a plugin's statement does not end; its connection is held", "role=%s pid=%d",
                 j->role_name, j->pid);
    j->was_told = true;
    j->has_gone = j->has_gone || f != FAIL_NONE; // the cluster is away, and what ran there
}

static void end_again(struct ending *j)
{
    if (pool_post(LANE_API, &j->job) != FAIL_NONE)
        loop_timer_start(&j->again, GONE_AGAIN_MS);
}

static void on_end_again(struct loop_timer *t)
{
    end_again((struct ending *)((char *)t - offsetof(struct ending, again)));
}

static void on_end_done(struct job *job)
{
    struct ending *j = (struct ending *)job;
    if (!j->has_gone) {
        loop_timer_start(&j->again, GONE_AGAIN_MS);
        return;
    }
    managed_db_give_room_back(j->role);
    managed_db_refill(j->role);
    free(j);
}

void managed_db_connection_kill(struct managed_db_connection *c)
{
    struct managed_db_role *r = c->role;
    struct ending *j = calloc(1, sizeof *j);
    if (j == NULL)
        abort();
    *j = (struct ending){.job = {.run = on_end_run, .done = on_end_done},
                         .again.run = on_end_again,
                         .role = r,
                         .pid = PQbackendPID(c->pg)};
    memcpy(j->since, c->since, sizeof j->since);
    memcpy(j->role_name, r->access.role, sizeof j->role_name);
    memcpy(j->database, r->access.database, sizeof j->database);
    ++managed_db_counts.killed;
    managed_db_connection_close(c, true);
    if (j->since[0] != '\0') {
        end_again(j);
        return;
    }
    managed_db_give_room_back(r);
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
