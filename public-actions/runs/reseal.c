// Subscriptions' keys go over to the newest master key, so that an older one can be taken away.
#include "public-actions/runs/internal.h"
#include <stdlib.h>
#include "edge/base/log.h"
#include "edge/base/seal.h"

enum { RESEAL_AT_ONCE = 100 };

static enum fail reseal_one(struct db *db, const struct sealed_key *k, struct fault *fault)
{
    struct buf sealed;
    uint8_t key[EVENT_KEY_SIZE];
    buf_init(&sealed, EVENT_KEY_SIZE + SEAL_OVERHEAD);
    enum fail f = event_key_unseal(k->sealed, k->project_id, k->id, key, fault);
    if (f == FAIL_NONE)
        f = event_key_seal(key, k->project_id, k->id, &sealed, fault);
    if (f == FAIL_NONE)
        f = runs_query_key_replace(db, k, buf_str(&sealed), fault);
    explicit_bzero(key, sizeof key);
    buf_fini(&sealed);
    return f;
}

// By id, so that one that does not open is passed over and holds up no others.
enum fail runs_reseal(struct db *db, size_t *ret_done, struct fault *fault)
{
    uint8_t id[SEAL_ID_BYTES];
    struct sealed_key list[RESEAL_AT_ONCE];
    char after[CATALOG_ID_ROOM] = "";
    size_t n = RESEAL_AT_ONCE;
    *ret_done = 0;
    enum fail f = seal_current_id(id, fault);
    while (f == FAIL_NONE && n == RESEAL_AT_ONCE) {
        f = runs_query_old_keys(db, str_of(id, sizeof id), after, RESEAL_AT_ONCE, list, &n, fault);
        for (size_t i = 0; f == FAIL_NONE && i != n; ++i) {
            memcpy(after, list[i].id, sizeof after);
            if (reseal_one(db, &list[i], fault) == FAIL_NONE)
                ++*ret_done;
            else
                log_error("a subscription's key cannot be opened", "subscription=%s reason=%s",
                          list[i].id, LOG_STR(str_from(fault->log_text)));
        }
        for (size_t i = 0; f == FAIL_NONE && i != n; ++i)
            free((char *)list[i].sealed.p);
    }
    return f;
}
