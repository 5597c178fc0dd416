// The master key (edge/base/seal.h): given by the operator, or made at the first start and kept in the
// data directory; and the check that this database was sealed under it. A key that is lost or wrong
// is a refusal to start, never the beginning of secrets under a second key. Start-up, and the
// notices thread.
#ifndef STOA_MASTER_KEY_H
#define STOA_MASTER_KEY_H
#include "edge/store/db.h"

// `given`: the keys as text (settings.master_key), "" when there are none; `file`: where the data
// directory keeps one. Both are copied. Before the first master_key_prepare.
void master_key_init(const char *given, const char *file);
// After the migrations, on each new connection that prepares the database; changes nothing when all
// is as it was. The first time for a database it makes the key, unless one is there, and leaves a
// check value; later it refuses: FAIL_REFUSED "master_key_missing", "master_key_wrong",
// "master_key_unreadable", each with a sentence.
enum fail master_key_prepare(struct db *db, struct fault *fault) MUST_CHECK;
#endif
