// The deliverer: one thread that claims what is due, has a loop send it, and writes down how it
// went. A claim is a lease: when this process dies with it, the row falls due again by itself, and
// the subscriber may hear of the event twice (webhook-id tells). Redirects are not followed: a
// subscriber's answer must not choose where a signed body goes.
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"
#include "edge/base/log.h"
#include "edge/client/fetch.h"
#include "public-actions/runs/internal.h"

enum {
    AT_ONCE = 32,            // deliveries under way, of this node
    AT_ONCE_PER_PROJECT = 4, // a slow subscriber leaves room for the others,
    AT_ONCE_FIRST = 8,       // and so do many: places for projects that have none under way
    LEASE_SPARE_MS = 30 * 1000,
    LOOK_MS = 5000, // for what other nodes left behind
    AWAY_MS = 1000,
    DELAY_MAX_MS = 4 * 3600 * 1000,
    FAILURE_ROOM = 240,
};

struct delivery {
    struct loop_message message;
    struct delivery *next;
    struct due_delivery due;
    struct buf body;
    char timestamp[24], signature[EVENT_SIGNATURE_ROOM];
    bool is_done, is_final; // delivered; or not, and never to be tried again
    char failure[FAILURE_ROOM];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // guards these
static pthread_cond_t changed;
static struct delivery *finished;
static bool is_woken, must_stop, has_stopped;
static struct {
    _Atomic uint64_t delivered, failed, dead;
} totals;

// The thread's own.
static struct db *connection;
static struct {
    char project_id[CATALOG_ID_ROOM];
    unsigned n;
} under_way[AT_ONCE];
static unsigned under_way_total;
static char walked_to[CATALOG_ID_ROOM]; // through the projects; "": from the first
static bool has_found;                  // something to deliver, since the first

// --- a loop sends it ---

static void delivery_free(struct delivery *d)
{
    deliver_due_fini(&d->due);
    buf_fini(&d->body);
    free(d);
}

static void give_back(struct delivery *d)
{
    pthread_mutex_lock(&lock);
    d->next = finished;
    finished = d;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static void on_answer(void *arg, const struct fetch_answer *a)
{
    struct delivery *d = arg;
    d->is_done = a->fail == FAIL_NONE && a->status / 100 == 2;
    d->is_final = a->fail == FAIL_NONE && a->status == 410; // gone: RFC 9110 §15.5.11
    if (a->fail != FAIL_NONE)
        snprintf(d->failure, sizeof d->failure, "%s: %s", a->code, a->message);
    else if (a->status / 100 == 3)
        snprintf(d->failure, sizeof d->failure,
                 "It answered %u; redirects are not followed: subscribe with the final URL.",
                 a->status);
    else
        snprintf(d->failure, sizeof d->failure, "It answered %u.", a->status);
    run_text_clean(d->failure, strlen(d->failure));
    give_back(d);
}

static void send_it(struct loop_message *m)
{
    struct delivery *d = (struct delivery *)m;
    const struct fetch_header headers[] = {
        {STR("content-type"), STR("application/json")},
        {STR("user-agent"), STR("Stoa-Events/1")},
        {STR("webhook-id"), str_from(d->due.event_id)},
        {STR("webhook-timestamp"), str_from(d->timestamp)},
        {STR("webhook-signature"), str_from(d->signature)},
    };
    struct fetch_request request = {.project_id = str_from(d->due.project_id),
                                    .method = STR("POST"),
                                    .url = str_from(d->due.url),
                                    .headers = headers,
                                    .header_count = sizeof headers / sizeof headers[0],
                                    .body = buf_str(&d->body),
                                    .timeout_ms = (uint32_t)runs_options.delivery_timeout_ms,
                                    .body_max = 1024,
                                    .redirects = 0};
    (void)fetch_start(&request, on_answer, d);
}

// --- making one ---

static void add_member(struct buf *to, const char *name, const char *plain)
{
    buf_addf(to, ",\"%s\":\"%s\"", name, plain); // ids and types of ours: nothing to escape
}

// As the record's writer left it: no space before it. It goes on as it stands, for a subscriber
// reads what some parser of ours would refuse, and a visitor must not choose that nothing is told.
static str data_of(const struct delivery *d)
{
    str data = str_from(d->due.data);
    return str_starts(data, STR("{")) && jsonx_is_valid(data, JSONX_DEPTH_MAX) ? data : STR("{}");
}

static void make_body(struct delivery *d)
{
    char at[CLOCK_RFC3339_ROOM];
    clock_rfc3339(d->due.event_at, at);
    buf_init(&d->body, 2 * RUN_PAYLOAD_MAX);
    buf_addf(&d->body, "{\"id\":\"%s\"", d->due.event_id);
    add_member(&d->body, "type", d->due.type);
    add_member(&d->body, "createdAt", at);
    add_member(&d->body, "instanceId", d->due.instance_id);
    if (d->due.run_id[0] != '\0') // else the server raised it
        add_member(&d->body, "runId", d->due.run_id);
    buf_add(&d->body, STR(",\"data\":"));
    buf_add(&d->body, data_of(d));
    buf_addc(&d->body, '}');
}

static enum fail sign(struct delivery *d, struct fault *fault)
{
    uint8_t key[EVENT_KEY_SIZE];
    int64_t now = clock_real_ms() / 1000;
    enum fail f =
        event_key_unseal(d->due.secret, d->due.project_id, d->due.subscription_id, key, fault);
    if (f != FAIL_NONE)
        return f;
    snprintf(d->timestamp, sizeof d->timestamp, "%lld", (long long)now);
    event_sign(key, d->due.event_id, now, buf_str(&d->body), d->signature);
    explicit_bzero(key, sizeof key);
    return FAIL_NONE;
}

// --- how many are under way, of which project ---

static void count_one(const char *project_id, int by)
{
    size_t unused = AT_ONCE;
    under_way_total += (unsigned)by;
    for (size_t i = 0; i != AT_ONCE; ++i) {
        if (under_way[i].n == 0) {
            unused = i;
        } else if (strcmp(under_way[i].project_id, project_id) == 0) {
            under_way[i].n += (unsigned)by;
            return;
        }
    }
    snprintf(under_way[unused].project_id, CATALOG_ID_ROOM, "%s", project_id);
    under_way[unused].n = (unsigned)by;
}

static unsigned under_way_of(const char *project_id)
{
    for (size_t i = 0; i != AT_ONCE; ++i)
        if (under_way[i].n != 0 && strcmp(under_way[i].project_id, project_id) == 0)
            return under_way[i].n;
    return 0;
}

static json_t *turns_of(const json_t *projects)
{
    json_t *turns = json_object(), *project;
    size_t i;
    json_array_foreach(projects, i, project)
    {
        const char *id = json_string_value(project);
        unsigned n = under_way_of(id);
        if (n < AT_ONCE_PER_PROJECT)
            json_object_set_new(turns, id, json_integer(n));
    }
    return turns;
}

// --- how it went ---

// 5 s, 20 s, 80 s … up to 4 h, each a quarter more or less, so that a subscriber that comes back is
// not met by all at once.
static uint64_t delay_before_next(unsigned attempts)
{
    uint64_t delay = runs_options.delivery_retry_ms;
    for (unsigned i = 1; i < attempts && delay < DELAY_MAX_MS; ++i)
        delay *= 4;
    delay = delay < DELAY_MAX_MS ? delay : DELAY_MAX_MS;
    return delay * 3 / 4 + random_u64() % (delay / 2 + 1);
}

static enum fail write_down(const struct delivery *d, struct fault *fault)
{
    if (d->is_done) {
        ++totals.delivered;
        return runs_query_delivery_done(connection, &d->due, fault);
    }
    uint64_t delay = delay_before_next(d->due.attempts);
    uint64_t age = (uint64_t)(clock_real_ms() - d->due.created_at);
    bool is_dead = d->is_final || age + delay > runs_options.delivery_give_up_ms;
    ++totals.failed;
    totals.dead += is_dead;
    return runs_query_delivery_failed(connection, &d->due, is_dead, delay, str_from(d->failure),
                                      fault);
}

// What cannot be written down falls due again when its lease ends.
static enum fail finish_some(struct fault *fault)
{
    enum fail worst = FAIL_NONE;
    pthread_mutex_lock(&lock);
    struct delivery *list = finished;
    finished = NULL;
    pthread_mutex_unlock(&lock);
    while (list != NULL) {
        struct delivery *d = list;
        list = d->next;
        count_one(d->due.project_id, -1);
        enum fail f = write_down(d, fault);
        worst = f != FAIL_NONE ? f : worst;
        delivery_free(d);
    }
    return worst;
}

// --- claiming ---

static enum fail start_one(struct due_delivery *due, struct fault *fault)
{
    struct delivery *d = calloc(1, sizeof *d);
    if (d == NULL)
        abort();
    d->due = *due;
    if (due->url[0] == '\0' || due->type[0] == '\0') { // subscription or event has gone
        enum fail f = runs_query_delivery_done(connection, &d->due, fault);
        delivery_free(d);
        return f;
    }
    make_body(d);
    if (sign(d, fault) != FAIL_NONE) {
        log_error("an event cannot be signed", "subscription=%s reason=%s", due->subscription_id,
                  LOG_STR(str_from(fault->public_text)));
        snprintf(d->failure, sizeof d->failure, "The secret of this subscription cannot be read.");
        enum fail f = write_down(d, fault);
        delivery_free(d);
        return f;
    }
    count_one(due->project_id, 1);
    d->message.run = send_it;
    loop_post(loop_at((unsigned)d->due.id % loop_count()), &d->message);
    return FAIL_NONE;
}

static enum fail claim_some(size_t *ret_count, struct fault *fault)
{
    struct due_delivery *list AUTOFREE = NULL;
    json_auto_t *projects = NULL;
    enum fail f = runs_query_due_projects(connection, walked_to, &projects, fault);
    json_auto_t *turns = turns_of(projects);
    if (f != FAIL_NONE || json_object_size(turns) == 0)
        return f;
    const struct delivery_claim c = {.turns = turns,
                                     .limit = AT_ONCE - under_way_total,
                                     .per_project = AT_ONCE_PER_PROJECT,
                                     .kept_free = AT_ONCE_FIRST,
                                     .lease_ms = runs_options.delivery_timeout_ms + LEASE_SPARE_MS};
    f = runs_query_deliveries_claim(connection, &c, &list, ret_count, fault);
    for (size_t i = 0; i != *ret_count; ++i) {
        enum fail one = start_one(&list[i], fault);
        f = one != FAIL_NONE ? one : f;
    }
    return f;
}

// *ret_again: there may be more. There is not once all projects were walked and nothing was found.
static enum fail claim(bool *ret_again, struct fault *fault)
{
    size_t n = 0;
    *ret_again = false;
    if (under_way_total == AT_ONCE)
        return FAIL_NONE;
    if (walked_to[0] == '\0')
        has_found = false;
    enum fail f = claim_some(&n, fault);
    has_found = has_found || n != 0;
    *ret_again = f == FAIL_NONE && (has_found || walked_to[0] != '\0');
    return f;
}

// --- the thread ---

static enum fail connect_when_lost(struct fault *fault)
{
    if (connection != NULL && db_is_connected(connection))
        return FAIL_NONE;
    db_close(connection);
    connection = NULL;
    return db_open(runs_options.database, &connection, fault);
}

// Milliseconds until there may be something to do.
static uint64_t work(void)
{
    struct fault fault = {0};
    bool again = false, waits = false;
    int64_t next_ms = LOOK_MS;
    enum fail f = connect_when_lost(&fault);
    if (f == FAIL_NONE)
        f = finish_some(&fault);
    if (f == FAIL_NONE)
        f = claim(&again, &fault);
    if (f == FAIL_NONE && again)
        return 0;
    if (f == FAIL_NONE && under_way_total != AT_ONCE)
        f = runs_query_deliveries_next(connection, &waits, &next_ms, &fault);
    if (f == FAIL_INTERNAL)
        log_error("events are not delivered", "reason=%s", LOG_STR(str_from(fault.log_text)));
    if (f != FAIL_NONE)
        return AWAY_MS;
    if (!waits || next_ms > LOOK_MS)
        return LOOK_MS;
    // due now, and not claimed: its project has its share under way, or another node is at it
    return next_ms > 100 ? (uint64_t)next_ms : under_way_total != 0 ? 500 : 100;
}

static void wait_until(uint64_t at)
{
    struct timespec ts = {.tv_sec = (time_t)(at / 1000), .tv_nsec = (long)(at % 1000) * 1000000};
    while (!is_woken && finished == NULL && !must_stop && clock_monotonic_ms() < at)
        pthread_cond_timedwait(&changed, &lock, &ts);
    is_woken = false;
}

static void *deliver_main(void *arg)
{
    pthread_setname_np(pthread_self(), "deliveries");
    pthread_mutex_lock(&lock);
    while (!must_stop) {
        pthread_mutex_unlock(&lock);
        uint64_t after = work();
        pthread_mutex_lock(&lock);
        wait_until(clock_monotonic_ms() + after);
    }
    pthread_mutex_unlock(&lock);
    db_close(connection);
    connection = NULL;
    pthread_mutex_lock(&lock);
    has_stopped = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return NULL;
}

void deliver_start(void)
{
    pthread_condattr_t attributes;
    pthread_t thread;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (pthread_create(&thread, NULL, deliver_main, NULL) != 0)
        abort();
    pthread_detach(thread);
}

void deliver_wake(void)
{
    pthread_mutex_lock(&lock);
    is_woken = true;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

// What is under way ends with the process: its lease does the rest.
void deliver_stop(void)
{
    uint64_t until = clock_monotonic_ms() + 2000;
    struct timespec ts = {.tv_sec = (time_t)(until / 1000),
                          .tv_nsec = (long)(until % 1000) * 1000000};
    pthread_mutex_lock(&lock);
    must_stop = true;
    pthread_cond_broadcast(&changed);
    while (!has_stopped && clock_monotonic_ms() < until)
        pthread_cond_timedwait(&changed, &lock, &ts);
    pthread_mutex_unlock(&lock);
}

void deliver_metrics(struct buf *to)
{
    buf_addf(to,
             "# HELP stoa_event_deliveries_total Attempts to deliver events, by outcome.\n"
             "# TYPE stoa_event_deliveries_total counter\n"
             "stoa_event_deliveries_total{outcome=\"delivered\"} %llu\n"
             "stoa_event_deliveries_total{outcome=\"failed\"} %llu\n"
             "stoa_event_deliveries_total{outcome=\"given_up\"} %llu\n",
             (unsigned long long)totals.delivered, (unsigned long long)totals.failed,
             (unsigned long long)totals.dead);
}
