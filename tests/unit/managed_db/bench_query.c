// How long one insert takes through the owner loop's half, against a bare blocking libpq program
// that sends the same statements one by one: begin, two set_config, the insert, commit, discard
// all. Not a test: run it by hand, built for release. Rounds alternate; medians are printed.
#include "edge/http/service.h"
#include "edge/base/clock.h"
#include "played.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ROUNDS = 15, ROUND_MS = 200, LANES_MAX = 32 };

static const char insert[] = "insert into t (name) values ($1)";

// --- the bare program ---

static void run(PGconn *pg, const char *sql, int count, const char *const *values)
{
    PGresult *r = PQexecParams(pg, sql, count, NULL, values, NULL, NULL, 0);
    if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK) {
        fprintf(stderr, "%s: %s", sql, PQerrorMessage(pg));
        exit(1);
    }
    PQclear(r);
}

static void insert_once(PGconn *pg)
{
    run(pg, "begin", 0, NULL);
    run(pg, "select set_config('app.user_id',$1,true)", 1, (const char *[]){"user-1"});
    run(pg, "select set_config('app.plugin_id',$1,true)", 1, (const char *[]){"p"});
    run(pg, insert, 1, (const char *[]){"somebody"});
    run(pg, "commit", 0, NULL);
    run(pg, "discard all", 0, NULL);
}

static uint64_t round_ends;
static _Atomic uint64_t done;
static PGconn *bare[LANES_MAX];

static void *bare_main(void *arg)
{
    while (clock_monotonic_us() < round_ends) {
        insert_once(arg);
        ++done;
    }
    return NULL;
}

static double bare_round(unsigned lanes)
{
    pthread_t threads[LANES_MAX];
    done = 0;
    round_ends = clock_monotonic_us() + ROUND_MS * 1000;
    for (unsigned i = 0; i != lanes; ++i)
        pthread_create(&threads[i], NULL, bare_main, bare[i]);
    for (unsigned i = 0; i != lanes; ++i)
        pthread_join(threads[i], NULL);
    return (double)done * 1000 / ROUND_MS;
}

// --- through the loop ---

static void again(struct asked *a)
{
    ++done;
    if (a->is_error)
        fprintf(stderr, "%s\n", a->json);
    ask_forget(a);
    if (clock_monotonic_us() < round_ends && !a->is_error)
        ask_start(a, "a", "p", "[\"%s\",[\"somebody\"]]", insert);
    else
        a->is_done = true;
}

static double loop_round(unsigned lanes)
{
    static struct asked asked[LANES_MAX];
    done = 0;
    round_ends = clock_monotonic_us() + ROUND_MS * 1000;
    for (unsigned i = 0; i != lanes; ++i) {
        asked[i].on_answer = again;
        ask_start(&asked[i], "a", "p", "[\"%s\",[\"somebody\"]]", insert);
    }
    for (unsigned i = 0; i != lanes; ++i)
        while (!asked[i].is_done)
            usleep(1000);
    return (double)done * 1000 / ROUND_MS;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void compare(unsigned lanes)
{
    double theirs[ROUNDS], ours[ROUNDS];
    for (unsigned i = 0; i != ROUNDS; ++i) {
        theirs[i] = bare_round(lanes);
        ours[i] = loop_round(lanes);
    }
    qsort(theirs, ROUNDS, sizeof theirs[0], by_size);
    qsort(ours, ROUNDS, sizeof ours[0], by_size);
    double t = theirs[ROUNDS / 2], o = ours[ROUNDS / 2];
    printf("%2u at once: bare %6.0f/s (%.0f us), loop %6.0f/s (%.0f us): %.2f x the time\n", lanes,
           t, lanes * 1e6 / t, o, lanes * 1e6 / o, t / o);
}

int main(void)
{
    played_start(1);
    ask("a", "p",
        "[\"create table t (id bigserial primary key, name text, at timestamptz default "
        "now())\"]");
    struct managed_db_access access;
    struct fault fault;
    if (managed_db_access(NULL, "a", "p", &access, &fault) != FAIL_NONE)
        return 1;
    char *conninfo = managed_db_conninfo(&access);
    played_sql(NULL, "alter role role_a_p set search_path = s_p");
    for (unsigned i = 0; i != LANES_MAX; ++i)
        bare[i] = PQconnectdb(conninfo);
    compare(1);
    compare(8);
    compare(32);
    played_stop();
    return 0;
}
