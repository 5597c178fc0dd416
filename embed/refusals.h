// Refused exchanges for the audit trail, folded (security-rules.md 27): one row per key, address group
// (/24, /48), reason and minute, with a count, in the chain of the platform's owner project. What
// names no key of ours goes to the server's first project. Kept in memory of a fixed size until they
// are written: what there is no room for is counted under the group "other". Any thread.
#ifndef STOA_EMBED_REFUSALS_H
#define STOA_EMBED_REFUSALS_H
#include "edge/base/ip.h"
#include "edge/store/db.h"

struct refusal {
    const char *key_id, *owner_project_id; // NULL: no key of ours
    const struct ip *address;
    const char *reason; // a literal of few: "signature", a claim's name, …
};
void refusal_note(const struct refusal *r);
// Writes those of past minutes, or with `all` every one. What cannot be written now stays.
void refusals_write(struct db *db, bool all);
// For tests: how many rows would be written.
size_t refusals_held(void);
#endif
