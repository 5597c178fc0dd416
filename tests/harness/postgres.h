// A real PostgreSQL for one test program: a throwaway cluster in a temporary directory, as user
// postgres when the test runs as root, without fsync, reached by a Unix socket only; and in it a
// database of the program's own. TEST_PG_TEMPLATE is a path: where the programs of one run keep
// the cluster that the first of them made, for the others to copy. With STOA_TEST_PG set (a
// postgresql:// URL, or a socket directory whose superuser is postgres), that server is used instead
// and only the database is made. Any failure here ends the program with a sentence.
#ifndef STOA_TESTS_HARNESS_POSTGRES_H
#define STOA_TESTS_HARNESS_POSTGRES_H
#include <stdbool.h>

// The URL of an empty database; lives until postgres_stop. Call once, first.
const char *postgres_start(void);
// Another empty database on the same server; static memory, good until the next call.
const char *postgres_new_database(void);
// False when the server is somebody else's, and cannot be stopped.
bool postgres_is_ours(void);
// Stops the server at once, as a crash would, and starts it again on the same data. Only when it is
// ours.
void postgres_halt(void);
void postgres_resume(void);
// Drops what was made; stops and removes the cluster.
void postgres_stop(void);
#endif
