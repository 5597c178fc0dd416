// What making a cluster and running it share.
#ifndef STOA_STORE_PRIVATE_POSTGRES_INTERNAL_H
#define STOA_STORE_PRIVATE_POSTGRES_INTERNAL_H
#include "edge/store/private_postgres.h"
#include "edge/store/private_postgres_watch.h"

enum { CLUSTER_PATH_ROOM = 1200, CLUSTER_SOCKET_ROOM = 108 };

// What the clusters differ in (private_postgres_profile.c).
struct cluster_profile {
    const char *name;
    const char *script;          // single-user mode in template1, a statement a line
    const char *settings;        // of postgresql.conf
    const char *who_gets_in;     // pg_hba.conf
    const char *server_roles[3]; // whom the server's user may be; NULL ends
    uint64_t address_space;      // RLIMIT_AS of each process; 0: none
    // Its processes are watched, and all together come behind the server (one_session.c).
    bool runs_strangers_sql;
};

enum cluster_step {
    CLUSTER_NEW,   // nothing looked at yet
    CLUSTER_INIT,  // initdb at work
    CLUSTER_ROLES, // single-user mode at work
    CLUSTER_THERE, // made; not running
    CLUSTER_AWAIT, // running; does not answer yet
    CLUSTER_UP,
};

struct private_postgres {
    const struct cluster_profile *profile;
    char data[1024];
    uid_t uid, server_uid;
    gid_t gid, server_gid;
    char programs[256];              // the directory of postgres, initdb and pg_ctl
    char home[CLUSTER_PATH_ROOM];    // {data}/{name}-pg
    char cluster[CLUSTER_PATH_ROOM]; // home/cluster
    char sockets[CLUSTER_SOCKET_ROOM];
    char url[512], provision_url[512];
    enum cluster_step step;
    pid_t pid;           // of the child at work
    int status;          // of the one that ended
    uint64_t since, due; // monotonic ms: of the first launch; not to be launched before
    struct cluster_watch watch;
};

void cluster_name_sockets(struct private_postgres *p); // and the URLs, that lead there
// Parts of the start, in this order.
enum fail cluster_make_home(struct private_postgres *p, struct fault *fault) MUST_CHECK;
enum fail cluster_make_sockets(const struct private_postgres *p, struct fault *fault) MUST_CHECK;
enum fail cluster_find_programs(struct private_postgres *p, struct fault *fault) MUST_CHECK;
unsigned cluster_version(const struct private_postgres *p); // "15" of the one there is, or 0
// These two only start a child.
enum fail cluster_begin_init(struct private_postgres *p, struct fault *fault) MUST_CHECK;
enum fail cluster_begin_roles(struct private_postgres *p, struct fault *fault) MUST_CHECK;
enum fail cluster_settle(const struct private_postgres *p, struct fault *fault) MUST_CHECK;
enum fail cluster_write_settings(struct private_postgres *p, struct fault *fault) MUST_CHECK;

// home/postgres.log for appending, as the cluster's user; -1 when that cannot be had.
int cluster_open_log(const struct private_postgres *p);
// The end of that log into ours, so that the reason stands where the operator looks.
void cluster_quote_log(const struct private_postgres *p);
// FAIL_INTERNAL, and the log's end in ours, when `program` did not exit with 0.
enum fail cluster_judge(const struct private_postgres *p, const char *program, int status,
                        struct fault *fault) MUST_CHECK;
// argv[0] is the program's name; standard input from `input` (-1: none). Does not wait.
enum fail cluster_start(const struct private_postgres *p, const char *program, char *const *argv,
                        int input, int death_signal, pid_t *ret_pid,
                        struct fault *fault) MUST_CHECK;
#endif
