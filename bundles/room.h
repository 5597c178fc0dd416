// What a project may keep deployed, and how much of it may be written: a deploy is judged twice,
// before its blobs are written (what is refused would lie on the disk until it is collected), and in
// its transaction, where the project's row is locked and the judgement holds. Pool threads.
#ifndef STOA_BUNDLES_ROOM_H
#define STOA_BUNDLES_ROOM_H
#include "bundles/deployments.h"

struct room_question {
    const char *project_id;
    const char *plugin_id; // NULL: it is to be made
    const char *replaces;  // NULL: nothing; else it stays
    const struct declaration *declaration;
    const struct bundle_options *limits;
};

// FAIL_QUOTA "quota_exceeded": the plugin is one too many, or the project's deployments would take
// more than they may, though the oldest went. Changes nothing.
enum fail room_ask(struct db *db, const struct room_question *q, struct fault *fault) MUST_CHECK;
// Before blobs are written: what is new of them counts against what a project may write, whatever
// goes meanwhile: twice its quota at once, and as much again each hour. FAIL_TOO_MANY "rate_limited"
// with *ret_retry_after in seconds.
enum fail room_may_write(struct db *db, const struct room_question *q, unsigned *ret_retry_after,
                         struct fault *fault) MUST_CHECK;
// In the transaction that will insert it, under the lock of the plugin, which is there now: discards
// the oldest, then as room_ask.
enum fail room_make(struct db *db, const struct room_question *q, bool is_new_plugin,
                    struct fault *fault) MUST_CHECK;
#endif
