// Running the clusters: a stale one is stopped first; ours is a child of the supervisor, so that its
// end is told by waitpid, and the supervisor's end tells it to stop. A start is a walk through enum
// cluster_step, of which each but the last waits for a child: so that two clusters are made side by
// side.
#include "edge/store/private_postgres_internal.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "edge/base/clock.h"
#include "edge/base/log.h"
#include "edge/base/process.h"

enum {
    READY_MS = 60000,
    PATIENCE_MS = 5000,
    RETRY_MS = 200,
    POLL_NS = 10000000,
    FAST_MS = 15000,
    IMMEDIATE_MS = 5000,
    STALE_MS = 60000,
    LOG_MAX = 8 << 20,
};

// What postmaster.pid says: its first line, and whether it answers ("ready" in the eighth).
static pid_t read_pid_file(const struct private_postgres *p, bool *ret_ready)
{
    char path[CLUSTER_PATH_ROOM + 16], text[1024];
    snprintf(path, sizeof path, "%s/postmaster.pid", p->cluster);
    *ret_ready = false;
    process_files_as(p->uid, p->gid);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    process_files_as_ourselves();
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text);
    close(fd);
    str rest = str_of(text, n > 0 ? (size_t)n : 0);
    uint64_t pid = 0;
    for (int line = 1; line <= 8 && rest.n != 0; ++line) {
        str s = str_trim(str_cut(&rest, '\n'));
        if (line == 1 && !str_to_u64(s, INT32_MAX, &pid))
            return 0;
        *ret_ready = line == 8 && str_eq(s, STR("ready"));
    }
    return (pid_t)pid;
}

enum whose { OURS, ANOTHERS, UNKNOWN };

// A postmaster's working directory is its cluster; a process that merely got the number of a dead
// one is elsewhere. Of other users' processes that is not to be seen.
static enum whose whose_is(const struct private_postgres *p, pid_t pid)
{
    char path[64];
    struct stat at, cluster;
    snprintf(path, sizeof path, "/proc/%d/cwd", (int)pid);
    process_files_as(p->uid, p->gid);
    bool is_seen = stat(path, &at) == 0 && stat(p->cluster, &cluster) == 0;
    process_files_as_ourselves();
    if (!is_seen)
        return UNKNOWN;
    return at.st_dev == cluster.st_dev && at.st_ino == cluster.st_ino ? OURS : ANOTHERS;
}

// A fast shutdown (SIGINT) of the process behind `fd`, a pidfd, and its end.
static bool end_stale(int fd)
{
    if (syscall(SYS_pidfd_send_signal, fd, SIGINT, NULL, 0) != 0 && errno != ESRCH)
        return false;
    struct pollfd ended = {.fd = fd, .events = POLLIN};
    return poll(&ended, 1, STALE_MS) == 1;
}

// The descriptor stands for one process: what is looked at, asked to end and waited for is the same
// one, also when it was on its way out already.
static enum fail stop_stale(struct private_postgres *p, struct fault *fault)
{
    bool is_ready;
    pid_t pid = read_pid_file(p, &is_ready);
    int fd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    if (fd < 0)
        return FAIL_NONE; // none, or PostgreSQL itself sees that it is dead
    bool has_ended = true;
    switch (whose_is(p, pid)) {
    case OURS:
        log_warn("stopping a PostgreSQL that an earlier run left behind", "pid=%d", (int)pid);
        has_ended = end_stale(fd);
        break;
    case ANOTHERS: {
        char path[CLUSTER_PATH_ROOM + 16];
        snprintf(path, sizeof path, "%s/postmaster.pid", p->cluster);
        process_files_as(p->uid, p->gid);
        unlink(path); // PostgreSQL would take the number's new owner for a postmaster
        process_files_as_ourselves();
        break;
    }
    case UNKNOWN: // PostgreSQL ignores other users' processes too
        break;
    }
    close(fd);
    if (has_ended)
        return FAIL_NONE;
    cluster_quote_log(p);
    return fault_set(fault, FAIL_INTERNAL, "private_postgres",
                     "A PostgreSQL that an earlier run left behind (pid %d) does not end; its log "
                     "is %s/postgres.log.",
                     (int)pid, p->home);
}

static enum fail launch(struct private_postgres *p, struct fault *fault)
{
    char config[CLUSTER_PATH_ROOM + 32];
    snprintf(config, sizeof config, "config_file=%s/postgresql.conf", p->home);
    char *postgres[] = {"postgres", "-D", p->cluster, "-c", config, NULL};
    return cluster_start(p, "postgres", postgres, -1, SIGINT, &p->pid, fault);
}

// --- the steps: FAIL_NONE when it went on to another, FAIL_BUSY while its child is at work ---

static enum fail look_around(struct private_postgres *p, struct fault *fault)
{
    enum fail fail = cluster_make_home(p, fault);
    if (fail == FAIL_NONE)
        fail = cluster_find_programs(p, fault);
    p->step = CLUSTER_THERE;
    if (fail != FAIL_NONE || cluster_version(p) != 0)
        return fail;
    p->step = CLUSTER_INIT;
    return cluster_begin_init(p, fault);
}

static enum fail after_init(struct private_postgres *p, struct fault *fault)
{
    enum fail fail = cluster_judge(p, "initdb", p->status, fault);
    p->step = CLUSTER_ROLES;
    return fail == FAIL_NONE ? cluster_begin_roles(p, fault) : fail;
}

static enum fail after_roles(struct private_postgres *p, struct fault *fault)
{
    enum fail fail = cluster_judge(p, "postgres", p->status, fault);
    p->step = CLUSTER_THERE;
    return fail == FAIL_NONE ? cluster_settle(p, fault) : fail;
}

static enum fail first_launch(struct private_postgres *p, struct fault *fault)
{
    enum fail fail;
    if ((fail = stop_stale(p, fault)) != FAIL_NONE ||
        (fail = cluster_make_sockets(p, fault)) != FAIL_NONE ||
        (fail = cluster_write_settings(p, fault)) != FAIL_NONE)
        return fail;
    private_postgres_tend(p);
    p->since = clock_monotonic_ms();
    p->step = CLUSTER_AWAIT;
    return launch(p, fault);
}

// After a kill -9 of everything, the dead one's children may hold its memory for a moment longer:
// PostgreSQL then refuses to start, and is asked again for a while.
static enum fail launch_again(struct private_postgres *p, struct fault *fault)
{
    uint64_t now = clock_monotonic_ms();
    if (now >= p->since + PATIENCE_MS) {
        cluster_quote_log(p);
        return fault_set(fault, FAIL_INTERNAL, "private_postgres",
                         "The private PostgreSQL does not start (%s); its log is "
                         "%s/postgres.log.",
                         process_status_text(p->status), p->home);
    }
    if (p->due == 0)
        p->due = now + RETRY_MS;
    if (now < p->due)
        return FAIL_BUSY;
    p->due = 0;
    return launch(p, fault);
}

static enum fail await_answer(struct private_postgres *p, struct fault *fault)
{
    bool is_ready;
    if (read_pid_file(p, &is_ready) == p->pid && is_ready) {
        p->step = CLUSTER_UP;
        return FAIL_NONE;
    }
    if (clock_monotonic_ms() < p->since + READY_MS)
        return FAIL_BUSY;
    cluster_quote_log(p);
    return fault_set(fault, FAIL_INTERNAL, "private_postgres",
                     "The private PostgreSQL did not answer within %d s; its log is "
                     "%s/postgres.log.",
                     READY_MS / 1000, p->home);
}

static enum fail go_on(struct private_postgres *p, struct fault *fault)
{
    bool is_at_work = p->pid != 0;
    switch (p->step) {
    case CLUSTER_NEW:
        return look_around(p, fault);
    case CLUSTER_INIT:
        return is_at_work ? FAIL_BUSY : after_init(p, fault);
    case CLUSTER_ROLES:
        return is_at_work ? FAIL_BUSY : after_roles(p, fault);
    case CLUSTER_THERE:
        return first_launch(p, fault);
    case CLUSTER_AWAIT:
        return is_at_work ? await_answer(p, fault) : launch_again(p, fault);
    case CLUSTER_UP:
        break;
    }
    return FAIL_NONE;
}

// Of its children PostgreSQL itself takes care when it is asked so.
static void drop_child(struct private_postgres *p)
{
    int status;
    if (p->pid != 0 && kill(p->pid, p->step == CLUSTER_AWAIT ? SIGQUIT : SIGKILL) == 0 &&
        !process_wait(p->pid, IMMEDIATE_MS, &status))
        log_error("it still runs; the next start will stop it", "pid=%d", (int)p->pid);
    p->pid = 0;
}

enum fail private_postgres_advance(struct private_postgres *p, struct fault *fault)
{
    if (p->uid == 0)
        return fault_set(fault, FAIL_INTERNAL, "private_postgres",
                         "PostgreSQL does not run as root.");
    enum fail fail = FAIL_NONE;
    while (fail == FAIL_NONE && p->step != CLUSTER_UP)
        fail = go_on(p, fault);
    if (fail != FAIL_NONE && fail != FAIL_BUSY) {
        drop_child(p);
        p->step = CLUSTER_NEW;
    }
    return fail;
}

// --- the start of all ---

static bool is_interrupted(void)
{
    sigset_t set;
    return sigpending(&set) == 0 &&
           (sigismember(&set, SIGINT) == 1 || sigismember(&set, SIGTERM) == 1);
}

static enum fail advance_waiting(struct private_postgres *p, struct fault *fault)
{
    int status;
    if (p->pid != 0 && waitpid(p->pid, &status, WNOHANG) == p->pid)
        private_postgres_ended(p, status);
    return private_postgres_advance(p, fault);
}

// FAIL_BUSY while one of them is on its way, else the first failure.
static enum fail advance_others(struct private_postgres *const *list, enum fail *each, size_t count,
                                struct fault *fault)
{
    enum fail all = FAIL_NONE;
    for (size_t i = 1; i != count; ++i) {
        if (each[i] == FAIL_BUSY)
            each[i] = advance_waiting(list[i], fault);
        if (each[i] == FAIL_BUSY || (all == FAIL_NONE && each[i] != FAIL_NONE))
            all = each[i];
    }
    return all;
}

enum fail private_postgres_start(struct private_postgres *const *list, size_t count,
                                 unsigned grace_ms, enum fail *ret_others, struct fault *fault)
{
    enum fail each[CLUSTERS_MAX];
    struct fault other;
    uint64_t grace = 0;
    assert(count >= 1 && count <= CLUSTERS_MAX);
    for (size_t i = 0; i != count; ++i)
        each[i] = list[i] != NULL ? FAIL_BUSY : FAIL_NONE;
    for (;;) {
        if (each[0] == FAIL_BUSY)
            each[0] = advance_waiting(list[0], fault);
        *ret_others = advance_others(list, each, count, &other);
        if (each[0] == FAIL_NONE && grace == 0)
            grace = clock_monotonic_ms() + grace_ms;
        bool is_over = *ret_others != FAIL_BUSY || clock_monotonic_ms() >= grace;
        if (each[0] != FAIL_BUSY && (each[0] != FAIL_NONE || is_over))
            break;
        if (is_interrupted())
            return fault_set(fault, FAIL_BUSY, "interrupted", "Stopped while starting.");
        nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
    }
    if (each[0] == FAIL_NONE && *ret_others != FAIL_NONE && *ret_others != FAIL_BUSY)
        *fault = other;
    return each[0];
}

// --- one of them ---

struct private_postgres *private_postgres_create(const struct private_postgres_options *o)
{
    struct private_postgres *p = calloc(1, sizeof *p);
    if (p == NULL)
        abort();
    bool is_root = o->uid != 0;
    p->profile = o->profile;
    snprintf(p->data, sizeof p->data, "%s", o->data);
    p->uid = is_root ? o->uid : geteuid();
    p->gid = is_root ? o->gid : getegid();
    p->server_uid = is_root ? o->server_uid : geteuid();
    p->server_gid = is_root ? o->server_gid : getegid();
    cluster_name_sockets(p);
    return p;
}

const char *private_postgres_name(const struct private_postgres *p)
{
    return p->profile->name;
}

const char *private_postgres_provision_url(const struct private_postgres *p)
{
    return p->provision_url;
}

const char *private_postgres_url(const struct private_postgres *p)
{
    return p->url;
}

pid_t private_postgres_pid(const struct private_postgres *p)
{
    return p->pid;
}

void private_postgres_ended(struct private_postgres *p, int status)
{
    p->pid = 0;
    p->status = status;
}

enum fail private_postgres_restart(struct private_postgres *p, struct fault *fault)
{
    return p->pid != 0 ? FAIL_NONE : launch(p, fault);
}

void private_postgres_tend(struct private_postgres *p)
{
    int fd = cluster_open_log(p);
    struct stat st;
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > LOG_MAX && ftruncate(fd, 0) != 0)
        log_warn("cannot shorten postgresql's log", "error=%s", strerror(errno));
    if (fd >= 0)
        close(fd);
    if (p->step == CLUSTER_UP && p->pid != 0 && p->profile->runs_strangers_sql)
        cluster_watch_look(&p->watch, p->pid, p->uid, p->gid);
}

void private_postgres_stop(struct private_postgres *p)
{
    if (p == NULL)
        return;
    int status;
    if (p->step == CLUSTER_INIT || p->step == CLUSTER_ROLES)
        drop_child(p);
    if (p->pid != 0 && kill(p->pid, SIGINT) == 0 && !process_wait(p->pid, FAST_MS, &status)) {
        log_warn("PostgreSQL does not stop; asking harder", "pid=%d", (int)p->pid);
        kill(p->pid, SIGQUIT);
        if (!process_wait(p->pid, IMMEDIATE_MS, &status))
            log_error("PostgreSQL still runs; the next start will stop it", "pid=%d", (int)p->pid);
    }
    if (p->sockets[0] != '\0')
        rmdir(p->sockets); // not empty, when it still runs
    free(p);
}
