// Running the cluster: a stale one is stopped first, by its own program and as its own user; ours
// is a child of the supervisor, so that its end is told by waitpid, and the supervisor's end tells
// it to stop.
#include "edge/store/private_postgres_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "edge/base/clock.h"
#include "edge/base/log.h"
#include "edge/base/process.h"

enum {
    READY_MS = 60000,
    POLL_NS = 10000000,
    RETRY_NS = 200000000,
    FAST_MS = 15000,
    IMMEDIATE_MS = 5000,
    GOING_TURNS = 500, // of POLL_NS
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

static enum fail stop_stale(struct private_postgres *p, struct fault *fault)
{
    bool is_ready;
    pid_t pid = read_pid_file(p, &is_ready);
    if (pid <= 0 || kill(pid, 0) != 0)
        return FAIL_NONE; // none, or PostgreSQL itself sees that it is dead
    enum whose whose = whose_is(p, pid);
    if (whose == UNKNOWN)
        return FAIL_NONE; // PostgreSQL ignores other users' processes too
    if (whose == ANOTHERS) {
        char path[CLUSTER_PATH_ROOM + 16];
        snprintf(path, sizeof path, "%s/postmaster.pid", p->cluster);
        process_files_as(p->uid, p->gid);
        unlink(path); // PostgreSQL would take the number's new owner for a postmaster
        process_files_as_ourselves();
        return FAIL_NONE;
    }
    log_warn("stopping a PostgreSQL that an earlier run left behind", "pid=%d", (int)pid);
    char *stop[] = {"pg_ctl", "stop", "-D", p->cluster, "-m", "fast", "-w", "-t", "60", NULL};
    enum fail fail = cluster_run(p, "pg_ctl", stop, -1, fault);
    // it may have been on its way out already: its file gone before pg_ctl looked, itself not yet
    for (int i = 0; fail != FAIL_NONE && i != GOING_TURNS; ++i) {
        if (kill(pid, 0) != 0)
            return FAIL_NONE;
        nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
    }
    return fail;
}

static enum fail launch(struct private_postgres *p, struct fault *fault)
{
    char config[CLUSTER_PATH_ROOM + 32];
    snprintf(config, sizeof config, "config_file=%s/postgresql.conf", p->home);
    char *postgres[] = {"postgres", "-D", p->cluster, "-c", config, NULL};
    return cluster_start(p, "postgres", postgres, -1, SIGINT, &p->pid, fault);
}

static bool is_interrupted(void)
{
    sigset_t set;
    return sigpending(&set) == 0 &&
           (sigismember(&set, SIGINT) == 1 || sigismember(&set, SIGTERM) == 1);
}

// FAIL_NONE: it answers. FAIL_BUSY: interrupted. FAIL_UPSTREAM: it ended.
static enum fail await_ready(struct private_postgres *p, uint64_t deadline, int *ret_status)
{
    for (;;) {
        bool is_ready;
        if (read_pid_file(p, &is_ready) == p->pid && is_ready)
            return FAIL_NONE;
        if (waitpid(p->pid, ret_status, WNOHANG) == p->pid) {
            p->pid = 0;
            return FAIL_UPSTREAM;
        }
        if (is_interrupted())
            return FAIL_BUSY;
        if (clock_monotonic_ms() >= deadline)
            return FAIL_TIMEOUT;
        nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
    }
}

// After a kill -9 of everything, the dead one's children may hold its memory for a moment longer:
// PostgreSQL then refuses to start, and is asked again for a while.
static enum fail launch_until_ready(struct private_postgres *p, struct fault *fault)
{
    uint64_t start = clock_monotonic_ms(), patience = start + 5000;
    for (;;) {
        int status = 0;
        enum fail fail = launch(p, fault);
        if (fail != FAIL_NONE)
            return fail;
        fail = await_ready(p, start + READY_MS, &status);
        if (fail == FAIL_NONE)
            return FAIL_NONE;
        if (fail == FAIL_BUSY)
            return fault_set(fault, FAIL_BUSY, "interrupted", "Stopped while starting.");
        if (fail == FAIL_TIMEOUT) {
            cluster_quote_log(p);
            return fault_set(fault, FAIL_INTERNAL, "private_postgres",
                             "The private PostgreSQL did not answer within %d s; its log is "
                             "%s/postgres.log.",
                             READY_MS / 1000, p->home);
        }
        if (clock_monotonic_ms() >= patience) {
            cluster_quote_log(p);
            return fault_set(fault, FAIL_INTERNAL, "private_postgres",
                             "The private PostgreSQL does not start (%s); its log is "
                             "%s/postgres.log.",
                             process_status_text(status), p->home);
        }
        nanosleep(&(struct timespec){.tv_nsec = RETRY_NS}, NULL);
    }
}

static enum fail start(struct private_postgres *p, const char *data, struct fault *fault)
{
    enum fail fail;
    if ((fail = cluster_make_home(p, data, fault)) != FAIL_NONE ||
        (fail = cluster_find_programs(p, fault)) != FAIL_NONE ||
        (fail = cluster_create(p, fault)) != FAIL_NONE ||
        (fail = stop_stale(p, fault)) != FAIL_NONE ||
        (fail = cluster_make_sockets(p, data, fault)) != FAIL_NONE ||
        (fail = cluster_write_settings(p, fault)) != FAIL_NONE)
        return fail;
    private_postgres_tend(p);
    return launch_until_ready(p, fault);
}

enum fail private_postgres_start(const struct private_postgres_options *o,
                                 struct private_postgres **ret, struct fault *fault)
{
    struct private_postgres *p = calloc(1, sizeof *p);
    if (p == NULL)
        abort();
    bool is_root = o->uid != 0;
    snprintf(p->name, sizeof p->name, "%s", o->name);
    p->uid = is_root ? o->uid : geteuid();
    p->gid = is_root ? o->gid : getegid();
    p->server_uid = is_root ? o->server_uid : geteuid();
    p->server_gid = is_root ? o->server_gid : getegid();
    enum fail fail = p->uid == 0 ? fault_set(fault, FAIL_INTERNAL, "private_postgres",
                                             "PostgreSQL does not run as root.")
                                 : start(p, o->data, fault);
    if (fail != FAIL_NONE) {
        private_postgres_stop(p);
        return fail;
    }
    *ret = p;
    return FAIL_NONE;
}

const char *private_postgres_url(const struct private_postgres *p)
{
    return p->url;
}

pid_t private_postgres_pid(const struct private_postgres *p)
{
    return p->pid;
}

void private_postgres_ended(struct private_postgres *p)
{
    p->pid = 0;
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
}

void private_postgres_stop(struct private_postgres *p)
{
    if (p == NULL)
        return;
    int status;
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
