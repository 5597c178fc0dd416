// A blocking connection as the plugin's own role.
#include <stdlib.h>
#include "public-actions/managed_db/tables.h"

static enum fail log_in(const struct managed_db_access *access, struct managed_db_link *ret,
                        struct fault *fault)
{
    char *info = managed_db_conninfo(access);
    enum fail fail = managed_db_link_open(info, NULL, ret, fault);
    explicit_bzero(info, strlen(info));
    free(info);
    return fail;
}

enum fail managed_db_session_open(struct db *db, const struct managed_db_access *access,
                                  struct managed_db_link *ret, struct fault *fault)
{
    char owner[37];
    *ret = (struct managed_db_link){0};
    enum fail fail = managed_db_query_owner(db, access->project_id, owner, fault);
    if (fail == FAIL_NONE)
        fail = log_in(access, ret, fault);
    if (fail == FAIL_DENIED) {
        fail = managed_db_role_restore(db, access->project_id, access->plugin_id, fault);
        if (fail == FAIL_NONE)
            fail = log_in(access, ret, fault);
    }
    if (fail == FAIL_NONE)
        fail = managed_db_tables_prepare(ret, owner, access->plugin_id, fault);
    if (fail == FAIL_DENIED || fail == FAIL_REFUSED)
        fail = fault_set(fault, FAIL_BUSY, "managed_db_unavailable",
                         "The plugin's database cannot be entered right now. Try again in a "
                         "moment.");
    if (fail != FAIL_NONE)
        managed_db_link_close(ret);
    return fail;
}
