// PostgreSQL clusters of our own under the data directory, one for our state and one for plugins'
// data: found programs, initdb on first start, Unix socket in a directory of our own, no TCP port,
// never as root. Used by the supervisor only (single-threaded).
//
// Under `{data}/{name}-pg/`, mode 0700, all of it the cluster's user's: `cluster` (what initdb
// makes), postgresql.conf, pg_hba.conf and pg_ident.conf (written whole at each start),
// postgres.log (bounded). initdb works in `new`, which becomes `cluster` by a rename: there never
// is half a cluster.
//
// Who gets into either by peer authentication: the cluster's user as the superuser stoa_admin, the
// server's user as stoa_server, who in the state cluster owns the database `stoa` and nothing else.
// When both are one user, he may be either. In the plugins' cluster the server's user is also
// stoa_provision, who makes databases and roles; each plugin's role enters its project's database
// by a password. There stoa_server owns nothing and may only end other roles' sessions.
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

enum { CLUSTERS_MAX = 4 };
struct private_postgres; // one cluster

// What tells one from the other; its name is that of its folder below `data`, and part of the
// socket directory's.
struct cluster_profile;
extern const struct cluster_profile private_postgres_state, private_postgres_plugins;

struct private_postgres_options {
    const struct cluster_profile *profile;
    const char *data;      // absolute data directory; nobody else has started a cluster in it
    uid_t uid, server_uid; // whom the cluster and the server run as; 0 and 0 when not started as
                           // root: then both are ours
    gid_t gid, server_gid;
};

// Does nothing yet. The data directory's path is copied.
struct private_postgres *private_postgres_create(const struct private_postgres_options *o);
// One step further: makes the cluster when there is none, stops a stale one that a kill -9 left,
// starts it. FAIL_NONE once it answers; FAIL_BUSY while it is on its way: to be called again in 10
// ms, or when its child has ended (private_postgres_ended). FAIL_INTERNAL with a sentence for the
// operator when it is of no use, the last lines of PostgreSQL's own log then in ours; called again,
// it begins anew.
enum fail private_postgres_advance(struct private_postgres *p, struct fault *fault) MUST_CHECK;
// Advances all of them side by side (NULLs count as there) until the first answers, and the others
// do or `grace_ms` more are over. Fails as the first does; of the others (*ret_others: the first failure, or FAIL_BUSY
// when not yet) that is the caller's to judge. SIGINT or SIGTERM that the caller has blocked ends
// the wait: FAIL_BUSY. Takes the ends of their children by waitpid.
enum fail private_postgres_start(struct private_postgres *const *list, size_t count,
                                 unsigned grace_ms, enum fail *ret_others,
                                 struct fault *fault) MUST_CHECK;
const char *private_postgres_name(const struct private_postgres *p); // "state" | "plugins"
// "postgresql://…" of the server's daily role (neither superuser nor CREATEROLE); lives as long as
// this does.
const char *private_postgres_url(const struct private_postgres *p);
// Of the role that makes databases and roles; only the plugins' cluster has it.
const char *private_postgres_provision_url(const struct private_postgres *p);
// The child at work, PostgreSQL itself or one that makes it; 0: none.
pid_t private_postgres_pid(const struct private_postgres *p);
// To be called when waitpid has told of its end.
void private_postgres_ended(struct private_postgres *p, int status);
// Starts one that has answered before again and does not wait until it answers.
enum fail private_postgres_restart(struct private_postgres *p, struct fault *fault) MUST_CHECK;
// Keeps its log bounded, and what strangers' SQL goes on with for too long (private_postgres_watch.h);
// once a minute.
void private_postgres_tend(struct private_postgres *p);
// Fast shutdown, waits (15 s), then an immediate one. Takes NULL.
void private_postgres_stop(struct private_postgres *p);
#endif
