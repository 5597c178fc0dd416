// Opening sessions, their tokens, and what a token stands for at each request. A token's `jti` is its
// chain and the turn it was made in: when the chain has turned, the token before it serves requests
// under way for a few seconds more, and any later use is somebody else's copy, which ends the chain.
#include "edge/auth/sessions.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "edge/auth/sessions_internal.h"
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"
#include "edge/base/token.h"

#define SESSION_TYP "stoa-session+jwt"
#define SESSION_AUDIENCE "stoa"

struct session_options session_options = {
    .console_origin = "http://127.0.0.1:8081", .seconds = 900, .kind = JOSE_ES256};

void session_init(const struct session_options *options)
{
    session_options = *options;
}

static enum fail ended(struct fault *fault)
{
    return fault_set(fault, FAIL_UNAUTHORISED, "session_ended",
                     "This session has ended. Open the builder again to begin another.");
}

static enum fail unauthorised(struct fault *fault)
{
    return fault_set(fault, FAIL_UNAUTHORISED, "unauthorized",
                     "This is no token of an embedded session of this server.");
}

// --- tokens ---

static json_t *payload_of(const struct session_claims *c)
{
    char jti[64];
    snprintf(jti, sizeof jti, "%s.%" PRId64, c->link.chain_id, c->link.turn);
    json_t *payload =
        json_pack("{ss ss ss ss ss ss ss sI sI}", "iss", session_options.console_origin, "aud",
                  SESSION_AUDIENCE, "sub", c->user_id, "sid", c->link.session_id, "jti", jti,
                  "projectId", c->project_id, "platformId", c->platform_id, "iat",
                  (json_int_t)(clock_real_ms() / 1000), "exp", (json_int_t)(c->expires_at / 1000));
    assert(payload != NULL);
    return payload;
}

enum fail session_sign(struct db *db, const struct session_claims *claims,
                       char ret_token[static SESSION_TOKEN_MAX], struct fault *fault)
{
    char kid[JOSE_KID_MAX + 1];
    struct jose_key *key = NULL;
    enum fail f = session_key_to_sign(db, kid, &key, fault);
    if (f != FAIL_NONE)
        return f;
    json_auto_t *payload = payload_of(claims);
    char *token = jose_sign(key, kid, SESSION_TYP, payload);
    jose_key_destroy(key);
    size_t n = strlen(token);
    assert(n < SESSION_TOKEN_MAX); // a console origin has 255 characters at most
    memcpy(ret_token, token, n + 1);
    explicit_bzero(token, n);
    free(token);
    return FAIL_NONE;
}

static bool is_claim(const struct jose_token *t, const char *claim, str wanted)
{
    return str_eq(jsonx_str(t->payload, claim), wanted);
}

static bool id_of(str s, char to[static 33])
{
    if (s.n == 0 || s.n > 32)
        return false;
    memcpy(to, s.p, s.n);
    to[s.n] = '\0';
    return true;
}

static bool link_of(const struct jose_token *t, struct session_link *ret)
{
    str rest = jsonx_str(t->payload, "jti"), chain = str_cut(&rest, '.');
    uint64_t turn;
    if (!id_of(jsonx_str(t->payload, "sid"), ret->session_id) || !id_of(chain, ret->chain_id) ||
        !str_to_u64(rest, INT64_MAX, &turn))
        return false;
    ret->turn = (int64_t)turn;
    return true;
}

// Of a token whose signature is ours.
static enum fail check_claims(const struct jose_token *t, struct session_link *ret,
                              struct fault *fault)
{
    bool has_exp = false;
    int64_t exp = 0;
    if (!is_claim(t, "iss", str_from(session_options.console_origin)) ||
        !is_claim(t, "aud", STR(SESSION_AUDIENCE)) || !link_of(t, ret) ||
        jose_time(t, "exp", &has_exp, &exp, NULL) != FAIL_NONE || !has_exp)
        return unauthorised(fault);
    if (exp * 1000 <= clock_real_ms())
        return fault_set(fault, FAIL_UNAUTHORISED, "session_expired",
                         "This session's token has expired. Renew it, or open the builder again.");
    return FAIL_NONE;
}

static enum fail verify(struct db *db, const struct jose_token *t, struct fault *fault)
{
    struct jose_key *key = NULL;
    enum fail f = session_key_find(db, t->kid, &key, fault);
    if (f == FAIL_UNAUTHORISED)
        return unauthorised(fault);
    if (f != FAIL_NONE)
        return f;
    f = jose_verify(t, key, NULL) == FAIL_NONE ? FAIL_NONE : unauthorised(fault);
    jose_key_destroy(key);
    return f;
}

static enum fail read_token(struct db *db, str token, struct session_link *ret, struct fault *fault)
{
    struct jose_token t;
    if (token.n >= SESSION_TOKEN_MAX || jose_parse_typed(token, SESSION_TYP, &t, NULL) != FAIL_NONE)
        return unauthorised(fault);
    enum fail f = verify(db, &t, fault);
    if (f == FAIL_NONE)
        f = check_claims(&t, ret, fault);
    jose_token_fini(&t);
    return f;
}

// --- opening ---

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

enum fail session_open(struct db *db, const struct session_wish *wish, struct session_grant *ret,
                       struct fault *fault)
{
    struct session_row row = {0};
    struct session_wish w = *wish;
    char id[TOKEN_ID_ROOM];
    struct session_claims claims = {.link.turn = 1};
    assert(db_is_in_transaction(db));
    token_id("ses_", id);
    w.absolute_s = least(w.absolute_s, SESSION_LONGEST_S);
    enum fail f = session_query_join(db, &w, id, &row, &ret->is_new, fault);
    if (f == FAIL_NONE && wish->is_single_use && !ret->is_new)
        return fault_set(fault, FAIL_CONFLICT, "token_used",
                         "This provisioning token has been used; sign another one.");
    if (f == FAIL_NONE && !row.is_live)
        return ended(fault);
    token_id("chn_", claims.link.chain_id);
    memcpy(claims.link.session_id, row.id, sizeof row.id);
    if (f == FAIL_NONE)
        f = session_query_chain(db, claims.link.chain_id, row.id,
                                wish->is_framed ? session_options.seconds
                                                : least(wish->long_s, SESSION_LONGEST_S),
                                &claims.expires_at, fault);
    claims.user_id = row.user_id;
    claims.project_id = row.project_id;
    claims.platform_id = row.platform_id;
    if (f == FAIL_NONE)
        f = session_sign(db, &claims, ret->token, fault);
    memcpy(ret->session_id, row.id, sizeof row.id);
    memcpy(ret->project_name, row.project_name, sizeof row.project_name);
    ret->expires_at = claims.expires_at;
    ret->ends_at = row.ends_at;
    return f;
}

// --- at each request ---

static enum fail audit_reuse(struct db *db, const struct principal *p,
                             const struct session_link *link, const struct auth_asker *asker,
                             struct fault *fault)
{
    json_auto_t *facts = json_pack("{ss}", "chain", link->chain_id);
    return audit_append(db, p->project_id, p->token_id, "session.reuse", p->token_id,
                        asker->request_id, asker->address, facts, fault);
}

// In a transaction of its own: the request that brought the token is refused, this stays.
static enum fail end_reused(struct db *db, const struct principal *p,
                            const struct session_link *link, const struct auth_asker *asker,
                            struct fault *fault)
{
    bool is_ended = false;
    enum fail f = db_begin(db, fault);
    if (f != FAIL_NONE)
        return f;
    f = session_query_end_chain(db, link, &is_ended, fault);
    if (f == FAIL_NONE && is_ended)
        f = audit_reuse(db, p, link, asker, fault);
    if (f == FAIL_NONE)
        return db_commit(db, fault);
    db_rollback(db);
    return f;
}

static enum fail reused(struct db *db, const struct principal *p, const struct session_link *link,
                        const struct auth_asker *asker, struct fault *fault)
{
    enum fail f = end_reused(db, p, link, asker, fault);
    return f == FAIL_NONE ? ended(fault) : f;
}

enum fail session_principal(struct db *db, str token, const struct auth_asker *asker,
                            struct principal *ret, struct fault *fault)
{
    struct session_link link = {0};
    struct session_seen seen = {0};
    bool found = false;
    enum fail f = read_token(db, token, &link, fault);
    if (f == FAIL_NONE)
        f = session_query_link(db, &link, &seen, &found, fault);
    if (f != FAIL_NONE)
        return f;
    if (!found || !seen.is_live || seen.principal.role == ROLE_NONE || seen.behind < 0)
        return ended(fault);
    if (seen.behind > 1 || (seen.behind == 1 && !seen.is_in_grace))
        return reused(db, &seen.principal, &link, asker, fault);
    // When it cannot be noted (a standby, a full disk), reading goes on all the same.
    if (seen.wants_touch)
        (void)!session_query_touch(db, link.session_id, NULL);
    *ret = seen.principal;
    memcpy(ret->chain_id, link.chain_id, sizeof link.chain_id);
    ret->chain_turn = link.turn;
    return FAIL_NONE;
}

enum fail session_is_live(struct db *db, const char *session_id, bool *ret, struct fault *fault)
{
    return session_query_is_live(db, session_id, ret, fault);
}

// --- renewal ---

static struct session_claims next_claims(const struct principal *p, const struct session_link *link,
                                         int64_t expires_at)
{
    struct session_claims c = {.user_id = p->user_id,
                               .project_id = p->project_id,
                               .platform_id = p->platform_id,
                               .expires_at = expires_at,
                               .link = *link};
    ++c.link.turn;
    return c;
}

static struct session_link link_by(const struct principal *p)
{
    struct session_link link = {.turn = p->chain_turn};
    memcpy(link.session_id, p->token_id, sizeof p->token_id);
    memcpy(link.chain_id, p->chain_id, sizeof p->chain_id);
    return link;
}

static enum fail turn(struct db *db, const struct principal *p, const struct session_link *link,
                      struct session_grant *ret, struct fault *fault)
{
    enum fail f = session_query_turn(db, link, ret, fault);
    if (f != FAIL_NONE || ret->expires_at == 0)
        return f;
    struct session_claims claims = next_claims(p, link, ret->expires_at);
    return session_sign(db, &claims, ret->token, fault);
}

enum fail session_refresh(struct db *db, const struct principal *p, const struct auth_asker *asker,
                          struct session_grant *ret, struct fault *fault)
{
    struct session_link link = link_by(p);
    enum fail f = db_begin(db, fault);
    if (f != FAIL_NONE)
        return f;
    memcpy(ret->session_id, p->token_id, sizeof p->token_id);
    ret->is_new = false;
    f = turn(db, p, &link, ret, fault);
    if (f == FAIL_NONE)
        f = db_commit(db, fault);
    else
        db_rollback(db);
    return f == FAIL_NONE && ret->expires_at == 0 ? reused(db, p, &link, asker, fault) : f;
}
