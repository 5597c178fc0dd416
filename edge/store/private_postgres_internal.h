// What making a cluster and running it share.
#ifndef STOA_STORE_PRIVATE_POSTGRES_INTERNAL_H
#define STOA_STORE_PRIVATE_POSTGRES_INTERNAL_H
#include "edge/store/private_postgres.h"

enum { CLUSTER_PATH_ROOM = 1200, CLUSTER_SOCKET_ROOM = 108 };

struct private_postgres {
    char name[32];
    uid_t uid, server_uid;
    gid_t gid, server_gid;
    char programs[256];              // the directory of postgres, initdb and pg_ctl
    char home[CLUSTER_PATH_ROOM];    // {data}/{name}-pg
    char cluster[CLUSTER_PATH_ROOM]; // home/cluster
    char sockets[CLUSTER_SOCKET_ROOM];
    char url[512];
    pid_t pid;
};

// Each of these is one step of the start, in this order.
enum fail cluster_make_home(struct private_postgres *p, const char *data,
                            struct fault *fault) MUST_CHECK;
enum fail cluster_make_sockets(struct private_postgres *p, const char *data,
                               struct fault *fault) MUST_CHECK;
enum fail cluster_find_programs(struct private_postgres *p, struct fault *fault) MUST_CHECK;
enum fail cluster_create(struct private_postgres *p, struct fault *fault) MUST_CHECK; // if absent
enum fail cluster_write_settings(struct private_postgres *p, struct fault *fault) MUST_CHECK;

// home/postgres.log for appending, as the cluster's user; -1 when that cannot be had.
int cluster_open_log(const struct private_postgres *p);
// The end of that log into ours, so that the reason stands where the operator looks.
void cluster_quote_log(const struct private_postgres *p);
// Runs one of PostgreSQL's programs to its end as the cluster's user: standard input from `input`
// (-1: none), output to the log. FAIL_INTERNAL when it did not exit with 0.
enum fail cluster_run(const struct private_postgres *p, const char *program, char *const *arguments,
                      int input, struct fault *fault) MUST_CHECK;
// argv[0] is the program's name. Does not wait.
enum fail cluster_start(const struct private_postgres *p, const char *program, char *const *argv,
                        int input, int death_signal, pid_t *ret_pid,
                        struct fault *fault) MUST_CHECK;
#endif
