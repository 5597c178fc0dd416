// Sessions against a real PostgreSQL: what is opened, what a token stands for at each request, and
// that whatever ends a session is seen by the very next one.
#include "edge/auth/sessions_internal.h" // before cmocka.h, whose macro `fail` takes no argument
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"
#include "edge/catalog/platform.h"
#include "edge/loop/shared.h"
#include "edge/store/faults.h"
#include "tests/harness/postgres.h"

static struct db *db;
static struct platform platform, other_platform;
static struct provisioned ada; // Editor
static const struct session_options standard = {
    .console_origin = "https://console.example", .seconds = 900, .kind = JOSE_ES256};

static const struct auth_asker asker = {"request", {"192.0.2.1", 9}};

static void ok(enum fail f, const struct fault *fault)
{
    if (f != FAIL_NONE)
        fail_msg("%d %s: %s | %s", (int)f, fault->code, fault->public_text, fault->log_text);
}
#define OK(call) ok((call), &fault)

static void run_sql(const char *sql)
{
    struct fault fault = {0};
    OK(db_script(db, &fault, sql));
}

static int64_t number(const char *sql)
{
    struct fault fault = {0};
    DB_ROWS_AUTO rows = NULL;
    OK(db_query(db, &fault, &rows, sql));
    return db_get_int(rows, 0, 0);
}

// --- people ---

static struct provisioned provisioned(const struct platform *p, const char *user,
                                      const char *project, const char *role, int64_t issued_at)
{
    struct fault fault = {0};
    struct provisioned ret;
    const struct provision wish = {.platform_id = p->id,
                                   .external_user_id = str_from(user),
                                   .external_project_id = str_from(project),
                                   .first_name = STR("Ada"),
                                   .last_name = STR("Lovelace"),
                                   .role = role,
                                   .issued_at = issued_at};
    OK(db_begin(db, &fault));
    OK(platform_provision(db, &wish, &ret, &fault));
    OK(db_commit(db, &fault));
    return ret;
}

// --- sessions ---

static struct session_wish wish_for(const struct provisioned *p, const char *token)
{
    return (struct session_wish){.platform_id = platform.id,
                                 .key_id = "key_one",
                                 .project_id = p->project_id,
                                 .user_id = p->user_id,
                                 .provisioning = digest_sha256(str_from(token)),
                                 .provisioning_expires_at = clock_real_ms() + 300000,
                                 .is_framed = true,
                                 .long_s = 7 * 86400,
                                 .absolute_s = 43200};
}

static enum fail try_open(const struct session_wish *wish, struct session_grant *ret,
                          struct fault *fault)
{
    ok(db_begin(db, fault), fault);
    enum fail f = session_open(db, wish, ret, fault);
    if (f == FAIL_NONE)
        return db_commit(db, fault);
    db_rollback(db);
    return f;
}
static struct session_grant opened(const struct session_wish *wish)
{
    struct fault fault = {0};
    struct session_grant g;
    OK(try_open(wish, &g, &fault));
    return g;
}

static struct session_grant opened_by(const char *token)
{
    struct session_wish wish = wish_for(&ada, token);
    return opened(&wish);
}

static struct principal principal_of(const char *token)
{
    struct fault fault = {0};
    struct principal p;
    OK(session_principal(db, str_from(token), &asker, &p, &fault));
    return p;
}

static void refused_with(const char *code, const char *token)
{
    struct fault fault = {0};
    struct principal p;
    enum fail f = session_principal(db, str_from(token), &asker, &p, &fault);
    if (f != FAIL_UNAUTHORISED || strcmp(fault.code, code) != 0)
        fail_msg("%d %s instead of %s", (int)f, f != FAIL_NONE ? fault.code : "", code);
    assert_false(db_is_in_transaction(db));
}

static struct session_grant refreshed(const char *token)
{
    struct fault fault = {0};
    struct session_grant g;
    struct principal p = principal_of(token);
    OK(session_refresh(db, &p, &asker, &g, &fault));
    return g;
}

static void test_token_is_a_principal_with_the_present_role(void **state)
{
    struct session_grant g = opened_by("one");
    struct principal p = principal_of(g.token);
    assert_true(g.is_new);
    assert_string_equal(p.token_id, g.session_id);
    assert_string_equal(p.project_id, ada.project_id);
    assert_string_equal(p.user_id, ada.user_id);
    assert_string_equal(p.owner_id, ada.owner_id);
    assert_string_equal(p.platform_id, platform.id);
    assert_int_equal(p.role, ROLE_EDITOR);
    assert_int_equal(p.scope, SCOPE_NONE);
    assert_true(g.expires_at > clock_real_ms() + 890000 && g.expires_at < clock_real_ms() + 910000);
    assert_true(g.ends_at > clock_real_ms() + 43100000);
}

static void test_token_has_the_claims_that_are_promised(void **state)
{
    struct session_grant g = opened_by("claims");
    struct jose_token t;
    assert_int_equal(jose_parse(str_from(g.token), &t, NULL), FAIL_UNAUTHORISED); // no provisioning
    assert_int_equal(jose_parse_typed(str_from(g.token), "stoa-session+jwt", &t, NULL), FAIL_NONE);
    assert_string_equal(t.alg, "ES256");
    assert_true(str_eq(jsonx_str(t.payload, "iss"), STR("https://console.example")));
    assert_true(str_eq(jsonx_str(t.payload, "aud"), STR("stoa")));
    assert_true(str_eq(jsonx_str(t.payload, "sub"), str_from(ada.user_id)));
    assert_true(str_eq(jsonx_str(t.payload, "sid"), str_from(g.session_id)));
    assert_true(str_eq(jsonx_str(t.payload, "projectId"), str_from(ada.project_id)));
    assert_true(str_eq(jsonx_str(t.payload, "platformId"), str_from(platform.id)));
    assert_true(jsonx_str(t.payload, "jti").n != 0);
    assert_int_equal(json_object_size(t.payload), 9);
    jose_token_fini(&t);
}

// --- joining ---

static void test_exchanges_of_one_token_share_a_session(void **state)
{
    struct session_grant a = opened_by("shared"), b = opened_by("shared");
    assert_true(a.is_new && !b.is_new);
    assert_string_equal(a.session_id, b.session_id);
    assert_int_equal(a.ends_at, b.ends_at);
    assert_string_not_equal(principal_of(a.token).chain_id, principal_of(b.token).chain_id);
}

static void test_single_use_is_once(void **state)
{
    struct fault fault = {0};
    struct session_grant g;
    struct session_wish wish = wish_for(&ada, "once");
    wish.is_single_use = true;
    OK(try_open(&wish, &g, &fault));
    assert_int_equal(try_open(&wish, &g, &fault), FAIL_CONFLICT);
    assert_string_equal(fault.code, "token_used");
}

static void test_host_pages_last_long_but_not_beyond_the_end(void **state)
{
    struct session_wish wish = wish_for(&ada, "long");
    wish.is_framed = false;
    wish.long_s = 3600;
    assert_true(opened(&wish).expires_at > clock_real_ms() + 3590000);
    wish.long_s = 100 * 86400;
    struct session_grant g = opened(&wish);
    assert_int_equal(g.expires_at, g.ends_at);
    struct session_wish endless = wish_for(&ada, "endless");
    endless.absolute_s = 365 * 86400;
    assert_true(opened(&endless).ends_at < clock_real_ms() + SESSION_LONGEST_S * 1000 + 1000);
}

static void test_ended_session_is_not_joined(void **state)
{
    struct fault fault = {0};
    struct session_grant g = opened_by("over"), again;
    struct session_wish wish = wish_for(&ada, "over");
    size_t ended = 0;
    OK(db_begin(db, &fault));
    OK(session_end(db, platform.id, str_from(g.session_id), &ended, &fault));
    OK(db_commit(db, &fault));
    assert_int_equal(ended, 1);
    assert_int_equal(try_open(&wish, &again, &fault), FAIL_UNAUTHORISED);
    assert_string_equal(fault.code, "session_ended");
    struct session_grant late = opened_by("past its end");
    run_sql("update sessions set ends_at = now() - interval '1 second' where ended_at is null");
    wish = wish_for(&ada, "past its end");
    assert_int_equal(try_open(&wish, &again, &fault), FAIL_UNAUTHORISED);
    assert_string_equal(fault.code, "session_ended");
    refused_with("session_ended", late.token);
}

// --- renewal ---

static void test_renewal_gives_the_next_token(void **state)
{
    struct session_grant a = opened_by("renewed");
    struct session_grant b = refreshed(a.token);
    assert_string_not_equal(a.token, b.token);
    struct principal p = principal_of(b.token);
    assert_string_equal(p.token_id, a.session_id);
    assert_int_equal(p.chain_turn, 2);
    assert_int_equal(b.ends_at, a.ends_at);
    assert_string_equal(a.project_name, "first");
    assert_string_equal(b.project_name, "first");
    refreshed(b.token);
}

static void test_renewed_token_serves_what_is_under_way(void **state)
{
    struct session_grant a = opened_by("grace");
    struct session_grant b = refreshed(a.token);
    principal_of(a.token);
    principal_of(b.token);
}

static int64_t reuses(const char *session_id)
{
    struct fault fault = {0};
    DB_ROWS_AUTO rows = NULL;
    OK(db_query(db, &fault, &rows,
                "select count(*) from audit_events where action = 'session.reuse'"
                " and subject = $1 and request_id = 'request' and address = '192.0.2.1'",
                db_text(session_id)));
    return db_get_int(rows, 0, 0);
}

static void test_reuse_after_the_grace_ends_the_chain(void **state)
{
    struct session_grant a = opened_by("reused"), beside = opened_by("reused");
    struct session_grant b = refreshed(a.token);
    run_sql("update session_chains set turned_at = now() - interval '11 seconds'");
    principal_of(b.token);
    refused_with("session_ended", a.token);
    refused_with("session_ended", b.token);
    refused_with("session_ended", a.token);
    assert_int_equal(reuses(a.session_id), 1);
    principal_of(beside.token); // another chain of the same session
}

static void test_reuse_of_a_token_two_turns_old_ends_the_chain(void **state)
{
    struct session_grant a = opened_by("older");
    struct session_grant b = refreshed(a.token);
    struct session_grant c = refreshed(b.token);
    refused_with("session_ended", a.token);
    refused_with("session_ended", c.token);
}

static void test_second_renewal_with_one_token_ends_the_chain(void **state)
{
    struct fault fault = {0};
    struct session_grant a = opened_by("twice"), g;
    struct principal p = principal_of(a.token);
    struct session_grant b = refreshed(a.token);
    assert_int_equal(session_refresh(db, &p, &asker, &g, &fault), FAIL_UNAUTHORISED);
    assert_string_equal(fault.code, "session_ended");
    assert_false(db_is_in_transaction(db));
    refused_with("session_ended", b.token);
    assert_int_equal(reuses(a.session_id), 1);
}

// Ended between the look at the token and its renewal: over, but nobody's copy.
static void test_renewal_of_what_just_ended_is_no_reuse(void **state)
{
    struct fault fault = {0};
    struct session_grant a = opened_by("just ended"), g;
    struct principal p = principal_of(a.token);
    run_sql("update sessions set ended_at = now() where ended_at is null");
    assert_int_equal(session_refresh(db, &p, &asker, &g, &fault), FAIL_UNAUTHORISED);
    assert_string_equal(fault.code, "session_ended");
    assert_int_equal(reuses(a.session_id), 0);
}

static void test_renewal_ends_where_the_session_does(void **state)
{
    struct session_wish wish = wish_for(&ada, "soon over");
    wish.absolute_s = 60;
    struct session_grant g = opened(&wish);
    assert_int_equal(g.expires_at, g.ends_at);
    struct session_grant next = refreshed(g.token);
    assert_int_equal(next.expires_at, g.ends_at);
}

// --- whatever ends it ---

static void test_role_is_the_present_one(void **state)
{
    struct provisioned bob = provisioned(&platform, "bob", "roles", "Admin", 100);
    struct session_wish wish = wish_for(&bob, "bob");
    struct session_grant g = opened(&wish);
    assert_int_equal(principal_of(g.token).role, ROLE_ADMIN);
    provisioned(&platform, "bob", "roles", "Viewer", 200);
    assert_int_equal(principal_of(g.token).role, ROLE_VIEWER);
    // An older token, with more: exchanged after the demotion, it changes nothing.
    struct provisioned stale = provisioned(&platform, "bob", "roles", "Admin", 150);
    assert_true(stale.is_stale);
    struct session_wish old = wish_for(&stale, "bob's older");
    assert_int_equal(principal_of(opened(&old).token).role, ROLE_VIEWER);
    run_sql("delete from project_members m using users u"
            " where u.id = m.user_id and u.external_id = 'bob'");
    refused_with("session_ended", g.token);
    struct fault fault = {0};
    bool is_live = true;
    OK(session_is_live(db, g.session_id, &is_live, &fault));
    assert_false(is_live);
}

static void test_inactive_user_is_refused_at_once(void **state)
{
    struct provisioned cy = provisioned(&platform, "cy", "p", "Editor", 100);
    struct session_wish wish = wish_for(&cy, "cy");
    struct session_grant g = opened(&wish);
    bool is_live = false;
    struct fault fault = {0};
    OK(session_is_live(db, g.session_id, &is_live, &fault));
    assert_true(is_live);
    run_sql("update users set status = 'INACTIVE' where external_id = 'cy'");
    refused_with("session_ended", g.token);
    OK(session_is_live(db, g.session_id, &is_live, &fault));
    assert_false(is_live);
    run_sql("update users set status = 'ACTIVE' where external_id = 'cy'");
    principal_of(g.token);
}

typedef enum fail end_fn(struct db *db, const char *platform_id, const char *id, size_t *ret_ended,
                         struct fault *fault);

static size_t cut(end_fn *end, const char *platform_id, const char *id)
{
    struct fault fault = {0};
    size_t ended = 0;
    OK(db_begin(db, &fault));
    OK(end(db, platform_id, id, &ended, &fault));
    OK(db_commit(db, &fault));
    return ended;
}

static void test_cut_offs_end_theirs_and_no_other(void **state)
{
    struct provisioned d = provisioned(&platform, "dora", "cut", "Editor", 100);
    struct provisioned e = provisioned(&platform, "emil", "cut", "Editor", 100);
    struct session_wish wd = wish_for(&d, "dora"), we = wish_for(&e, "emil");
    we.key_id = "key_two";
    struct session_grant gd = opened(&wd), ge = opened(&we);
    assert_int_equal(cut(session_end_of_user, platform.id, d.user_id), 1);
    refused_with("session_ended", gd.token);
    principal_of(ge.token);
    assert_int_equal(cut(session_end_of_key, other_platform.id, "key_two"), 0);
    principal_of(ge.token);
    assert_int_equal(cut(session_end_of_key, platform.id, "key_two"), 1);
    refused_with("session_ended", ge.token);
    // What begins after a cut-off is not touched by it.
    usleep(2000);
    wd = wish_for(&d, "dora's next");
    gd = opened(&wd);
    principal_of(gd.token);
    struct session_grant outside = opened_by("outside");
    assert_int_equal(cut(session_end_of_project, platform.id, d.project_id), 1);
    refused_with("session_ended", gd.token);
    principal_of(outside.token);
}

// An exchange beside the cut-off, unseen by its count: it began before, so it is over all the same.
static void test_cut_off_takes_what_was_opened_beside_it(void **state)
{
    struct session_grant g = opened_by("beside");
    run_sql("update users set sessions_from = clock_timestamp() where external_id = 'ada'");
    refused_with("session_ended", g.token);
    usleep(2000);
    principal_of(opened_by("beside, after").token);
    g = opened_by("beside, platform");
    run_sql("update platforms set sessions_from = clock_timestamp()");
    refused_with("session_ended", g.token);
    usleep(2000);
}

// An exchange that holds its rows while the cut-off begins, and opens its session after that.
struct beside {
    pthread_barrier_t is_held;
    struct session_grant grant;
    bool opens_first; // before the cut-off begins
    enum fail f;
};

static void *exchange_on_thread(void *arg)
{
    struct beside *b = arg;
    struct provisioned p;
    struct fault fault = {0};
    struct db *own = db_of_thread();
    const struct provision wish = {.platform_id = platform.id,
                                   .external_user_id = STR("slow"),
                                   .external_project_id = STR("slow"),
                                   .first_name = STR("S"),
                                   .last_name = STR("L"),
                                   .role = "Editor",
                                   .issued_at = 100};
    static int round;
    char token[32];
    snprintf(token, sizeof token, "slow %d", ++round);
    b->f = db_begin(own, &fault);
    if (b->f == FAIL_NONE)
        b->f = platform_provision(own, &wish, &p, &fault);
    struct session_wish session = wish_for(&p, token);
    if (b->f == FAIL_NONE && b->opens_first)
        b->f = session_open(own, &session, &b->grant, &fault);
    pthread_barrier_wait(&b->is_held);
    usleep(200 * 1000); // the cut-off waits by now
    if (b->f == FAIL_NONE && !b->opens_first)
        b->f = session_open(own, &session, &b->grant, &fault);
    if (b->f == FAIL_NONE)
        b->f = db_commit(own, &fault);
    return NULL;
}

static void cut_beside(end_fn *end, const char *id, bool opens_first)
{
    struct beside b = {.opens_first = opens_first};
    pthread_t thread;
    pthread_barrier_init(&b.is_held, NULL, 2);
    pthread_create(&thread, NULL, exchange_on_thread, &b);
    pthread_barrier_wait(&b.is_held);
    cut(end, platform.id, id);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&b.is_held);
    assert_int_equal(b.f, FAIL_NONE);
    refused_with("session_ended", b.grant.token);
}

static enum fail end_of_platform(struct db *on, const char *platform_id, const char *id,
                                 size_t *ret_ended, struct fault *fault)
{
    return session_end_of_platform(on, platform_id, ret_ended, fault);
}

static void test_no_exchange_under_way_outlives_a_cut_off(void **state)
{
    struct provisioned p = provisioned(&platform, "slow", "slow", "Editor", 100);
    cut_beside(session_end_of_user, p.user_id, false);
    cut_beside(session_end_of_project, p.project_id, false);
    cut_beside(end_of_platform, "", true);
    usleep(2000);
}

static void test_platform_ends_all_of_its_own(void **state)
{
    struct fault fault = {0};
    size_t ended = 0;
    struct session_grant a = opened_by("all a"), b = opened_by("all b");
    OK(db_begin(db, &fault));
    OK(session_end_of_platform(db, other_platform.id, &ended, &fault));
    OK(db_commit(db, &fault));
    assert_int_equal(ended, 0);
    principal_of(a.token);
    OK(db_begin(db, &fault));
    OK(session_end_of_platform(db, platform.id, &ended, &fault));
    OK(db_commit(db, &fault));
    assert_true(ended >= 2);
    refused_with("session_ended", a.token);
    refused_with("session_ended", b.token);
    usleep(2000);
}

static void test_anothers_are_not_found(void **state)
{
    struct fault fault = {0};
    size_t ended = 0;
    struct session_grant g = opened_by("not theirs");
    OK(db_begin(db, &fault));
    assert_int_equal(session_end(db, other_platform.id, str_from(g.session_id), &ended, &fault),
                     FAIL_NOT_FOUND);
    assert_int_equal(session_end_of_user(db, other_platform.id, ada.user_id, &ended, &fault),
                     FAIL_NOT_FOUND);
    assert_int_equal(session_end_of_user(db, platform.id, "' or true", &ended, &fault),
                     FAIL_NOT_FOUND);
    assert_int_equal(session_end_of_project(db, other_platform.id, ada.project_id, &ended, &fault),
                     FAIL_NOT_FOUND);
    db_rollback(db);
    principal_of(g.token);
}

// --- tokens by hand ---

static char *by_hand(struct jose_key *key, const char *kid, const char *typ, const char *change,
                     json_t *to, const char *like)
{
    struct jose_token t;
    assert_int_equal(jose_parse_typed(str_from(like), "stoa-session+jwt", &t, NULL), FAIL_NONE);
    if (change != NULL && to == NULL)
        json_object_del(t.payload, change);
    else if (change != NULL)
        json_object_set_new(t.payload, change, to);
    char *text = jose_sign(key, kid, typ, t.payload);
    jose_token_fini(&t);
    return text;
}

static void test_only_our_own_tokens_of_this_kind(void **state)
{
    struct fault fault = {0};
    struct session_grant g = opened_by("by hand");
    struct jose_key *ours = NULL, *theirs = jose_key_generate(JOSE_ES256);
    char kid[JOSE_KID_MAX + 1];
    OK(db_begin(db, &fault));
    OK(session_key_to_sign(db, kid, &ours, &fault));
    OK(db_commit(db, &fault));
    const struct {
        struct jose_key *key;
        const char *kid, *typ, *change;
        json_t *to;
        const char *code; // NULL: taken
    } hands[] = {
        {ours, kid, "stoa-session+jwt", NULL, NULL, NULL},
        {theirs, kid, "stoa-session+jwt", NULL, NULL, "unauthorized"},
        {ours, "sky_other", "stoa-session+jwt", NULL, NULL, "unauthorized"},
        {ours, kid, "JWT", NULL, NULL, "unauthorized"},
        {ours, kid, "at+jwt", NULL, NULL, "unauthorized"},
        {ours, kid, "stoa-session+jwt", "iss", json_string("https://other"), "unauthorized"},
        {ours, kid, "stoa-session+jwt", "iss", NULL, "unauthorized"},
        {ours, kid, "stoa-session+jwt", "aud", json_string("other"), "unauthorized"},
        {ours, kid, "stoa-session+jwt", "aud", json_pack("[s]", "stoa"), "unauthorized"},
        {ours, kid, "stoa-session+jwt", "exp", NULL, "unauthorized"},
        {ours, kid, "stoa-session+jwt", "exp", json_string("1999999999"), "unauthorized"},
        {ours, kid, "stoa-session+jwt", "exp", json_real(1999999999.5), "unauthorized"},
        {ours, kid, "stoa-session+jwt", "exp", json_integer(1), "session_expired"},
        {ours, kid, "stoa-session+jwt", "jti", json_string("chn_none.1"), "session_ended"},
        {ours, kid, "stoa-session+jwt", "jti", json_string("nonsense"), "unauthorized"},
        {ours, kid, "stoa-session+jwt", "jti", json_string("a.99999999999999999999"),
         "unauthorized"},
        {ours, kid, "stoa-session+jwt", "sid", json_string("ses_other"), "session_ended"},
        {ours, kid, "stoa-session+jwt", "sid", NULL, "unauthorized"},
    };
    for (size_t i = 0; i != sizeof hands / sizeof hands[0]; ++i) {
        char *text AUTOFREE = by_hand(hands[i].key, hands[i].kid, hands[i].typ, hands[i].change,
                                      hands[i].to, g.token);
        if (hands[i].code == NULL)
            principal_of(text);
        else
            refused_with(hands[i].code, text);
    }
    refused_with("unauthorized", "a.b.c");
    refused_with("unauthorized", "");
    jose_key_destroy(ours);
    jose_key_destroy(theirs);
}

static void test_a_turn_that_is_not_yet_is_nothing(void **state)
{
    struct session_grant g = opened_by("ahead");
    struct principal p = principal_of(g.token);
    struct session_grant next = refreshed(g.token);
    run_sql("update session_chains set turn = 1 where turn = 2");
    refused_with("session_ended", next.token);
    assert_int_equal(p.chain_turn, 1);
    principal_of(g.token);
}

// --- keys ---

static void tend(void)
{
    struct fault fault = {0};
    OK(session_keys_tend(db, &fault));
}

static size_t published(void)
{
    str text = {0};
    struct shared *jwks = session_jwks(&text);
    assert_non_null(jwks);
    json_auto_t *set = jsonx_parse(text, NULL);
    size_t n = json_array_size(json_object_get(set, "keys"));
    assert_true(str_find_str(text, STR("\"d\"")) == SIZE_MAX); // no private half
    shared_unref(jwks);
    return n;
}

static void test_keys_are_shared_by_way_of_the_database(void **state)
{
    struct session_grant g = opened_by("another server");
    int64_t keys = number("select count(*) from session_keys");
    session_keys_forget(); // what another server knows at its start
    principal_of(g.token);
    opened_by("another server signs");
    assert_int_equal(number("select count(*) from session_keys"), keys);
}

static void *open_on_thread(void *arg)
{
    struct session_wish wish = wish_for(&ada, arg);
    struct session_grant g;
    struct fault fault = {0};
    struct db *own = db_of_thread();
    struct principal p;
    enum fail f = db_begin(own, &fault);
    if (f == FAIL_NONE)
        f = session_open(own, &wish, &g, &fault);
    if (f == FAIL_NONE)
        f = db_commit(own, &fault);
    if (f == FAIL_NONE)
        f = session_principal(own, str_from(g.token), &asker, &p, &fault);
    return f == FAIL_NONE ? NULL : arg;
}

static void test_first_sessions_at_once_need_one_key(void **state)
{
    char *tokens[] = {"first a", "first b", "first c", "first d"};
    pthread_t threads[4];
    run_sql("delete from session_keys");
    session_keys_forget();
    for (int i = 0; i != 4; ++i)
        pthread_create(&threads[i], NULL, open_on_thread, tokens[i]);
    for (int i = 0; i != 4; ++i) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(number("select count(*) from session_keys"), 1);
}

static void test_private_halves_are_sealed(void **state)
{
    opened_by("sealed");
    assert_int_equal(number("select count(*) from session_keys"
                            " where position('PRIVATE'::bytea in private_key) > 0"),
                     0);
    assert_int_equal(number("select count(*) from session_keys where private_key is null"), 0);
}

static void test_key_made_in_vain_signs_nothing(void **state)
{
    struct fault fault = {0};
    struct session_grant g;
    struct session_wish wish = wish_for(&ada, "in vain");
    run_sql("delete from session_keys");
    session_keys_forget();
    OK(db_begin(db, &fault));
    OK(session_open(db, &wish, &g, &fault));
    db_rollback(db);
    refused_with("unauthorized", g.token);
    principal_of(opened(&wish).token);
    assert_int_equal(number("select count(*) from session_keys"), 1);
}

static void test_keys_turn_over_and_nobody_is_logged_out(void **state)
{
    struct session_grant g = opened_by("turned over");
    char kid[JOSE_KID_MAX + 1];
    struct jose_token t;
    tend();
    assert_int_equal(published(), 1);
    assert_int_equal(jose_parse_typed(str_from(g.token), "stoa-session+jwt", &t, NULL), FAIL_NONE);
    snprintf(kid, sizeof kid, "%s", t.kid);
    jose_token_fini(&t);
    // A month later: published, but it does not sign yet.
    run_sql("update session_keys set created_at = created_at - interval '31 days',"
            " signs_from = signs_from - interval '31 days'");
    tend();
    tend();
    assert_int_equal(published(), 2);
    struct session_grant before = opened_by("the day before");
    assert_non_null(strstr(before.token, "."));
    assert_int_equal(jose_parse_typed(str_from(before.token), "stoa-session+jwt", &t, NULL),
                     FAIL_NONE);
    assert_string_equal(t.kid, kid);
    jose_token_fini(&t);
    // The day after it signs, and the old one verifies.
    run_sql("update session_keys set signs_from = signs_from - interval '25 hours'");
    tend();
    struct session_grant after = refreshed(g.token);
    assert_int_equal(jose_parse_typed(str_from(after.token), "stoa-session+jwt", &t, NULL),
                     FAIL_NONE);
    assert_string_not_equal(t.kid, kid);
    jose_token_fini(&t);
    principal_of(before.token);
    principal_of(after.token);
    // When all that it signed is over it goes.
    run_sql("update session_keys set signs_from = signs_from - interval '7 days 22 hours'");
    tend();
    assert_int_equal(published(), 2);
    run_sql("update session_keys set signs_from = signs_from - interval '4 hours'");
    tend();
    assert_int_equal(published(), 1);
    refused_with("unauthorized", before.token);
    principal_of(after.token);
}

static void test_keys_are_sealed_again_under_another_master_key(void **state)
{
    struct seal_key keys[2];
    struct session_grant g = opened_by("resealed");
    seal_key_make(&keys[1]);
    seal_key_make(&keys[0]);
    run_sql("delete from session_keys");
    seal_init(&keys[1], 1);
    session_keys_forget();
    refused_with("unauthorized", g.token);
    g = opened_by("resealed, first");
    seal_init(keys, 2);
    tend();
    seal_init(&keys[0], 1); // the old one is gone
    session_keys_forget();
    principal_of(g.token);
    opened_by("resealed, second");
    assert_int_equal(number("select count(*) from session_keys"), 1);
}

// The master key is lost: what was signed verifies, and another key signs.
static void test_key_that_does_not_open_is_replaced(void **state)
{
    struct seal_key another;
    struct session_grant g = opened_by("lost");
    seal_key_make(&another);
    seal_init(&another, 1);
    session_keys_forget();
    principal_of(g.token);
    principal_of(opened_by("lost, next").token);
    assert_int_equal(number("select count(*) from session_keys"), 2);
    run_sql("delete from session_keys");
    session_keys_forget();
}

static void test_rs256_by_choice(void **state)
{
    struct session_options rsa = standard;
    struct session_grant before = opened_by("es256");
    rsa.kind = JOSE_RS256;
    session_init(&rsa);
    struct session_grant g = opened_by("rs256");
    struct jose_token t;
    assert_int_equal(jose_parse_typed(str_from(g.token), "stoa-session+jwt", &t, NULL), FAIL_NONE);
    assert_string_equal(t.alg, "RS256");
    jose_token_fini(&t);
    principal_of(g.token);
    principal_of(before.token);
    session_init(&standard);
    session_keys_forget();
    principal_of(g.token);
}

static void test_what_is_over_is_cleared_and_what_may_come_again_is_kept(void **state)
{
    struct session_wish wish = wish_for(&ada, "kept");
    wish.provisioning_expires_at = clock_real_ms() + 86400000;
    struct session_grant kept = opened(&wish), gone = opened_by("gone"), g;
    struct fault fault = {0};
    run_sql("update sessions set ends_at = now() - interval '2 days';"
            " update sessions set kept_until = now() - interval '2 hours'"
            " where kept_until not between now() + interval '23 hours'"
            " and now() + interval '25 hours'");
    tend();
    assert_int_equal(number("select count(*) from sessions"), 1);
    assert_int_equal(try_open(&wish, &g, &fault), FAIL_UNAUTHORISED); // still over
    refused_with("session_ended", kept.token);
    refused_with("session_ended", gone.token);
}

// --- the door ---

static void test_the_door_lets_sessions_in_by_role(void **state)
{
    struct fault fault = {0};
    struct session_grant g = opened_by("door");
    struct principal *p = NULL;
    char header[SESSION_TOKEN_MAX + 10];
    snprintf(header, sizeof header, "Bearer %s", g.token);
    const struct endpoint build = {.scope = SCOPE_DEPLOY, .permission = PERMISSION_BUILD},
                          manage = {.scope = SCOPE_ADMIN, .permission = PERMISSION_MANAGE},
                          closed = {.scope = SCOPE_READ};
    struct call call = {.db = db, .endpoint = &build, .request_id = ""};
    OK(auth_authenticate(&call, str_from(header), &p, &fault));
    free(p);
    call.endpoint = &manage;
    assert_int_equal(auth_authenticate(&call, str_from(header), &p, &fault), FAIL_DENIED);
    assert_string_equal(fault.code, "role_too_low");
    call.endpoint = &closed;
    assert_int_equal(auth_authenticate(&call, str_from(header), &p, &fault), FAIL_DENIED);
    assert_string_equal(fault.code, "not_for_sessions");
    bool is_live = false;
    OK(auth_is_live(db, ada.project_id, g.session_id, &is_live, &fault));
    assert_true(is_live);
}

#ifdef STOA_FAULTS
static void test_every_statement_may_fail(void **state)
{
    struct session_grant g = opened_by("fragile"), next;
    for (unsigned long n = 1;; ++n) {
        struct fault fault = {0};
        struct principal p;
        faults_at(n);
        enum fail f = session_principal(db, str_from(g.token), &asker, &p, &fault);
        if (f == FAIL_NONE)
            f = session_refresh(db, &p, &asker, &next, &fault);
        bool fired = faults_have_fired();
        faults_at(0);
        assert_false(db_is_in_transaction(db));
        if (!fired) {
            OK(f);
            break;
        }
        if (f == FAIL_NONE) // the note of the last use
            g = next;
        else
            assert_int_equal(f, FAIL_BUSY);
        assert_true(n < 100);
    }
}
#endif

// Microseconds a request pays for its session; printed, and bounded far above what it takes.
static void test_what_a_request_pays(void **state)
{
    enum { ROUNDS = 300 };
    struct session_grant g = opened_by("measured");
    principal_of(g.token);
    uint64_t start = clock_monotonic_us();
    for (int i = 0; i != ROUNDS; ++i)
        principal_of(g.token);
    uint64_t each = (clock_monotonic_us() - start) / ROUNDS;
    print_message("session_principal: %d us\n", (int)each);
    assert_true(each < 20000);
}

static void start(void)
{
    struct fault fault = {0};
    struct migration all[32];
    struct seal_key key;
    size_t n = 0;
    for (size_t i = 0; i != catalog_migration_count; ++i)
        all[n++] = catalog_migrations[i];
    for (size_t i = 0; i != auth_migration_count; ++i)
        all[n++] = auth_migrations[i];
    db_configure(postgres_start());
    db = db_of_thread();
    seal_key_make(&key);
    seal_init(&key, 1);
    session_init(&standard);
    OK(migrate(db, all, n, &fault));
    OK(db_begin(db, &fault));
    OK(platform_create(db, STR("acme"), STR("Acme"), &platform, &fault));
    OK(platform_create(db, STR("other"), STR("Other"), &other_platform, &fault));
    OK(db_commit(db, &fault));
    ada = provisioned(&platform, "ada", "first", "Editor", 100);
}

int main(void)
{
    start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token_is_a_principal_with_the_present_role),
        cmocka_unit_test(test_token_has_the_claims_that_are_promised),
        cmocka_unit_test(test_exchanges_of_one_token_share_a_session),
        cmocka_unit_test(test_single_use_is_once),
        cmocka_unit_test(test_host_pages_last_long_but_not_beyond_the_end),
        cmocka_unit_test(test_ended_session_is_not_joined),
        cmocka_unit_test(test_renewal_gives_the_next_token),
        cmocka_unit_test(test_renewed_token_serves_what_is_under_way),
        cmocka_unit_test(test_reuse_after_the_grace_ends_the_chain),
        cmocka_unit_test(test_reuse_of_a_token_two_turns_old_ends_the_chain),
        cmocka_unit_test(test_second_renewal_with_one_token_ends_the_chain),
        cmocka_unit_test(test_renewal_of_what_just_ended_is_no_reuse),
        cmocka_unit_test(test_renewal_ends_where_the_session_does),
        cmocka_unit_test(test_role_is_the_present_one),
        cmocka_unit_test(test_inactive_user_is_refused_at_once),
        cmocka_unit_test(test_cut_offs_end_theirs_and_no_other),
        cmocka_unit_test(test_cut_off_takes_what_was_opened_beside_it),
        cmocka_unit_test(test_no_exchange_under_way_outlives_a_cut_off),
        cmocka_unit_test(test_platform_ends_all_of_its_own),
        cmocka_unit_test(test_anothers_are_not_found),
        cmocka_unit_test(test_only_our_own_tokens_of_this_kind),
        cmocka_unit_test(test_a_turn_that_is_not_yet_is_nothing),
        cmocka_unit_test(test_keys_are_shared_by_way_of_the_database),
        cmocka_unit_test(test_first_sessions_at_once_need_one_key),
        cmocka_unit_test(test_private_halves_are_sealed),
        cmocka_unit_test(test_key_made_in_vain_signs_nothing),
        cmocka_unit_test(test_keys_turn_over_and_nobody_is_logged_out),
        cmocka_unit_test(test_keys_are_sealed_again_under_another_master_key),
        cmocka_unit_test(test_key_that_does_not_open_is_replaced),
        cmocka_unit_test(test_rs256_by_choice),
        cmocka_unit_test(test_what_is_over_is_cleared_and_what_may_come_again_is_kept),
        cmocka_unit_test(test_the_door_lets_sessions_in_by_role),
#ifdef STOA_FAULTS
        cmocka_unit_test(test_every_statement_may_fail),
#endif
        cmocka_unit_test(test_what_a_request_pays),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    session_keys_forget();
    seal_fini();
    postgres_stop();
    return failed;
}
