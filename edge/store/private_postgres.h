// A PostgreSQL cluster of our own under the data directory: found binaries, initdb on first start, Unix socket in a directory of our own,
// no TCP port, never as root. Used by the supervisor only (blocking).
#ifndef STOA_STORE_PRIVATE_POSTGRES_H
#define STOA_STORE_PRIVATE_POSTGRES_H
#include <sys/types.h>
#include "edge/base/fail.h"

struct private_postgres; // one cluster

struct private_postgres_options {
    const char *name;      // "state": its folder below `data`, and part of the socket directory's name
    const char *data;      // absolute data directory
    uid_t uid, server_uid; // whom the cluster and the server run as; equal, or 0 and 0, when not started as root
    gid_t gid, server_gid;
};

// Makes the cluster when there is none, stops or adopts a stale one that a kill -9 left, starts it and waits until it answers (30 s).
enum fail private_postgres_start(const struct private_postgres_options *o, struct private_postgres **ret, struct fault *fault) MUST_CHECK;
// "postgresql://…" of the server's daily role (neither superuser nor CREATEROLE); lives as long as the cluster.
const char *private_postgres_url(const struct private_postgres *p);
pid_t private_postgres_pid(const struct private_postgres *p);
// To be called when waitpid has told of its end, so that the supervisor can start it again.
enum fail private_postgres_restart(struct private_postgres *p, struct fault *fault) MUST_CHECK;
// Fast shutdown, waits (15 s), then harder. Takes NULL.
void private_postgres_stop(struct private_postgres *p);
#endif
