// The table of names that edge/route/hosts.h gives the loops, kept as the database has it: read whole
// when listening begins (again), and name by name as changes are told. Notices are collected and read
// together by one job on LANE_LOAD, which no slow name server holds up. With the database away the last
// table stays.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "domains/internal.h"
#include "edge/base/log.h"
#include "edge/loop/pool.h"
#include "edge/route/hosts.h"

enum { NAMES_MAX = 256 }; // told at once; beyond it, all are read

static struct {
    pthread_mutex_t lock; // guards all of this
    char names[NAMES_MAX][HOSTNAME_ROOM];
    size_t count;
    bool all, is_running;
} wanted = {.lock = PTHREAD_MUTEX_INITIALIZER};

// --- from rows to hosts ---

struct host_list {
    struct host **items;
    size_t count, room;
};

static void add_host(void *arg, const struct domain_host *d)
{
    struct host_list *list = arg;
    struct host h = {.name = d->hostname,
                     .slug = d->instance_slug,
                     .redirect_to = d->redirect_to,
                     .https_only = d->https_only,
                     .clears_until = d->clears_until};
    if (d->hsts_max_age >= 0)
        snprintf(h.hsts, sizeof h.hsts, "max-age=%lld%s", (long long)d->hsts_max_age,
                 d->hsts_subdomains ? "; includeSubDomains" : "");
    if (list->count == list->room) {
        list->room = list->room != 0 ? 2 * list->room : 64;
        list->items = realloc(list->items, list->room * sizeof *list->items);
        if (list->items == NULL)
            abort();
    }
    list->items[list->count++] = host_create(&h);
}

static enum fail read_all(struct db *db, struct fault *fault)
{
    struct host_list list = {0};
    enum fail f = domains_hosts(db, (str){0}, add_host, &list, fault);
    if (f == FAIL_NONE)
        hosts_publish(hosts_create(list.items, list.count));
    else
        for (size_t i = 0; i != list.count; ++i)
            shared_unref(&list.items[i]->shared);
    free(list.items);
    return f;
}

static enum fail read_one(struct db *db, str name, struct fault *fault)
{
    struct host_list list = {0};
    struct hosts *old = hosts_published();
    if (old == NULL)
        return read_all(db, fault);
    enum fail f = domains_hosts(db, name, add_host, &list, fault);
    if (f == FAIL_NONE)
        hosts_publish(hosts_change(old, name, list.count != 0 ? list.items[0] : NULL));
    hosts_unref(old);
    free(list.items);
    return f;
}

// --- what is wanted ---

static void want(str name)
{
    pthread_mutex_lock(&wanted.lock);
    if (name.n == 0 || name.n >= HOSTNAME_ROOM || wanted.count == NAMES_MAX)
        wanted.all = true;
    else
        snprintf(wanted.names[wanted.count++], HOSTNAME_ROOM, "%.*s", STR_FMT(name));
    pthread_mutex_unlock(&wanted.lock);
}

// The next thing to read; false, and the job is over, when there is none.
static bool next(char name[static HOSTNAME_ROOM], bool *ret_all)
{
    pthread_mutex_lock(&wanted.lock);
    *ret_all = wanted.all;
    bool any = wanted.all || wanted.count != 0;
    if (wanted.all)
        wanted.count = 0;
    else if (any)
        memcpy(name, wanted.names[--wanted.count], HOSTNAME_ROOM);
    wanted.all = false;
    wanted.is_running = any;
    pthread_mutex_unlock(&wanted.lock);
    return any;
}

static void on_read(struct job *j)
{
    char name[HOSTNAME_ROOM];
    struct fault fault = {0};
    bool all;
    while (next(name, &all)) {
        struct db *db = db_of_thread();
        enum fail f = all ? read_all(db, &fault) : read_one(db, str_from(name), &fault);
        if (f == FAIL_NONE)
            continue;
        log_warn("the names that are served were not read", "reason=%s",
                 LOG_STR(str_from(fault.log_text[0] != '\0' ? fault.log_text : fault.public_text)));
        pthread_mutex_lock(&wanted.lock);
        wanted.all = true; // with the next notice, or when listening begins again
        wanted.is_running = false;
        pthread_mutex_unlock(&wanted.lock);
        break;
    }
}

static void on_done(struct job *j)
{
    free(j);
}

static void start_reading(void)
{
    pthread_mutex_lock(&wanted.lock);
    bool is_running = wanted.is_running;
    wanted.is_running = true;
    pthread_mutex_unlock(&wanted.lock);
    if (is_running)
        return;
    struct job *j = calloc(1, sizeof *j);
    if (j == NULL)
        abort();
    j->run = on_read;
    j->done = on_done;
    if (pool_post(LANE_LOAD, j) == FAIL_NONE)
        return;
    free(j); // busy: the scheduler comes by
    pthread_mutex_lock(&wanted.lock);
    wanted.is_running = false;
    pthread_mutex_unlock(&wanted.lock);
}

// A payload that is no name of ours reads nothing: the statement finds no row.
void domains_on_notice(str payload)
{
    want(payload);
    start_reading();
}

void domains_on_listener_back(void)
{
    want((str){0});
    start_reading();
}

void domains_read_again(void)
{
    pthread_mutex_lock(&wanted.lock);
    bool any = wanted.all || wanted.count != 0;
    pthread_mutex_unlock(&wanted.lock);
    if (any)
        start_reading();
}
