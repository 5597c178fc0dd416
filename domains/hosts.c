// The table of names that edge/route/hosts.h gives the loops, kept as the database has it: read whole
// when listening begins (again), and name by name as changes are told. Notices are collected and read
// together by one job on LANE_LOAD, which no slow name server holds up. With the database away the last
// table stays.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "domains/certificates.h"
#include "domains/internal.h"
#include "edge/base/log.h"
#include "edge/loop/pool.h"
#include "edge/route/hosts.h"

enum {
    NAMES_MAX = 256, // told at once; beyond it, all are read
    CHAIN_BUCKETS = 256,
};

static struct {
    pthread_mutex_t lock; // guards all of this
    char names[NAMES_MAX][HOSTNAME_ROOM];
    size_t count;
    bool all, is_running;
} wanted = {.lock = PTHREAD_MUTEX_INITIALIZER};

// --- chains, held once ---

// By the digest of their bytes. Only the job touches them, one thread at a time.
struct kept_chain {
    struct kept_chain *next;
    uint8_t digest[32];
    struct certificate_chain *chain; // a reference
};
static struct kept_chain *chains[CHAIN_BUCKETS];

static enum fail read_chain(struct db *db, str digest, struct kept_chain **bucket,
                            struct certificate_chain **ret, struct fault *fault)
{
    AUTOFREE uint8_t *bytes = NULL;
    size_t n = 0;
    enum fail f = certificate_query_chain(db, digest, &bytes, &n, fault);
    if (f != FAIL_NONE)
        return f;
    struct kept_chain *k = calloc(1, sizeof *k);
    if (k == NULL)
        abort();
    memcpy(k->digest, digest.p, sizeof k->digest);
    k->chain = certificate_chain_create(str_of(bytes, n));
    k->next = *bucket;
    *bucket = k;
    *ret = k->chain;
    return FAIL_NONE;
}

// Borrowed; NULL for a certificate without.
static enum fail find_chain(struct db *db, str digest, struct certificate_chain **ret,
                            struct fault *fault)
{
    *ret = NULL;
    if (digest.n != sizeof chains[0]->digest)
        return FAIL_NONE;
    struct kept_chain **bucket = &chains[(uint8_t)digest.p[0]];
    for (struct kept_chain *k = *bucket; k != NULL; k = k->next)
        if (memcmp(k->digest, digest.p, digest.n) == 0) {
            *ret = k->chain;
            return FAIL_NONE;
        }
    return read_chain(db, digest, bucket, ret, fault);
}

// Those that no name has any more.
static void drop_chains(void)
{
    for (size_t i = 0; i != CHAIN_BUCKETS; ++i)
        for (struct kept_chain **at = &chains[i], *k; (k = *at) != NULL;) {
            if (atomic_load(&k->chain->shared.refs) != 1) {
                at = &k->next;
                continue;
            }
            *at = k->next;
            shared_unref(&k->chain->shared);
            free(k);
        }
}

// --- from rows to hosts ---

struct host_list {
    struct host **items;
    size_t count, room;
    struct db *db;
    enum fail fail; // of the first that could not be made
    struct fault *fault;
};

// A name whose certificate cannot be had now makes the whole reading fail: better the last table.
static struct certificate *certificate_of(struct host_list *list, const struct domain_host *d)
{
    struct certificate_chain *chain;
    if (d->certificate_id == NULL || list->fail != FAIL_NONE)
        return NULL;
    list->fail = find_chain(list->db, d->chain_digest, &chain, list->fault);
    if (list->fail != FAIL_NONE)
        return NULL;
    return certificate_create(d->leaf, d->sealed_key, chain, d->certificate_id, d->project_id.p);
}

static void add_host(void *arg, const struct domain_host *d)
{
    struct host_list *list = arg;
    struct host h = {.name = d->hostname,
                     .slug = d->instance_slug,
                     .redirect_to = d->redirect_to,
                     .https_only = d->https_only,
                     .certificate = certificate_of(list, d),
                     .certificate_ends = d->not_after,
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
    if (h.certificate != NULL)
        shared_unref(&h.certificate->shared);
}

static void drop_hosts(struct host_list *list)
{
    for (size_t i = 0; i != list->count; ++i)
        shared_unref(&list->items[i]->shared);
    list->count = 0;
}

static enum fail read_list(struct db *db, str name, struct host_list *list, struct fault *fault)
{
    list->db = db;
    list->fault = fault;
    enum fail f = domains_hosts(db, name, add_host, list, fault);
    if (f == FAIL_NONE)
        f = list->fail;
    if (f != FAIL_NONE)
        drop_hosts(list);
    return f;
}

static enum fail read_all(struct db *db, struct fault *fault)
{
    struct host_list list = {0};
    enum fail f = read_list(db, (str){0}, &list, fault);
    if (f == FAIL_NONE)
        hosts_publish(hosts_create(list.items, list.count));
    free(list.items);
    drop_chains();
    return f;
}

static enum fail read_one(struct db *db, str name, struct fault *fault)
{
    struct host_list list = {0};
    struct hosts *old = hosts_published();
    if (old == NULL)
        return read_all(db, fault);
    enum fail f = read_list(db, name, &list, fault);
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
