// Files that were kept for nothing: the plugin said no, or the visitor was told of a failure. They
// wait in a short list that a job empties; with the database away it stays, and is tried again with
// the next one and at each collection.
#include "uploads/internal.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/log.h"
#include "edge/loop/pool.h"

enum { WAITING_MAX = 100000 };

struct unwanted {
    char project_id[CATALOG_ID_ROOM], file_id[FILES_ID_ROOM];
    struct unwanted *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // the list
static struct unwanted *list;
static size_t waiting;

static bool push(struct unwanted *u)
{
    pthread_mutex_lock(&lock);
    bool has_room = waiting != WAITING_MAX;
    if (has_room) {
        u->next = list;
        list = u;
        ++waiting;
    }
    pthread_mutex_unlock(&lock);
    return has_room;
}

static struct unwanted *pop(void)
{
    pthread_mutex_lock(&lock);
    struct unwanted *u = list;
    if (u != NULL) {
        list = u->next;
        --waiting;
    }
    pthread_mutex_unlock(&lock);
    return u;
}

static void give_up(struct unwanted *u, const struct fault *fault)
{
    log_error("a refused upload could not be deleted", "file=%s code=%s reason=%s", u->file_id,
              fault != NULL ? fault->code : "",
              LOG_STR(fault != NULL ? str_from(fault->log_text) : STR("too many wait")));
    free(u);
}

void upload_discard_all(struct db *db)
{
    struct fault fault;
    for (struct unwanted *u; (u = pop()) != NULL;) {
        enum fail fail = file_delete(db, u->project_id, str_from(u->file_id), &fault);
        if (fail == FAIL_BUSY) {
            if (!push(u))
                give_up(u, NULL);
            return;
        }
        if (fail != FAIL_NONE && fail != FAIL_NOT_FOUND)
            give_up(u, &fault);
        else
            free(u);
    }
}

static void on_discard(struct job *job)
{
    upload_discard_all(db_of_thread());
}

static void on_done(struct job *job)
{
    free(job);
}

void upload_discard(const struct files_owner *owner, const char *file_id)
{
    struct unwanted *u = calloc(1, sizeof *u);
    struct job *job = calloc(1, sizeof *job);
    if (u == NULL || job == NULL)
        abort();
    memcpy(u->project_id, owner->project_id, sizeof u->project_id);
    snprintf(u->file_id, sizeof u->file_id, "%s", file_id);
    if (!push(u))
        give_up(u, NULL);
    *job = (struct job){.run = on_discard, .done = on_done};
    if (pool_post(LANE_FILES, job) != FAIL_NONE)
        free(job); // with the next one, then
}
