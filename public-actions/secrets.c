#include "public-actions/secrets.h"
#include <stdlib.h>
#include "edge/base/jsonx.h"
#include "edge/base/log.h"
#include "edge/loop/pool.h"

enum { SHARING_MAX = 16 }; // what a loop hands out in one go

// There while one of the project's is being read.
struct line {
    struct job job;
    struct line *next;
    char project_id[CATALOG_ID_ROOM];
    struct action_run *reading, *sharing; // each with its _.next
    struct action_run *first, **last;     // waiting
};

static _Thread_local struct line *lines; // an owner loop's own

static struct line **find(const char *project_id)
{
    struct line **at = &lines;
    while (*at != NULL && strcmp((*at)->project_id, project_id) != 0)
        at = &(*at)->next;
    return at;
}

static void read_secrets(struct job *j)
{
    struct action_run *run = ((struct line *)j)->reading;
    struct fault fault = {0};
    json_t *secrets = NULL;
    run->_.secrets_fail =
        owner_secrets_load(db_of_thread(), &run->target->instance, run->target->front,
                           run->target->settings.connection, &secrets, &fault);
    if (run->_.secrets_fail == FAIL_NONE) {
        run->_.secrets = jsonx_dump(secrets, NULL);
        owner_forget(secrets);
    } else {
        log_warn("the secrets of a run cannot be read", "request=%s instance=%s code=%s detail=%s",
                 run->request_id, run->target->instance.id, fault.code,
                 LOG_STR(str_from(fault.log_text)));
    }
}

// Moves those to `sharing` that wait for the same.
static void share(struct line *l)
{
    struct action_run **at = &l->first;
    for (unsigned n = 0; *at != NULL && n != SHARING_MAX;) {
        struct action_run *run = *at;
        if (run->target != l->reading->target) {
            at = &run->_.next;
            continue;
        }
        *at = run->_.next;
        run->_.next = l->sharing;
        l->sharing = run;
        ++n;
    }
    for (l->last = &l->first; *l->last != NULL;)
        l->last = &(*l->last)->_.next;
}

static void finish(struct action_run *run, enum fail fail, const char *secrets)
{
    run->_.secrets_fail = fail;
    if (secrets != NULL)
        run->_.secrets = str_dup(str_from(secrets));
    run->_.then(run);
}

static void on_read(struct job *j);

// The next one's turn; without one the line ends.
static void go_on(struct line *l)
{
    while (l->first != NULL) {
        struct action_run *run = l->first;
        if ((l->first = run->_.next) == NULL)
            l->last = &l->first;
        l->reading = run;
        l->job = (struct job){.run = read_secrets, .done = on_read};
        if (pool_post(LANE_LOAD, &l->job) == FAIL_NONE) {
            share(l);
            return;
        }
        finish(run, FAIL_BUSY, NULL);
    }
    *find(l->project_id) = l->next;
    free(l);
}

static void on_read(struct job *j)
{
    struct line *l = (struct line *)j;
    struct action_run *run = l->reading, *sharing = l->sharing;
    l->sharing = NULL;
    for (struct action_run *next; sharing != NULL; sharing = next) {
        next = sharing->_.next;
        finish(sharing, run->_.secrets_fail, run->_.secrets);
    }
    run->_.then(run);
    go_on(l);
}

void action_secrets_join(struct action_run *run, void (*then)(struct action_run *run))
{
    const char *project_id = run->target->instance.project_id;
    struct line *l = *find(project_id);
    bool is_first = l == NULL;
    if (is_first && (l = calloc(1, sizeof *l)) == NULL)
        abort();
    if (is_first) {
        memcpy(l->project_id, project_id, sizeof l->project_id);
        l->last = &l->first;
        l->next = lines;
        lines = l;
    }
    run->_.then = then;
    run->_.next = NULL;
    *l->last = run;
    l->last = &run->_.next;
    if (is_first)
        go_on(l);
}
