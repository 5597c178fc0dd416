// What one insert costs by libpq alone, blocking, on one connection: BEGIN, two settings, the statement, COMMIT, and the clean-up that Stoa
// sends after its answer. Prints microseconds a transaction, first without the clean-up (what a visitor waits for), then with it.
//
//     floor CONNINFO TRANSACTIONS
#include <libpq-fe.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void run(PGconn *c, const char *sql, int count, const char *const *values)
{
    PGresult *r = PQexecParams(c, sql, count, NULL, values, NULL, NULL, 0);
    if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK) {
        fprintf(stderr, "%s", PQerrorMessage(c));
        exit(1);
    }
    PQclear(r);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    PGconn *c = PQconnectdb(argv[1]);
    if (PQstatus(c) != CONNECTION_OK) {
        fprintf(stderr, "%s", PQerrorMessage(c));
        return 1;
    }
    const char *who[] = {"4a1f0000-0000-4000-8000-000000000000", "plg_bench"},
               *row[] = {"Ada", "ada@example.org"};
    uint64_t answered = 0, whole = 0;
    int total = atoi(argv[2]);
    for (int i = 0; i != total; ++i) {
        uint64_t begun = now();
        run(c, "BEGIN", 0, NULL);
        run(c, "select set_config('app.user_id', $1, true), set_config('app.plugin_id', $2, true)",
            2, who);
        run(c, "INSERT INTO answers (name, email) VALUES ($1, $2)", 2, row);
        run(c, "COMMIT", 0, NULL);
        answered += now() - begun;
        run(c, "DISCARD ALL", 0, NULL);
        whole += now() - begun;
    }
    printf("%.1f %.1f\n", (double)answered / total, (double)whole / total);
    PQfinish(c);
    return 0;
}
