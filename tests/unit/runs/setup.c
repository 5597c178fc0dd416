#include "setup.h"
#include "edge/loop/h2o.h"
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "edge/auth/auth.h"
#include "edge/base/clock.h"
#include "edge/base/seal.h"
#include "tests/harness/postgres.h"

struct owner mine, others;
struct db *setup_db;
struct runs_options setup_options = {.keep_days = 30, .keep_rows = 1000};

static h2o_globalconf_t config;

static void die(const struct fault *fault)
{
    fprintf(stderr, "%s: %s | %s\n", fault->code, fault->public_text, fault->log_text);
    abort();
}
#define OK(call)                                                                                   \
    do {                                                                                           \
        if ((call) != FAIL_NONE)                                                                   \
            die(&fault);                                                                           \
    } while (0)

static void on_start(struct loop *loop)
{
}

void setup_owner(const char *name, struct owner *o)
{
    struct fault fault = {0};
    char owner[37];
    bool created;
    OK(db_begin(setup_db, &fault));
    OK(catalog_project_create(setup_db, str_from(name), o->project_id, owner, &fault));
    OK(catalog_plugin_upsert(setup_db, o->project_id, STR("rsvp"), STR("RSVP"), STR("1.0.0"),
                             STR("app"), &o->plugin, &created, &fault));
    OK(catalog_instance_create(setup_db, o->project_id, &o->plugin, &o->instance, &fault));
    OK(db_commit(setup_db, &fault));
}

static void migrate_all(void)
{
    struct fault fault = {0};
    static const struct {
        const struct migration *list;
        const size_t *count;
    } features[] = {{catalog_migrations, &catalog_migration_count},
                    {auth_migrations, &auth_migration_count},
                    {runs_migrations, &runs_migration_count}};
    struct migration all[32];
    size_t n = 0;
    for (size_t f = 0; f != 3; ++f)
        for (size_t i = 0; i != *features[f].count; ++i)
            all[n++] = features[f].list[i];
    OK(migrate(setup_db, all, n, &fault));
}

void setup_start(void)
{
    static struct seal_key key;
    const char *url = postgres_start();
    db_configure(url);
    setup_db = db_of_thread();
    migrate_all();
    setup_owner("Mine", &mine);
    setup_owner("Others", &others);
    seal_key_make(&key);
    seal_init(&key, 1);
    h2o_config_init(&config);
    h2o_config_register_host(&config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    loops_start(2, &config, on_start);
    pool_start((unsigned[LANES]){2, 1, 1}, 100);
    setup_options.database = url;
    runs_init(&setup_options);
}

void setup_threads(void)
{
    runs_start();
}

struct run_record *setup_run(const struct owner *o, const char *action)
{
    struct run_record *r = run_record_create();
    snprintf(r->instance_id, sizeof r->instance_id, "%s", o->instance.id);
    snprintf(r->plugin_id, sizeof r->plugin_id, "%s", o->plugin.id);
    snprintf(r->project_id, sizeof r->project_id, "%s", o->project_id);
    snprintf(r->deployment_id, sizeof r->deployment_id, "dep");
    snprintf(r->action, sizeof r->action, "%s", action);
    snprintf(r->request_id, sizeof r->request_id, "0123456789abcdef01234567");
    snprintf(r->visitor, sizeof r->visitor, "192.0.2.1");
    r->outcome = "ok";
    r->started_at = clock_real_ms();
    r->ran_ms = 3;
    r->input_bytes = 17;
    return r;
}

void setup_event(struct run_record *r, const char *type, const char *payload)
{
    if (r->events == NULL)
        r->events = json_array();
    json_array_append_new(r->events, json_string(type));
    if (payload != NULL)
        buf_add(&r->payload, str_from(payload));
}

struct waiter {
    struct run_kept kept;
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool is_done;
};

static void on_kept(struct loop_message *m)
{
    struct waiter *w = (struct waiter *)m;
    pthread_mutex_lock(&w->lock);
    w->is_done = true;
    pthread_cond_signal(&w->done);
    pthread_mutex_unlock(&w->lock);
}

enum fail setup_keep(struct run_record *r)
{
    struct waiter w = {.kept.message.run = on_kept,
                       .lock = PTHREAD_MUTEX_INITIALIZER,
                       .done = PTHREAD_COND_INITIALIZER};
    runs_record(r, loop_at(1), &w.kept);
    pthread_mutex_lock(&w.lock);
    while (!w.is_done)
        pthread_cond_wait(&w.done, &w.lock);
    pthread_mutex_unlock(&w.lock);
    return w.kept.fail;
}

int64_t setup_number(const char *sql)
{
    struct fault fault = {0};
    DB_ROWS_AUTO rows = NULL;
    OK(db_query(setup_db, &fault, &rows, sql));
    return db_count(rows) != 0 ? db_get_int(rows, 0, 0) : -1;
}

void setup_sql(const char *sql)
{
    struct fault fault = {0};
    OK(db_script(setup_db, &fault, sql));
}

void setup_wait_for(const char *sql, int64_t want)
{
    int64_t is = 0;
    for (uint64_t until = clock_monotonic_ms() + 20000; clock_monotonic_ms() < until;) {
        if ((is = setup_number(sql)) == want)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    fprintf(stderr, "%s: %lld, not %lld\n", sql, (long long)is, (long long)want);
    abort();
}

uint64_t setup_metric(const char *name)
{
    struct buf text;
    uint64_t value = 0;
    buf_init(&text, 65536);
    runs_metrics(&text);
    for (str rest = buf_str(&text); rest.n != 0;) {
        str line = str_cut(&rest, '\n');
        if (str_starts(line, str_from(name)) && line.p[strlen(name)] == ' ')
            (void)str_to_u64(str_skip(line, strlen(name) + 1), UINT64_MAX, &value);
    }
    buf_fini(&text);
    return value;
}
