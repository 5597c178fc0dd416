// The private PostgreSQL clusters' life: started side by side, looked at until they answer, and started
// again when they end.
#include "edge/supervisor_internal.h"
#include "edge/base/clock.h"
#include "edge/base/log.h"
#include <sys/statvfs.h>

static void create_cluster(struct supervisor *sv, int which, const struct cluster_profile *profile,
                           const char *url, const struct user *user)
{
    if (url[0] == '\0')
        sv->clusters[which].postgres = private_postgres_create(
            &(struct private_postgres_options){.profile = profile,
                                               .data = sv->settings->data,
                                               .uid = user->uid,
                                               .gid = user->gid,
                                               .server_uid = sv->server_user.uid,
                                               .server_gid = sv->server_user.gid});
}

static void cluster_answers(struct cluster *c, uint64_t since)
{
    supervisor_backoff_started(&c->backoff);
    c->has_answered = true;
    c->advance_at = 0;
    log_info("PostgreSQL answers", "cluster=%s pid=%d ms=%u", private_postgres_name(c->postgres),
             (int)private_postgres_pid(c->postgres), (unsigned)(clock_monotonic_ms() - since));
}

// Without the one for plugins' data everything else goes on: it is tried again.
static void cluster_failed(struct cluster *c, const struct fault *fault)
{
    c->advance_at = 0;
    unsigned pause = supervisor_backoff_ended(&c->backoff);
    log_error("PostgreSQL could not be started", "cluster=%s in_ms=%u reason=%s",
              private_postgres_name(c->postgres), pause, LOG_STR(str_from(fault->public_text)));
}

static void judge_others(struct cluster *c, enum fail fail, uint64_t start,
                         const struct fault *fault)
{
    supervisor_backoff_started(&c->backoff);
    if (fail == FAIL_NONE)
        cluster_answers(c, start);
    else if (fail == FAIL_BUSY)
        c->advance_at = clock_monotonic_ms();
    else
        cluster_failed(c, fault);
}

enum fail supervisor_clusters_start(struct supervisor *sv, struct fault *fault)
{
    const struct settings *s = sv->settings;
    struct cluster *state = &sv->clusters[STATE], *plugins = &sv->clusters[PLUGINS];
    create_cluster(sv, STATE, &private_postgres_state, s->database, &sv->state_user);
    create_cluster(sv, PLUGINS, &private_postgres_plugins, s->plugin_database, &sv->plugin_user);
    struct private_postgres *list[CLUSTERS] = {state->postgres, plugins->postgres};
    uint64_t start = clock_monotonic_ms();
    enum fail others = FAIL_BUSY;
    enum fail fail = private_postgres_start(list, CLUSTERS, PLUGINS_GRACE_MS, &others, fault);
    if (fail != FAIL_NONE)
        return fail;
    if (state->postgres != NULL)
        cluster_answers(state, start);
    if (plugins->postgres != NULL)
        judge_others(plugins, others, start, fault);
    return FAIL_NONE;
}

void supervisor_cluster_advance(struct cluster *c)
{
    struct fault fault;
    enum fail fail = private_postgres_advance(c->postgres, &fault);
    if (fail == FAIL_BUSY)
        c->advance_at = clock_monotonic_ms() + ADVANCE_MS;
    else if (fail == FAIL_NONE)
        cluster_answers(c, c->backoff.started);
    else
        cluster_failed(c, &fault);
}

// A full disk is the commonest reason, and the one that PostgreSQL cannot go on with.
static unsigned long long free_mib(const char *data)
{
    struct statvfs s;
    return statvfs(data, &s) == 0 ? (unsigned long long)s.f_bavail * s.f_frsize >> 20 : 0;
}

void supervisor_cluster_ended(struct supervisor *sv, struct cluster *c, int status)
{
    private_postgres_ended(c->postgres, status);
    if (sv->is_stopping || !c->has_answered)
        return;
    unsigned pause = supervisor_backoff_ended(&c->backoff);
    const char *name = private_postgres_name(c->postgres), *data = sv->settings->data;
    log_error("PostgreSQL ended; starting it again",
              "cluster=%s status=\"%s\" in_ms=%u free_mib=%llu its_log=%s/%s-pg/postgres.log", name,
              process_status_text(status), pause, free_mib(data), data, name);
}

void supervisor_cluster_again(struct cluster *c)
{
    struct fault fault;
    supervisor_backoff_started(&c->backoff);
    if (!c->has_answered)
        supervisor_cluster_advance(c);
    else if (private_postgres_restart(c->postgres, &fault) != FAIL_NONE)
        cluster_failed(c, &fault);
}

struct cluster *supervisor_cluster_of(struct supervisor *sv, pid_t pid)
{
    for (struct cluster *c = sv->clusters; c != sv->clusters + CLUSTERS; ++c)
        if (c->postgres != NULL && pid == private_postgres_pid(c->postgres))
            return c;
    return NULL;
}
