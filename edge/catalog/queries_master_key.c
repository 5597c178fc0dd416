// The one value that tells whether the master key is the right one.
#include "edge/catalog/catalog.h"

enum fail catalog_key_check_lock(struct db *db, uint8_t **ret, size_t *ret_n, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail =
        db_query(db, fault, NULL, "lock table master_key_checks in share row exclusive mode");
    if (fail == FAIL_NONE)
        fail = db_query(db, fault, &rows, "select sealed from master_key_checks");
    if (fail == FAIL_NONE && db_count(rows) != 0)
        *ret = db_get_bytes(rows, 0, 0, ret_n);
    return fail;
}

enum fail catalog_key_check_put(struct db *db, str sealed, struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "insert into master_key_checks (sealed) values ($1) on conflict (only_one)"
                    " do update set sealed = $1, made_at = now()",
                    db_bytes(sealed));
}
