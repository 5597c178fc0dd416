#include "ground.h"
#include "edge/loop/h2o.h"
#include "edge/loop/pool.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "edge/base/seal.h"
#include "edge/catalog/catalog.h"
#include "edge/limits/limits.h"
#include "edge/store/blob.h"
#include "tests/harness/postgres.h"

struct db *ground_db;
char ground_blobs[64];
static h2o_globalconf_t config;
static struct fault fault;

static void ok(enum fail f)
{
    if (f != FAIL_NONE)
        fail_msg("%d %s: %s | %s", (int)f, fault.code, fault.public_text, fault.log_text);
}

static void migrate_all(void)
{
    static struct migration all[32];
    size_t n = 0;
    for (size_t i = 0; i != catalog_migration_count; ++i)
        all[n++] = catalog_migrations[i];
    for (size_t i = 0; i != uploads_migration_count; ++i)
        all[n++] = uploads_migrations[i];
    ok(migrate(ground_db, all, n, &fault));
}

static void on_start(struct loop *loop)
{
}

uint64_t ground_quota_bytes = GROUND_QUOTA_BYTES, ground_quota_files = GROUND_QUOTA_FILES;
unsigned ground_threads = 4;

int ground_begin(void **state)
{
    struct seal_key key;
    const char *url = postgres_start();
    signal(SIGPIPE, SIG_IGN);
    limits_init();
    seal_key_make(&key);
    seal_init(&key, 1);
    db_configure(url);
    ok(db_open(url, &ground_db, &fault));
    migrate_all();
    strcpy(ground_blobs, "/tmp/stoa-files-XXXXXX");
    assert_non_null(mkdtemp(ground_blobs));
    ok(blob_open(ground_blobs, &fault));
    uploads_init(&(struct uploads_options){.apps_origin = "http://127.0.0.1:8080",
                                           .files_origin = "",
                                           .instance_domain = "",
                                           .instance_scheme = "http",
                                           .instance_port = "",
                                           .quota_bytes = ground_quota_bytes,
                                           .quota_files = ground_quota_files});
    h2o_config_init(&config);
    h2o_config_register_host(&config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    pool_start((unsigned[LANES]){[LANE_API] = 1,
                                 [LANE_INGEST] = 1,
                                 [LANE_LOAD] = 1,
                                 [LANE_FILES] = ground_threads,
                                 [LANE_DOMAINS] = 1},
               64);
    loops_start(1, &config, on_start);
    return 0;
}

int ground_end(void **state)
{
    char command[100];
    pool_drain(5000);
    loops_stop();
    db_close(ground_db);
    postgres_stop();
    snprintf(command, sizeof command, "rm -rf %s", ground_blobs);
    return system(command);
}

struct files_owner ground_owner(const char *name)
{
    struct files_owner o = {0};
    struct plugin plugin;
    struct instance i;
    bool is_new;
    ok(db_begin(ground_db, &fault));
    ok(catalog_project_create(ground_db, str_from(name), o.project_id, o.owner_id, &fault));
    ok(catalog_plugin_upsert(ground_db, o.project_id, STR("intake"), STR("Intake"), STR("1"),
                             STR("tool"), &plugin, &is_new, &fault));
    ok(catalog_instance_create(ground_db, o.project_id, &plugin, &i, &fault));
    ok(db_commit(ground_db, &fault));
    memcpy(o.plugin_id, plugin.id, sizeof o.plugin_id);
    memcpy(o.instance_id, i.id, sizeof o.instance_id);
    memcpy(o.instance_slug, i.slug, sizeof o.instance_slug);
    return o;
}

uint64_t ground_count(const struct files_owner *o, const char *type)
{
    struct page page;
    struct file *list;
    size_t n;
    struct file_filter filter = {
        .project_id = o->project_id, .plugin_id = o->plugin_id, .type = str_from(type)};
    ok(page_init(&page, STR(""), 1000, &fault));
    ok(file_list(ground_db, &filter, &page, &list, &n, &fault));
    free(list);
    return n;
}

void ground_on_loop(void (*fn)(struct loop *loop, void *arg), void *arg)
{
    loop_broadcast_wait(fn, arg);
}

// --- waiting ---

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t told = PTHREAD_COND_INITIALIZER;

static void set(bool *flag)
{
    pthread_mutex_lock(&lock);
    *flag = true;
    pthread_cond_broadcast(&told);
    pthread_mutex_unlock(&lock);
}

static void wait_for(bool *flag)
{
    pthread_mutex_lock(&lock);
    while (!*flag)
        pthread_cond_wait(&told, &lock);
    pthread_mutex_unlock(&lock);
}

// --- the cage, played ---

enum fail inspect_file(str bytes, struct inspect_seen *ret, struct fault *f)
{
    *ret = (struct inspect_seen){0};
    if (str_starts(bytes, STR("CRASH")))
        return fault_set(f, FAIL_BUSY, "inspection_failed", "Try again.");
    ret->has_active = str_starts(bytes, STR("<html"));
    snprintf(ret->mime, sizeof ret->mime, "%s",
             str_starts(bytes, STR("\x89PNG"))        ? "image/png"
             : str_starts(bytes, STR("\xff\xd8\xff")) ? "image/jpeg"
             : str_starts(bytes, STR("%PDF"))         ? "application/pdf"
             : ret->has_active                        ? "text/html"
                                                      : "text/plain");
    return FAIL_NONE;
}

static size_t at_gate;
static bool gate_is_closed;

void ground_gate(bool is_closed)
{
    pthread_mutex_lock(&lock);
    gate_is_closed = is_closed;
    pthread_cond_broadcast(&told);
    pthread_mutex_unlock(&lock);
}

size_t ground_at_gate(void)
{
    pthread_mutex_lock(&lock);
    size_t n = at_gate;
    pthread_mutex_unlock(&lock);
    return n;
}

static void pass_gate(void)
{
    pthread_mutex_lock(&lock);
    ++at_gate;
    while (gate_is_closed)
        pthread_cond_wait(&told, &lock);
    --at_gate;
    pthread_mutex_unlock(&lock);
}

bool inspect_can_clean(const char *mime)
{
    return strcmp(mime, "image/jpeg") == 0;
}

enum fail inspect_clean_image(str bytes, const char *mime, char **ret, size_t *ret_n,
                              struct fault *f)
{
    *ret = NULL;
    if (!inspect_can_clean(mime))
        return FAIL_NONE;
    pass_gate();
    if (str_ends(bytes, STR("damaged")))
        return fault_set(f, FAIL_REFUSED, "damaged_image", "This image is damaged.");
    *ret_n = bytes.n + 6;
    *ret = malloc(*ret_n);
    memcpy(*ret, bytes.p, bytes.n);
    memcpy(*ret + bytes.n, "-clean", 6);
    return FAIL_NONE;
}

// --- asking ---

struct sent {
    struct files_upload *upload;
    bool is_over;
};

static void on_stored(struct files_upload *u)
{
    struct sent *s = u->_;
    set(&s->is_over);
}

static void send_it(struct loop *loop, void *arg)
{
    files_receive(((struct sent *)arg)->upload);
}

void ground_receive(struct files_upload *u, const struct files_owner *o, const char *content_type,
                    str body)
{
    struct sent s = {.upload = u};
    struct request r = {.body = body}; // whose body is small, and so copied
    bool strips = u->strips_images;
    *u = (struct files_upload){.owner = *o,
                               .body = body_take(&r),
                               .content_type = strdup(content_type),
                               .visitor = "192.0.2.7",
                               .request_id = "0123456789abcdef01234567",
                               .strips_images = strips,
                               .on_stored = on_stored,
                               ._ = &s};
    loop_broadcast_wait(send_it, &s);
    wait_for(&s.is_over);
}

struct asking {
    struct files_question question; // first
    const char *op, *args;
    char *answer;
    bool is_error, is_over;
};

static void on_answer(struct files_question *q, bool is_error, str json)
{
    struct asking *a = (struct asking *)q;
    a->answer = str_dup(json);
    a->is_error = is_error;
    set(&a->is_over);
}

static void ask(struct loop *loop, void *arg)
{
    struct asking *a = arg;
    files_ask(&a->question, str_from(a->op), str_from(a->args));
}

char *ground_ask(const struct files_owner *o, const char *op, const char *args, bool *ret_is_error)
{
    struct asking a = {.question = {.owner = *o, .on_answer = on_answer}, .op = op, .args = args};
    loop_broadcast_wait(ask, &a);
    wait_for(&a.is_over);
    *ret_is_error = a.is_error;
    return a.answer;
}
