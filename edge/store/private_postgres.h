// A PostgreSQL cluster of our own under the data directory: found programs, initdb on first start,
// Unix socket in a directory of our own, no TCP port, never as root. Used by the supervisor only
// (blocking, single-threaded).
//
// Under `{data}/{name}-pg/`, mode 0700, all of it the cluster's user's: `cluster` (what initdb
// makes), postgresql.conf, pg_hba.conf and pg_ident.conf (written whole at each start),
// postgres.log (bounded). initdb works in `new`, which becomes `cluster` by a rename: there never
// is half a cluster.
//
// Who gets in: peer authentication only. The cluster's user is the superuser stoa_admin, the
// server's user is stoa_server, who owns the database `stoa` and nothing else. When both are one
// user, he may be either.
//
// One softening of security-rules.md 4: when the server runs as another user than the cluster, the
// socket's directory is 0710 and the socket 0770, both of the server's group (which the cluster's
// processes have as their one supplementary group, to be allowed to give it to the socket): the
// server could not connect otherwise. Nobody but the two users gets in, and what the server keeps
// is open to no group; when they are one user, both are 0700.
#ifndef STOA_STORE_PRIVATE_POSTGRES_H
#define STOA_STORE_PRIVATE_POSTGRES_H
#include <sys/types.h>
#include "edge/base/fail.h"

struct private_postgres; // one cluster

struct private_postgres_options {
    const char *name; // "state": its folder below `data`, and part of the socket directory's name
    const char *data; // absolute data directory; nobody else has started a cluster in it
    uid_t uid, server_uid; // whom the cluster and the server run as; 0 and 0 when not started as
                           // root: then both are ours
    gid_t gid, server_gid;
};

// Makes the cluster when there is none, stops a stale one that a kill -9 left, starts it and waits
// until it answers (60 s; SIGINT or SIGTERM that the caller has blocked ends the wait: FAIL_BUSY).
// FAIL_INTERNAL with a sentence for the operator; the last lines of PostgreSQL's own log are then
// in ours.
enum fail private_postgres_start(const struct private_postgres_options *o,
                                 struct private_postgres **ret, struct fault *fault) MUST_CHECK;
// "postgresql://…" of the server's daily role (neither superuser nor CREATEROLE); lives as long as
// the cluster.
const char *private_postgres_url(const struct private_postgres *p);
// 0 while it does not run.
pid_t private_postgres_pid(const struct private_postgres *p);
// To be called when waitpid has told of its end.
void private_postgres_ended(struct private_postgres *p);
// Starts it again and does not wait until it answers.
enum fail private_postgres_restart(struct private_postgres *p, struct fault *fault) MUST_CHECK;
// Keeps its log bounded; now and then.
void private_postgres_tend(struct private_postgres *p);
// Fast shutdown, waits (15 s), then an immediate one. Takes NULL.
void private_postgres_stop(struct private_postgres *p);
#endif
