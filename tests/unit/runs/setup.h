// What the tests of this folder begin with: PostgreSQL, two loops, a pool, two projects with an
// instance each, and records made in one line.
#ifndef STOA_TESTS_RUNS_SETUP_H
#define STOA_TESTS_RUNS_SETUP_H
#include "edge/http/endpoint.h"
#include "public-actions/runs/internal.h"

struct owner {
    char project_id[CATALOG_ID_ROOM];
    struct plugin plugin;
    struct instance instance;
};
extern struct owner mine, others;
extern struct db *setup_db;
extern struct runs_options setup_options; // set before setup_start

// Starts everything but the threads of the folder itself.
void setup_start(void);
void setup_threads(void); // runs_start, once
// Another project, with an instance.
void setup_owner(const char *name, struct owner *o);
// A run of mine, or of another.
struct run_record *setup_run(const struct owner *o, const char *action);
// Gives it a heartbeat event.
void setup_event(struct run_record *r, const char *type, const char *payload);
// Records it and waits for the commit.
enum fail setup_keep(struct run_record *r);
int64_t setup_number(const char *sql);
void setup_sql(const char *sql);
// Waits up to 20 s for the number.
void setup_wait_for(const char *sql, int64_t want);
// Of the metrics' line that begins so.
uint64_t setup_metric(const char *name);
#endif
