// Who may call an app's actions, and how often: the origin rule of security-rules.md 12 and the
// rate limits of 18, with their headers (contract §4). Visitor's loop.
#ifndef STOA_ACTIONS_POLICY_H
#define STOA_ACTIONS_POLICY_H
#include "edge/http/request.h"
#include "edge/limits/limits.h"
#include "public-actions/target.h"

// What a visitor may upload to an app in an hour where its owner says nothing. Process start.
void policy_init(uint64_t uploads_per_hour, uint64_t upload_bytes_per_hour);

// `target` NULL: an app that does not exist; who asks for those is held to a limit, too. An action
// that has never answered shares one limit with all others of its kind, so that made-up names give
// nobody more. `upload_bytes`: not 0 for an upload, which is counted as one and by its bytes, too.
// Adds RateLimit-Policy and RateLimit to the reply; false when the request is refused:
// *ret_retry_after then says for how many seconds.
bool policy_charge(struct request *r, const struct target *target, str action, size_t upload_bytes,
                   unsigned *ret_retry_after);
// Before an app is read that is not held: whether this visitor may cause one more reading. What
// strangers make up costs a look into the database each.
bool policy_may_load(struct request *r, unsigned *ret_retry_after);
// From now on the action has a limit of its own.
void policy_action_answered(const struct target *target, str action);

enum policy_origin {
    POLICY_SAME,    // none was named, or the page's own
    POLICY_ALLOWED, // on the instance's list: the answer is for it to read
    POLICY_FOREIGN,
};
enum policy_origin policy_origin(struct request *r, const struct target *target);
#endif
