// /healthz (the process turns), /readyz (it can serve: details per dependency), /metrics
// (Prometheus text format).
#include "edge/health.h"
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>
#include "edge/base/clock.h"
#include "edge/base/digest.h"
#include "edge/guard/guard.h"
#include "edge/http/access.h"
#include "edge/http/management.h"
#include "edge/listener.h"
#include "edge/route/router.h"
#include "edge/store/blob.h"
#include "edge/store/db.h"
#include "edge/store/faults.h"

enum { METRICS_MAX = 256 * 1024 };
static char *required_token = "", *plugins_url = "";

void health_init(const char *admin_token, const char *plugin_database)
{
    required_token = str_dup(str_from(admin_token));
    plugins_url = str_dup(str_from(plugin_database));
}

static void on_healthz(struct request *r)
{
    reply_json(r, 200, json_pack("{s:s, s:s}", "status", "ok", "version", STOA_VERSION));
}

// --- readiness ---

// What is looked at now and then. `down_since`: real ms of the first look in vain; 0: it is there,
// or nobody has looked yet.
struct dependency {
    const char *name, *effect;
    bool (*is_there)(void);
    _Atomic int64_t down_since;
};

static bool plugins_answer(void)
{
    struct db *db = NULL;
    struct fault fault = {0};
    enum fail fail = plugins_url[0] != '\0' ? db_open_other(plugins_url, &db, &fault) : FAIL_NONE;
    db_close(db);
    return fail == FAIL_NONE;
}

static struct dependency dependencies[] = {
    {.name = "pluginDatabase",
     .effect = "Plugins' own data answers 503; apps, deploys and management go on.",
     .is_there = plugins_answer},
    {.name = "blobs",
     .effect = "Deploys and uploads are refused; what was deployed is served.",
     .is_there = blob_is_writable},
};
enum { DEPENDENCIES = sizeof dependencies / sizeof dependencies[0] };

void health_look(void)
{
    for (size_t i = 0; i != DEPENDENCIES; ++i) {
        struct dependency *d = &dependencies[i];
        if (d->is_there())
            atomic_store(&d->down_since, 0);
        else if (atomic_load(&d->down_since) == 0)
            atomic_store(&d->down_since, clock_real_ms());
    }
}

static json_t *dependency_json(int64_t down_since, const char *effect)
{
    char text[CLOCK_RFC3339_ROOM];
    if (down_since == 0)
        return json_pack("{s:b}", "ok", 1);
    clock_rfc3339(down_since, text);
    return json_pack("{s:b, s:s, s:s}", "ok", 0, "since", text, "effect", effect);
}

// Pages that are cached are served without PostgreSQL, so its absence makes the answer "degraded",
// not an end: 503 tells a balancer to prefer another node, the body tells an operator what is
// missing. Without the others, which any tenant might exhaust, visitors still get their pages: no
// reason to send them away.
static void on_readyz(struct request *r)
{
    int64_t since = 0;
    bool has_database = db_is_healthy(&since), has_all = has_database;
    json_t *list = json_object();
    json_object_set_new(
        list, "database",
        dependency_json(has_database ? 0 : since,
                        "Cached apps are served; cold apps, deploys and management answer 503."));
    for (size_t i = 0; i != DEPENDENCIES; ++i) {
        int64_t down_since = atomic_load(&dependencies[i].down_since);
        json_object_set_new(list, dependencies[i].name,
                            dependency_json(down_since, dependencies[i].effect));
        has_all = has_all && down_since == 0;
    }
    reply_json(
        r, has_database ? 200 : 503,
        json_pack("{s:s, s:o}", "status", has_all ? "ready" : "degraded", "dependencies", list));
}

// --- metrics ---

static void put_counter(struct buf *to, const char *name, const char *help, const char *type,
                        uint64_t value)
{
    buf_addf(to, "# HELP stoa_%s %s\n# TYPE stoa_%s %s\nstoa_%s %llu\n", name, help, name, type,
             name, (unsigned long long)value);
}

static void put_http(struct buf *to)
{
    static const char *const classes[6] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
    struct http_counters c = http_counters();
    buf_add(to, STR("# HELP stoa_requests_total Requests by status class (none: the client left "
                    "before an answer).\n"
                    "# TYPE stoa_requests_total counter\n"));
    for (size_t i = 0; i != 6; ++i)
        buf_addf(to, "stoa_requests_total{class=\"%s\"} %llu\n", classes[i],
                 (unsigned long long)c.requests[i]);
    put_counter(to, "response_body_bytes_total", "Body bytes handed to connections.", "counter",
                c.body_bytes);
    put_counter(to, "access_log_dropped_total",
                "Access log lines dropped since the disk was slower than the load, or could not be "
                "written.",
                "counter", c.log_lines_dropped);
}

static void put_guard(struct buf *to)
{
    struct guard_counters g = guard_counters();
    put_counter(to, "guard_bad_heads_total", "Requests whose head could not be accepted (400).",
                "counter", g.bad_heads);
    put_counter(to, "guard_large_heads_total", "Heads or targets over the limit (431, 414).",
                "counter", g.large_heads);
    put_counter(to, "guard_large_bodies_total", "Bodies over the limit (413).", "counter",
                g.large_bodies);
    put_counter(to, "guard_busy_total",
                "Bodies (503) and HTTP/2 requests (REFUSED_STREAM) refused for want of room.",
                "counter", g.busy);
    put_counter(to, "guard_disk_full_total", "Bodies refused for want of disk (507).", "counter",
                g.disk_full);
    put_counter(to, "guard_timeouts_total", "Slow heads, bodies and readers that were ended.",
                "counter", g.timeouts);
    put_counter(to, "guard_calmed_total", "HTTP/2 connections ended for abuse (ENHANCE_YOUR_CALM).",
                "counter", g.calmed);
    put_counter(to, "guard_averted_aborts_total", "Frames that would have aborted the process.",
                "counter", g.averted_aborts);
    put_counter(to, "guard_averted_loops_total", "Frames that would have hung a loop.", "counter",
                g.averted_loops);
    put_counter(to, "request_body_bytes_buffered", "Request bytes held in memory now.", "gauge",
                g.buffered);
    put_counter(to, "request_body_bytes_stored", "Bytes of files for request bodies now.", "gauge",
                g.stored);
}

static void put_process(struct buf *to)
{
    struct listener_counters l = listener_counters();
    put_counter(to, "connections_open", "Connections open now.", "gauge", l.open);
    put_counter(to, "connections_accepted_total", "Connections accepted.", "counter", l.accepted);
    put_counter(to, "connections_refused_full_total", "Connections refused at the server's limit.",
                "counter", l.refused_full);
    put_counter(to, "connections_refused_address_total",
                "Connections refused at an address's limit.", "counter", l.refused_address);
    put_counter(to, "handshakes_refused_total", "TLS handshakes refused at a rate limit.",
                "counter", l.refused_handshakes);
    put_counter(to, "management_calls_running", "Management calls running or queued.", "gauge",
                management_running());
    put_counter(to, "ingest_queue_length", "Deploys waiting for a thread.", "gauge",
                pool_queued(LANE_INGEST));
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    buf_addf(to, "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total %ld.%06ld\n",
             u.ru_utime.tv_sec + u.ru_stime.tv_sec +
                 (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000000,
             (u.ru_utime.tv_usec + u.ru_stime.tv_usec) % 1000000);
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f != NULL) {
        if (fscanf(f, "%*d %ld", &pages) != 1)
            pages = 0;
        fclose(f);
    }
    buf_addf(to, "# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes %ld\n",
             pages * sysconf(_SC_PAGESIZE));
    int64_t since;
    buf_addf(to, "# TYPE stoa_database_up gauge\nstoa_database_up %d\n", db_is_healthy(&since));
}

static void on_metrics(struct request *r)
{
    struct buf text;
    buf_init(&text, METRICS_MAX);
    put_http(&text);
    put_guard(&text);
    put_process(&text);
    router_metrics(&text);
    char *copy = request_alloc(r, text.n);
    memcpy(copy, text.p, text.n);
    reply_add(r, "content-type", STR("text/plain; version=0.0.4; charset=utf-8"));
    reply_add(r, "cache-control", STR("no-store"));
    str body = str_of(copy, text.n);
    buf_fini(&text);
    reply_bytes(r, 200, NULL, body, NULL);
}

static bool is_authorised(struct request *r)
{
    str given = request_header(r, HEADER_AUTHORIZATION);
    return required_token[0] == '\0' ||
           (str_starts(given, STR("Bearer ")) &&
            digest_secret_eq(str_skip(given, 7), str_from(required_token)));
}

static void refuse_stranger(struct request *r)
{
    reply_add(r, "www-authenticate", STR("Bearer realm=\"stoa admin\"")); // RFC 9110 §15.5.2
    reply_error(r, 401, "unauthorized", "The admin listener needs the admin_token of the settings.",
                NULL, 0);
}

#ifdef STOA_FAULTS
// For tests of sanitizer and debug builds, and not in any other: ?nth=3 makes the third call from
// now of database or blobs fail; the answer says whether the one armed before has failed.
static void on_faults(struct request *r)
{
    uint64_t n;
    bool fired = faults_have_fired();
    if (str_starts(r->query, STR("nth=")) && str_to_u64(str_skip(r->query, 4), 1000000, &n))
        faults_at(n);
    reply_json(r, 200, json_pack("{s:b}", "fired", fired));
}
#endif

static void on_request(struct request *r)
{
    static const struct {
        str path;
        void (*answer)(struct request *r);
    } pages[] = {
#ifdef STOA_FAULTS
        {{"/faults", 7}, on_faults},
#endif
        {{"/healthz", 8}, on_healthz},
        {{"/readyz", 7}, on_readyz},
        {{"/metrics", 8}, on_metrics}};
    r->route = "health";
    for (size_t i = 0; i != sizeof pages / sizeof pages[0]; ++i) {
        if (!str_eq(r->path, pages[i].path))
            continue;
        if (r->method == METHOD_OPTIONS)
            reply_options(r, "GET, HEAD, OPTIONS");
        else if (r->method != METHOD_GET && r->method != METHOD_HEAD)
            reply_method_not_allowed(r, "GET, HEAD, OPTIONS");
        else if (!is_authorised(r))
            refuse_stranger(r);
        else
            pages[i].answer(r);
        return;
    }
    reply_error(r, 404, "not_found", "Here are /healthz, /readyz and /metrics.", NULL, 0);
}

struct service *health_service(void)
{
    static struct service service = {
        .name = "health", .sites = 1 << SITE_ADMIN, .prefix = "/", .on_request = on_request};
    return &service;
}
