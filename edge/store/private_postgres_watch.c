// One pass over /proc. Priorities are changed by a child of the cluster's own user: so that the
// supervisor needs no right over all processes (CAP_SYS_NICE).
#include "edge/store/private_postgres_watch.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "edge/base/log.h"

enum { GIVES_WAY = 19 };

// "" when it has gone; NULs, which part arguments, become spaces.
static void read_of(pid_t pid, const char *name, char *to, size_t room)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, to, room - 1) : 0;
    if (fd >= 0)
        close(fd);
    to[n > 0 ? n : 0] = '\0';
    for (ssize_t i = 0; i < n; ++i)
        if (to[i] == '\0')
            to[i] = ' ';
}

// proc(5): the name in parentheses may hold anything, what is behind the last one is ours to count.
static bool read_child(pid_t pid, pid_t parent, struct cluster_child *ret)
{
    char text[4096];
    int its_parent;
    uint64_t user, system, started;
    read_of(pid, "stat", text, sizeof text);
    const char *p = strrchr(text, ')');
    if (p == NULL ||
        sscanf(p + 1,
               " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64
               " %*d %*d %*d %*d %*d %*d %" SCNu64,
               &its_parent, &user, &system, &started) != 4 ||
        its_parent != parent)
        return false;
    *ret = (struct cluster_child){
        .pid = pid, .looks = 1, .started = started, .computed = user + system};
    read_of(pid, "status", text, sizeof text);
    static const char field[] = "\nvoluntary_ctxt_switches:";
    return (p = strstr(text, field)) != NULL &&
           sscanf(p + sizeof field - 1, "%" SCNu64, &ret->pauses) == 1;
}

static const struct cluster_child *find(const struct cluster_watch *w,
                                        const struct cluster_child *c)
{
    for (size_t i = 0; i != w->seen_count; ++i)
        if (w->seen[i].pid == c->pid && w->seen[i].started == c->started)
            return &w->seen[i];
    return NULL;
}

// The title is PostgreSQL's own: of a session it names user, database and state, no client's words.
static bool is_autovacuum(pid_t pid)
{
    char title[256];
    read_of(pid, "cmdline", title, sizeof title);
    return strncmp(title, "postgres: ", 10) == 0 && strstr(title, "autovacuum worker") != NULL;
}

// Where it leads a session of its own (one_session.c is not there), that has a weight, too
// (sched(7), autogroup).
static void lower(pid_t pid)
{
    char path[64];
    setpriority(PRIO_PROCESS, (id_t)pid, GIVES_WAY);
    if (getsid(pid) != pid)
        return;
    snprintf(path, sizeof path, "/proc/%d/autogroup", (int)pid);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && dprintf(fd, "%d", GIVES_WAY) < 0)
        _exit(1); // a kernel without it, or too many at once: the next look tries again
}

static void give_way(pid_t pid, uid_t uid, gid_t gid)
{
    pid_t child = fork();
    if (child == 0) {
        // not dumpable: what the supervisor holds in memory is none of that user's
        if (uid == 0 || (setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0 &&
                         prctl(PR_SET_DUMPABLE, 0) == 0))
            lower(pid);
        _exit(0);
    }
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
}

static void judge(struct cluster_child *c, const struct cluster_child *before, uid_t uid, gid_t gid)
{
    c->looks = before->looks < UINT32_MAX ? before->looks + 1 : before->looks;
    if (c->looks >= CLUSTER_WATCH_LOOKS && is_autovacuum(c->pid)) {
        log_warn("autovacuum takes too long over a plugin's tables; ending it", "pid=%d looks=%u",
                 (int)c->pid, c->looks);
        kill(c->pid, SIGTERM);
    }
    if (c->pauses != before->pauses || c->computed == before->computed)
        return;
    if (getpriority(PRIO_PROCESS, (id_t)c->pid) < GIVES_WAY)
        log_warn("a plugin's statement does not end; it gives way to all else", "pid=%d",
                 (int)c->pid);
    give_way(c->pid, uid, gid);
}

void cluster_watch_look(struct cluster_watch *w, pid_t postmaster, uid_t uid, gid_t gid)
{
    struct cluster_watch *now = calloc(1, sizeof *now);
    DIR *all = opendir("/proc");
    if (now == NULL)
        abort();
    for (struct dirent *e;
         all != NULL && (e = readdir(all)) != NULL && now->seen_count != CLUSTER_WATCH_CHILDREN;) {
        struct cluster_child *c = &now->seen[now->seen_count];
        pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
        if (pid <= 0 || !read_child(pid, postmaster, c))
            continue;
        const struct cluster_child *before = find(w, c);
        if (before != NULL)
            judge(c, before, uid, gid);
        ++now->seen_count;
    }
    if (all != NULL)
        closedir(all);
    *w = *now;
    free(now);
}
