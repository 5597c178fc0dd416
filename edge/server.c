// The server, put together: this file reads like a table of contents. Features appear here and
// nowhere else in edge/.
#include "edge/server.h"
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "edge/auth/auth.h"
#include "edge/auth/known.h"
#include "edge/base/log.h"
#include "edge/cage/cage.h"
#include "edge/catalog/catalog.h"
#include "edge/console.h"
#include "edge/data_directory.h"
#include "edge/features.h"
#include "edge/guard/guard.h"
#include "edge/health.h"
#include "edge/http/access.h"
#include "edge/http/h2o.h"
#include "edge/http/management.h"
#include "edge/limits/limits.h"
#include "edge/listener.h"
#include "edge/loop/h2o.h"
#include "edge/master_key.h"
#include "edge/notices.h"
#include "edge/route/router.h"
#include "edge/route/site.h"
#include "edge/scheduler.h"
#include "edge/settings.h"
#include "edge/shutdown.h"
#include "edge/store/blob.h"
#include "edge/store/migrate.h"
#include "edge/supervisor.h"
#include "edge/tls.h"

enum {
    POOL_QUEUE_MAX = 2000,
    DOMAINS_THREADS = 6,
    EXCHANGE_THREADS = 4,
    DATA_THREADS = 4,
    STREAM_BYTES = 8 * 1024, // what an HTTP/2 request takes that is open, at least
};

static struct settings settings;
static h2o_globalconf_t config;
static struct guard_loop guards[LOOPS_MAX];
static const struct listener_fd *listeners;
static size_t listener_count;
static char *token_file, *bodies;

#ifdef STOA_ASAN
// libh2o keeps recyclers per thread, and its loops are left as they are: it cannot tear them down (edge/loop/h2o.h).
void __lsan_do_leak_check(void);
const char *__lsan_default_options(void);
const char *__lsan_default_suppressions(void);
const char *__lsan_default_options(void)
{
    return "print_suppressions=0";
}

const char *__lsan_default_suppressions(void)
{
    return "leak:h2o_mem_alloc_recycle\nleak:h2o_buffer_\nleak:h2o_evloop_create\nleak:h2o_context_"
           "init\n";
}
#endif

// --- state ---

// Idempotent: run at the start, and again on each new connection of the notices thread, in case the
// database was away then.
static enum fail prepare_database(struct db *db, struct fault *fault)
{
    size_t n;
    const struct migration *all = features_migrations(&n);
    enum fail fail = migrate(db, all, n, fault);
    if (fail == FAIL_NONE)
        fail = master_key_prepare(db, fault);
    if (fail == FAIL_NONE)
        fail = auth_first_start(db, token_file, fault);
    return fail;
}

static enum fail start_state(struct fault *fault)
{
    token_file = data_path(&settings, DATA_OWNER_TOKEN);
    AUTOFREE char *key_file = data_path(&settings, DATA_MASTER_KEY);
    master_key_init(settings.master_key, key_file);
    explicit_bzero(settings.master_key, strlen(settings.master_key));
    db_configure(settings.database);
    AUTOFREE char *blobs = data_path(&settings, DATA_BLOBS);
    enum fail fail = blob_open(blobs, fault);
    if (fail != FAIL_NONE)
        return fail;
    struct db *db = NULL;
    fail = db_open(settings.database, &db, fault);
    if (fail == FAIL_NONE)
        fail = prepare_database(db, fault);
    db_close(db);
    if (fail == FAIL_BUSY) {
        log_warn("starting without the database", "reason=%s",
                 LOG_STR(str_from(fault->public_text)));
        return FAIL_NONE; // cold apps answer 503 until it is there; the notices thread prepares it
                          // then
    }
    return fail;
}

// --- services ---

static const char *project_of(const struct principal *p)
{
    return p->project_id;
}

static void start_services(void)
{
    management_init(auth_authenticate, settings.body_memory_total);
    management_take_turns_by(project_of);
    site_init(&(struct site_options){settings.apps_origin, settings.console_origin,
                                     settings.instance_domain, settings.files_origin});
    health_init(settings.admin_token, settings.plugin_database);
    features_init(&settings);
    router_add(health_service());
    router_add(console_service());
}

// --- network ---

static struct body_bound bound_of(const h2o_req_t *req, str method, str authority, str path)
{
    uint16_t port;
    str host = http_host_of(authority, &port);
    return router_body_bound(site_of(http_listener_of(req), host, port), method, path);
}

static size_t body_limit(void *ctx, h2o_req_t *req, str method, str authority, str path)
{
    return bound_of(req, method, authority, path).max;
}

// Whoever shows a credential that was good lately, for that project; else an address.
static struct share_holder body_sender(void *ctx, h2o_req_t *req)
{
    uint64_t project = auth_known_project(http_authorization_of(req));
    if (project != 0)
        return share_holder_of_project(project);
    struct ip visitor = http_visitor_of(req);
    return share_holder_of_address(&visitor);
}

static bool is_proxy(void *ctx, h2o_req_t *req)
{
    struct sockaddr_storage sa;
    return req->conn->callbacks->get_peername(req->conn, (struct sockaddr *)&sa) != 0 &&
           http_is_trusted_proxy((struct sockaddr *)&sa);
}

static void add_header(h2o_req_t *req, const char *name, const char *value)
{
    h2o_iovec_t v = h2o_strdup(&req->pool, value, SIZE_MAX);
    h2o_add_header_by_str(&req->pool, &req->res.headers, name, strlen(name), 0, NULL, v.base,
                          v.len);
}

// A 413 in the words of whose path it is, for whoever may read them.
static void find_words(h2o_req_t *req, const struct guard_refusal *why, const char **code,
                       const char **message)
{
    str path = str_of(req->input.path.base, req->input.path.len);
    struct body_bound bound =
        bound_of(req, str_of(req->input.method.base, req->input.method.len),
                 str_of(req->input.authority.base, req->input.authority.len), str_cut(&path, '?'));
    if (why->status == 413 && bound.code != NULL) {
        *code = bound.code;
        *message = bound.message;
    }
    if (!bound.is_for_pages)
        return;
    add_header(req, "vary", "Origin"); // as on this path's other answers
    add_header(req, "access-control-allow-origin", "*");
    add_header(req, "access-control-expose-headers", "Retry-After, X-Request-Id");
}

// The contract's error form for what the guard refuses; a request that could be read gets an id
// too.
static const char *error_body(void *ctx, h2o_req_t *req, const struct guard_refusal *why,
                              struct buf *to)
{
    const char *code = why->code, *message = why->message;
    if (req != NULL && req->input.path.len != 0)
        find_words(req, why, &code, &message);
    buf_addf(to, "{\"error\":true,\"code\":\"%s\",\"message\":\"%s\"", code, message);
    char id[TOKEN_REQUEST_ID_ROOM] = "";
    if (req != NULL) {
        token_request_id(id);
        add_header(req, "x-request-id", id);
        buf_addf(to, ",\"requestId\":\"%s\"", id);
    }
    buf_add(to, STR("}\n"));
    http_log_refused(req, id, why->status, to->n);
    return "application/json";
}

static struct guard_policy policy_of(const struct settings *s)
{
    struct guard_policy p;
    guard_policy_defaults(&p);
    p.body_limit = body_limit;
    p.body_sender = body_sender;
    p.is_proxy = is_proxy;
    p.error_body = error_body;
    p.header_bytes = s->header_bytes;
    p.header_count = s->header_count;
    p.target_length = s->target_length;
    p.handshake_timeout = s->handshake_timeout;
    p.header_timeout = s->header_timeout;
    p.body_timeout = s->body_timeout;
    p.write_timeout = s->write_timeout;
    p.idle_timeout = s->idle_timeout;
    p.minimum_rate = s->minimum_rate;
    p.body_memory_per_connection = s->body_memory_per_connection;
    p.body_memory_total = s->body_memory_total;
    p.streams_total = s->body_memory_total / STREAM_BYTES;
    p.body_directory = bodies;
    p.body_disk_total = s->body_disk_total;
    return p;
}

static struct listener_limits limits_of(const struct settings *s)
{
    return (struct listener_limits){s->connections, s->connections_per_address,
                                    s->handshakes_per_second, s->handshakes_per_address};
}

static str console_host(void)
{
    bool is_tls;
    str host = {0};
    uint16_t port;
    if (!site_parse_origin(settings.console_origin, &is_tls, &host, &port))
        return STR("localhost");
    return host;
}

// As the settings' check has let them pass.
static void trust_proxies(void)
{
    static struct http_proxies proxies;
    str bad;
    if (http_proxies_parse(&proxies, str_from(settings.trusted_proxies),
                           str_from(settings.proxy_header), &bad))
        http_trust_proxies(&proxies);
}

static void on_loop_start(struct loop *loop)
{
    struct guard_loop *guard = &guards[loop_index(loop)];
    guard_loop_init(guard, loop_h2o(loop));
    access_log_start(loop);
    router_loop_start(loop);
    listener_start(loop, guard, listeners, listener_count);
}

static enum fail start_network(struct fault *fault)
{
    bodies = data_path(&settings, DATA_BODIES);
    struct guard_policy policy = policy_of(&settings);
    guard_start(&policy);
    http_set_body_keeper(guard_keep_body, guard_release_body);
    enum fail fail = guard_selftest(fault);
    if (fail == FAIL_NONE && settings.certificate_count != 0)
        fail = tls_init(settings.certificates, settings.certificate_count, console_host(),
                        settings.ticket_interval, fault);
    if (fail != FAIL_NONE)
        return fail;
    access_log_open(settings.access_log);
    limits_init();
    trust_proxies();
    h2o_config_init(&config);
    config.server_name = h2o_iovec_init(H2O_STRLIT("stoa"));
    struct listener_limits limits = limits_of(&settings);
    listener_init(&config, &limits, router_on_request);
    guard_configure(&config);
    listener_count = supervisor_listeners(&listeners);
    for (size_t i = 0; i != listener_count; ++i)
        guard_listener_options(listeners[i].fd);
    unsigned cores = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    loops_start(settings.threads != 0 ? (unsigned)settings.threads : cores, &config, on_loop_start);
    return FAIL_NONE;
}

// --- life ---

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // guards these, and settings once started
static pthread_cond_t stop_asked = PTHREAD_COND_INITIALIZER;
static bool must_stop, has_started;
static int early_reload = -1; // new settings that came while we were starting with the old ones

static void use_policy(struct loop *loop, void *policy)
{
    guard_loop_reload(&guards[loop_index(loop)], policy);
}

// Takes fd.
static void reload(int fd)
{
    struct settings fresh;
    struct fault fault = {0};
    char changed[1024], ignored[1024];
    enum fail fail = settings_from_fd(&fresh, fd, &fault);
    close(fd);
    if (fail != FAIL_NONE) {
        log_error("the new settings cannot be read", "reason=%s",
                  LOG_STR(str_from(fault.log_text)));
        return;
    }
    settings_reload(&settings, &fresh, changed, ignored, sizeof changed);
    settings_fini(&fresh);
    settings_apply_log(&settings);
    struct listener_limits limits = limits_of(&settings);
    listener_set_limits(&limits);
    struct guard_policy policy = policy_of(&settings);
    loop_broadcast_wait(use_policy, &policy);
    management_set_memory(settings.body_memory_total);
    access_log_reopen();
    if (settings.certificate_count != 0 && tls_context() != NULL &&
        tls_replace(settings.certificates, settings.certificate_count, console_host(), &fault) !=
            FAIL_NONE)
        log_error("the certificates were not changed", "reason=%s",
                  LOG_STR(str_from(fault.public_text)));
    log_info("the new settings are in force", "changed=%s", LOG_STR(str_from(changed)));
}

static void on_control(enum control_type type, int fd)
{
    pthread_mutex_lock(&lock);
    if (type != CONTROL_RELOAD) {
        must_stop = true;
        pthread_cond_signal(&stop_asked);
    } else if (has_started) {
        reload(fd);
    } else {
        if (early_reload >= 0)
            close(early_reload);
        early_reload = fd;
    }
    pthread_mutex_unlock(&lock);
}

static void end_of_start(void)
{
    pthread_mutex_lock(&lock);
    has_started = true;
    if (early_reload >= 0)
        reload(early_reload);
    pthread_mutex_unlock(&lock);
}

static void wait_for_stop(void)
{
    pthread_mutex_lock(&lock);
    while (!must_stop)
        pthread_cond_wait(&stop_asked, &lock);
    pthread_mutex_unlock(&lock);
}

static void harden(void)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN); // Ctrl-C reaches the whole group; the supervisor says what follows
    signal(SIGHUP, SIG_IGN);
#if !defined(STOA_ASAN) && !defined(STOA_TSAN)
    prctl(PR_SET_DUMPABLE, 0);
#endif
}

static int give_up(const struct fault *fault)
{
    log_error("the server cannot start", "code=%s reason=%s detail=%s", fault->code,
              LOG_STR(str_from(fault->public_text)), LOG_STR(str_from(fault->log_text)));
    return fault->fail == FAIL_REFUSED || fault->fail == FAIL_BAD_INPUT ? SERVER_EXIT_REFUSED : 1;
}

// Without exit's handlers: threads that wait for the database are still at work, and those would
// take OpenSSL away under them.
_Noreturn static void leave(int status)
{
#ifdef STOA_ASAN
    __lsan_do_leak_check();
#endif
    _exit(status);
}

int server_main(void)
{
    struct fault fault = {0};
    pthread_setname_np(pthread_self(), "stoa"); // started as /proc/self/exe
    log_set_role("server");
    harden();
    if (settings_from_fd(&settings, SETTINGS_FD, &fault) != FAIL_NONE)
        return give_up(&fault);
    settings_apply_log(&settings);
    cage_connect(CONTROL_FD, features_worker_ended, on_control);
    if (start_state(&fault) != FAIL_NONE)
        return give_up(&fault);
    start_services();
    if (features_check(&settings, &fault) != FAIL_NONE)
        return give_up(&fault);
    unsigned threads[LANES] = {[LANE_API] = (unsigned)settings.api_threads,
                               [LANE_INGEST] = (unsigned)settings.ingest_threads,
                               [LANE_LOAD] = (unsigned)settings.load_threads,
                               [LANE_FILES] = (unsigned)settings.files_threads,
                               [LANE_DOMAINS] = DOMAINS_THREADS,
                               [LANE_EXCHANGE] = EXCHANGE_THREADS,
                               [LANE_DATA] = DATA_THREADS};
    pool_start(threads, POOL_QUEUE_MAX);
    if (start_network(&fault) != FAIL_NONE)
        return give_up(&fault);
    notices_start(settings.database, prepare_database, features_channels);
    features_start();
    scheduler_add("look at dependencies", 0, HEALTH_LOOK_MS, health_look);
    scheduler_start();
    end_of_start();
    if (cage_say(CONTROL_READY) != FAIL_NONE)
        return 1;
    wait_for_stop();
    scheduler_stop();
    for (size_t i = 0; i != listener_count; ++i)
        close(listeners[i].fd); // the loops have their own, until they are told
    shutdown_run(guards, features_running, settings.shutdown_timeout);
    features_stop();
    if (cage_say(CONTROL_DRAINED) != FAIL_NONE)
        log_warn("the supervisor has gone", "control=%d", CONTROL_FD);
    leave(0);
}
