// How a connection comes to be: access is fetched on a pool thread, then libpq logs in step by step
// on the loop. A cluster that is away is asked again at growing intervals; until then queries fail
// at once.
#include "public-actions/managed_db/connections.h"
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/log.h"
#include "edge/loop/pool.h"

enum {
    OPEN_MS = 5000,
    RESTORE_MS = 30000, // a role's access is put right at most so often
    FULL_MS = 100,      // after "too many connections"
    PAUSE_MS = 100,     // after a cluster that was not there; doubles
    PAUSE_MAX_MS = 3000,
    REFUSED_MS = 1000,  // after a role could not log in
    NO_ACCESS_MS = 200, // after its access was not to be had
};

static uint64_t now(void)
{
    return loop_now(loop_self());
}

// --- access ---

struct access_job {
    struct job job;
    struct managed_db_role *role;
    bool restore;
    char project_id[CATALOG_ID_ROOM], plugin_id[CATALOG_ID_ROOM];
    struct managed_db_access access;
    char *conninfo, address[48];
    enum fail fail;
    struct fault fault;
};

// libpq would ask for the address of a name on the loop, and wait.
static void find_address(const char *host, char *to, size_t room)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    if (getaddrinfo(host, NULL, &hints, &list) == 0 && list != NULL)
        (void)getnameinfo(list->ai_addr, list->ai_addrlen, to, (socklen_t)room, NULL, 0,
                          NI_NUMERICHOST);
    if (list != NULL)
        freeaddrinfo(list);
}

static const char *option(const PQconninfoOption *options, const char *keyword)
{
    for (; options->keyword != NULL; ++options)
        if (strcmp(options->keyword, keyword) == 0)
            return options->val != NULL ? options->val : "";
    return "";
}

static void resolve(struct access_job *j)
{
    PQconninfoOption *options = PQconninfoParse(j->conninfo, NULL);
    if (options == NULL)
        return;
    const char *host = option(options, "host");
    if (host[0] != '\0' && host[0] != '/' && host[0] != '@' &&
        option(options, "hostaddr")[0] == '\0')
        find_address(host, j->address, sizeof j->address);
    PQconninfoFree(options);
}

static void on_access_run(struct job *job)
{
    struct access_job *j = (struct access_job *)job;
    struct db *db = db_of_thread();
    if (j->restore)
        j->fail = managed_db_role_restore(db, j->project_id, j->plugin_id, &j->fault);
    if (j->fail == FAIL_NONE)
        j->fail = managed_db_access(db, j->project_id, j->plugin_id, &j->access, &j->fault);
    if (j->fail != FAIL_NONE)
        return;
    j->conninfo = managed_db_conninfo(&j->access);
    resolve(j);
}

static void on_access_done(struct job *job)
{
    struct access_job *j = (struct access_job *)job;
    struct managed_db_role *r = j->role;
    r->is_fetching = false;
    if (j->fail == FAIL_NONE) {
        r->access = j->access;
        r->conninfo = j->conninfo;
        memcpy(r->address, j->address, sizeof r->address);
        managed_db_serve(r);
    } else {
        log_warn("no access to a plugin's database", "plugin=%s code=%s why=%s", r->plugin_id,
                 j->fault.code, LOG_STR(str_from(j->fault.log_text)));
        r->down_until = now() + NO_ACCESS_MS;
        managed_db_fail_line(r, MANAGED_DB_UNAVAILABLE, "managed_db_unavailable",
                             j->fault.public_text);
    }
    explicit_bzero(&j->access, sizeof j->access);
    free(j);
}

void managed_db_fetch_access(struct managed_db_role *r, bool restore)
{
    if (r->is_fetching)
        return;
    struct access_job *j = calloc(1, sizeof *j);
    if (j == NULL)
        abort();
    *j = (struct access_job){
        .job = {.run = on_access_run, .done = on_access_done}, .role = r, .restore = restore};
    memcpy(j->project_id, r->project->id, sizeof j->project_id);
    memcpy(j->plugin_id, r->plugin_id, sizeof j->plugin_id);
    if (r->conninfo != NULL)
        explicit_bzero(r->conninfo, strlen(r->conninfo));
    free(r->conninfo);
    r->conninfo = NULL;
    r->is_fetching = pool_post(LANE_API, &j->job) == FAIL_NONE;
    if (r->is_fetching)
        return;
    free(j);
    managed_db_fail_line(r, MANAGED_DB_BUSY, "managed_db_busy",
                         "The server is too busy to open the plugin's database. Try again.");
}

// --- when it does not come to be ---

// The SQL state in libpq's words about a refused login, which are all it gives: "FATAL:  28P01: …".
static str state_in(const char *words)
{
    const char *at = strstr(words, ":  ");
    bool is_one = at != NULL && strnlen(at, 8) == 8 &&
                  strspn(at + 3, "0123456789ABCDEFGHIJ"
                                 "KLMNOPQRSTUVWXYZ") == 5;
    return is_one ? str_of(at + 3, 5) : (str){0};
}

static void on_cluster_away(struct managed_db_role *r, const char *words)
{
    struct managed_db_room *room = managed_db_room_self();
    unsigned pause = room->down_pause * 2;
    room->down_pause = pause < PAUSE_MS ? PAUSE_MS : pause > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause;
    room->down_until = now() + room->down_pause;
    r->address[0] = '\0'; // the name may lead elsewhere by then
    log_warn("the plugins' database cannot be reached", "retry_ms=%u why=%s", room->down_pause,
             LOG_STR(str_from(words)));
}

// What a role can do to itself, it does to nobody else.
static void on_role_away(struct managed_db_role *r, const char *words)
{
    r->down_until = now() + REFUSED_MS;
    log_warn("a plugin's role cannot log in", "plugin=%s role=%s why=%s", r->plugin_id,
             r->access.role, LOG_STR(str_from(words)));
}

static bool is_login_refused(str state)
{
    return str_eq(state, STR("28P01")) || str_eq(state, STR("28000")) ||
           str_eq(state, STR("3D000"));
}

static bool may_restore(const struct managed_db_role *r)
{
    return r->restored_at == 0 || now() - r->restored_at >= RESTORE_MS;
}

// `reason` belongs to the connection, which ends.
static void on_refused(struct managed_db_connection *c, const char *reason)
{
    struct managed_db_role *r = c->role;
    bool has_reached = c->has_reached;
    char words[512];
    snprintf(words, sizeof words, "%s", reason);
    str state = state_in(words);
    managed_db_connection_close(c, false);
    if (is_login_refused(state) && may_restore(r)) {
        r->restored_at = now();
        managed_db_fetch_access(r, true);
        return;
    }
    if (str_starts(state, STR("53"))) // no connection free: theirs, or the database's
        r->no_opening_until = now() + FULL_MS;
    else if (str_starts(state, STR("57P")) || !has_reached)
        on_cluster_away(r, words);
    else
        on_role_away(r, words);
    managed_db_serve(r);
}

static void on_open_timeout(struct loop_timer *t)
{
    struct managed_db_connection *c =
        (void *)((char *)t - offsetof(struct managed_db_connection, timer));
    on_refused(c, "the login took too long");
}

// --- step by step ---

static void on_ready(struct loop_watch *w)
{
    struct managed_db_connection *c =
        (void *)((char *)w - offsetof(struct managed_db_connection, watch));
    loop_watch_stop(w); // libpq may change the descriptor
    c->has_reached = PQstatus(c->pg) >= CONNECTION_AWAITING_RESPONSE;
    switch (PQconnectPoll(c->pg)) {
    case PGRES_POLLING_READING:
        loop_watch_start(w, PQsocket(c->pg), true, false);
        return;
    case PGRES_POLLING_WRITING:
        loop_watch_start(w, PQsocket(c->pg), false, true);
        return;
    case PGRES_POLLING_OK:
        loop_timer_stop(&c->timer);
        managed_db_room_self()->down_pause = 0;
        ++managed_db_counts.opened;
        managed_db_on_connected(c);
        return;
    default:
        on_refused(c, PQerrorMessage(c->pg));
    }
}

// What a session is born with, and what DISCARD ALL brings back: sent with the login, these
// outrank what a role has stored about itself.
static void write_settings(const struct managed_db_role *r, char *to, size_t room)
{
    snprintf(to, room,
             "-c search_path=%s -c statement_timeout=30000 -c lock_timeout=0"
             " -c idle_in_transaction_session_timeout=60000 -c idle_session_timeout=0"
             " -c DateStyle=ISO -c IntervalStyle=postgres -c TimeZone=UTC -c bytea_output=hex"
             " -c extra_float_digits=1 -c client_min_messages=error -c xmloption=content"
             " -c standard_conforming_strings=on -c default_transaction_read_only=off"
             " -c local_preload_libraries= -c exit_on_error=off -c post_auth_delay=0"
             " -c default_transaction_isolation=read\\ committed",
             r->access.schema);
}

static PGconn *start_login(const struct managed_db_role *r)
{
    char settings[768];
    write_settings(r, settings, sizeof settings);
    const char *keys[] = {"dbname",     "client_encoding", "application_name", "options",
                          "gssencmode", "connect_timeout", "hostaddr",         NULL};
    const char *values[] = {r->conninfo, "UTF8", "stoa",     settings,
                            "disable",   "5",    r->address, NULL};
    if (r->address[0] == '\0')
        keys[6] = NULL;
    return PQconnectStartParams(keys, values, 1);
}

// Notices go nowhere: a statement may raise them without end.
static void on_notice(void *arg, const PGresult *r)
{
}

void managed_db_connection_open(struct managed_db_role *r)
{
    struct managed_db_connection *c = calloc(1, sizeof *c);
    if (c == NULL)
        abort();
    c->role = r;
    c->state = MANAGED_DB_OPENING;
    ++r->in_state[c->state];
    c->watch.on_readable = c->watch.on_writable = on_ready;
    c->timer.run = on_open_timeout;
    c->pg = start_login(r);
    if (PQstatus(c->pg) == CONNECTION_BAD) { // takes NULL
        on_refused(c, c->pg != NULL ? PQerrorMessage(c->pg) : "out of memory");
        return;
    }
    PQsetNoticeReceiver(c->pg, on_notice, NULL);
    PQsetErrorVerbosity(c->pg, PQERRORS_VERBOSE); // with the SQL state
    loop_timer_start(&c->timer, OPEN_MS);
    loop_watch_start(&c->watch, PQsocket(c->pg), false, true);
}
