// What strangers' SQL keeps running in a cluster behind every time-out of PostgreSQL's own: expressions
// of statistics, indexes and domains that autovacuum computes, and computing that never looks whether it
// shall end (position() over 100 MB). Seen from outside, in /proc, by whoever is above the postmaster:
// a worker of autovacuum seen at CLUSTER_WATCH_LOOKS looks is ended as PostgreSQL itself would (SIGTERM); what
// has computed between two looks without one pause gives way to all else (nice 19). No look blocks
// for longer than /proc takes. One thread.
#ifndef STOA_STORE_PRIVATE_POSTGRES_WATCH_H
#define STOA_STORE_PRIVATE_POSTGRES_WATCH_H
#include <stdint.h>
#include <sys/types.h>

enum { CLUSTER_WATCH_CHILDREN = 512, CLUSTER_WATCH_LOOKS = 15 };

struct cluster_child {
    pid_t pid;
    unsigned looks;
    uint64_t started, computed, pauses; // ticks, ticks, voluntary context switches
};

// Zeroed at first.
struct cluster_watch {
    struct cluster_child seen[CLUSTER_WATCH_CHILDREN];
    size_t seen_count;
};

// Looks at the children of `postmaster`, which are of that user (0: ours). The pause between two
// looks is the caller's: longer than any statement may take.
void cluster_watch_look(struct cluster_watch *w, pid_t postmaster, uid_t uid, gid_t gid);
#endif
