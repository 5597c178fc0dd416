// What a provisioning token claims (embed-protocol.md, "Checks on a provisioning JWT"), once its
// signature was found good: claim by claim, the first at fault is named and no more. Pure; any thread.
#ifndef STOA_EMBED_CLAIMS_H
#define STOA_EMBED_CLAIMS_H
#include "edge/auth/jose/jose.h"

enum {
    CLAIM_TEXT_MAX = 256, // characters
    CLAIM_TAGS_MAX = 256,
    CLAIM_LEEWAY = 60, // seconds that clocks may differ
};

struct claims_rules {
    const char *audience;   // "": `aud` is not looked at
    int64_t max_lifetime_s; // 0: as long as the token says
};
// Views into the token's payload.
struct claims {
    str external_user_id, external_project_id, first_name, last_name, email; // email may be absent
    const char *role;                                                        // as roles.h writes it
    bool has_filter;     // false: the token says nothing of pieces
    const char *filter;  // "NONE", "ALLOWED"
    const json_t *tags;  // array of strings; NULL: none
    const json_t *tasks; // a number; NULL: none
    int64_t expires_at;  // seconds
    int64_t issued_at;   // seconds: `iat`, else `exp`
    int64_t lifetime_s;  // from `iat`, else from now, to `exp`
};
// FAIL_UNAUTHORISED "invalid_token" with a sentence; *ret_claim is then the name of the one at fault
// ("exp", "role", …), a literal.
enum fail claims_read(const struct jose_token *t, const struct claims_rules *rules, int64_t now_s,
                      struct claims *ret, const char **ret_claim, struct fault *fault) MUST_CHECK;
#endif
