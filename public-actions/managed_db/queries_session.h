// The SQL around a handler's statement, and what is asked over a control connection.
#ifndef STOA_MANAGED_DB_QUERIES_SESSION_H
#define STOA_MANAGED_DB_QUERIES_SESSION_H
#include <libpq-fe.h>
#include "edge/store/db.h"

// --- appended to a connection's pipeline; false: the connection cannot be used any more ---
bool managed_db_send_rollback(PGconn *pg);
// Everything a session can hold: settings, temporary tables, prepared statements, cursors, LISTEN,
// advisory locks. The settings it goes back to are those of the start-up packet.
bool managed_db_send_discard(PGconn *pg);
bool managed_db_send_begin(PGconn *pg, bool is_read_only);
// One of the transaction's own settings. `value`: an id of ours or a number, of letters, digits, `-`
// and `_`. SET, which looks nothing up and plans nothing: three of them cost PostgreSQL a third of one
// select of set_config.
bool managed_db_send_setting(PGconn *pg, const char *name, const char *value);
// One row: the server's time, as text.
bool managed_db_send_time(PGconn *pg);
bool managed_db_send_commit(PGconn *pg);

// --- control connection, pool threads ---

// Ends the backend, unless its process number has gone to one that began after `since` (a time of
// the server's, as text) or that serves another role or database. *ret_has_gone: there was none.
enum fail managed_db_terminate_backend(struct db *db, int pid, const char *since, const char *role,
                                       const char *database, bool *ret_has_gone,
                                       struct fault *fault) MUST_CHECK;
enum fail managed_db_database_bytes(struct db *db, const char *database, uint64_t *ret,
                                    struct fault *fault) MUST_CHECK;
#endif
