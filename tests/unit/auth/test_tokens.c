// The endpoints about tokens, called as their runner calls them, with two projects side by side, and
// a platform.
#include "edge/auth/auth.h" // before cmocka.h, whose macro `fail` takes no argument
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "edge/auth/internal.h"
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"
#include "edge/catalog/platform.h"
#include "edge/store/faults.h"
#include "tests/harness/postgres.h"

static struct db *db;
static struct principal root, mine, theirs; // mine and theirs: admin of a project each

static void ok(enum fail f, const struct fault *fault)
{
    if (f != FAIL_NONE)
        fail_msg("%d %s: %s | %s", (int)f, fault->code, fault->public_text, fault->log_text);
}
#define OK(call) ok((call), &fault)

struct result {
    enum fail fail;
    struct fault fault;
    struct answer answer;
};

static void result_free(struct result *r)
{
    json_decref(r->answer.json);
    json_decref(r->answer.details);
}
#define RESULT __attribute__((cleanup(result_free))) struct result

static const struct endpoint *endpoint(const char *id)
{
    for (size_t i = 0; i != auth_endpoint_count; ++i) {
        if (strcmp(auth_endpoints[i].id, id) == 0)
            return &auth_endpoints[i];
    }
    return NULL;
}

// `argument`: the path's parameter, or for lists the cursor. Takes `body`.
static struct result call_on(struct db *own, const char *id, const struct principal *p,
                             const char *argument, json_t *body, unsigned limit)
{
    const struct endpoint *e = endpoint(id);
    struct result r = {0};
    char number[16];
    struct call call = {.endpoint = e,
                        .db = own,
                        .principal = p,
                        .json = body,
                        .request_id = "0123456789abcdef",
                        .peer = STR("192.0.2.1")};
    if (e->body == BODY_NONE && strcmp(e->method, "GET") != 0)
        call.params[0] = str_from(argument);
    if (limit != 0) {
        snprintf(number, sizeof number, "%u", limit);
        call.query[call.query_count].name = STR("limit");
        call.query[call.query_count++].value = str_from(number);
        if (argument != NULL) {
            call.query[call.query_count].name = STR("cursor");
            call.query[call.query_count++].value = str_from(argument);
        }
    }
    r.fail = auth_require(p, e->scope, &r.fault);
    if (r.fail == FAIL_NONE)
        r.fail = e->run(&call, &r.answer, &r.fault);
    db_rollback(own);
    json_decref(body);
    return r;
}

static struct result call(const char *id, const struct principal *p, const char *argument,
                          json_t *body)
{
    return call_on(db, id, p, argument, body, 0);
}

static const char *member(const struct result *r, const char *name)
{
    return json_string_value(json_object_get(r->answer.json, name));
}

static const struct auth_asker asker = {"", {"", 0}};

static struct principal principal_of(const char *token)
{
    struct fault fault = {0};
    struct principal p;
    char header[100];
    snprintf(header, sizeof header, "Bearer %s", token);
    OK(auth_principal(db, str_from(header), &asker, &p, &fault));
    return p;
}

static bool is_live(const char *token)
{
    struct fault fault = {0};
    struct principal p;
    char header[100];
    snprintf(header, sizeof header, "Bearer %s", token);
    return auth_principal(db, str_from(header), &asker, &p, &fault) == FAIL_NONE;
}

static struct result make(const struct principal *p, const char *name, const char *scope)
{
    return call("createToken", p, NULL, json_pack("{ss ss}", "name", name, "scope", scope));
}

struct made {
    char id[33], token[AUTH_TOKEN_ROOM];
};

static struct made must_make(const struct principal *p, const char *scope)
{
    struct made m;
    RESULT r = make(p, "made", scope);
    ok(r.fail, &r.fault);
    snprintf(m.id, sizeof m.id, "%s", member(&r, "id"));
    snprintf(m.token, sizeof m.token, "%s", member(&r, "token"));
    return m;
}

static int64_t audited(const char *project, const char *action, const char *subject)
{
    struct fault fault = {0};
    DB_ROWS_AUTO rows = NULL;
    OK(db_query(
        db, &fault, &rows,
        "select count(*) from audit_events where project_id = $1 and action = $2 and subject = $3",
        db_text(project), db_text(action), db_text(subject)));
    return db_get_int(rows, 0, 0);
}

// --- projects, as what makes them makes their first token ---

static struct principal make_project(const char *name, const char *platform_id)
{
    struct fault fault = {0};
    struct token_row row;
    char id[CATALOG_ID_ROOM], owner[CATALOG_UUID_ROOM], secret[AUTH_TOKEN_ROOM];
    OK(db_begin(db, &fault));
    OK(token_lock(db, &fault));
    OK(platform_id != NULL
           ? platform_project_create(db, platform_id, (str){0}, str_from(name), id, owner, &fault)
           : catalog_project_create(db, str_from(name), id, owner, &fault));
    struct token_wish wish = {.maker = &root,
                              .project_id = id,
                              .name = STR("first"),
                              .scope = SCOPE_ADMIN,
                              .request_id = "0123",
                              .address = STR("192.0.2.1")};
    OK(token_make(db, &wish, secret, &row, &fault));
    OK(db_commit(db, &fault));
    struct principal p = principal_of(secret);
    assert_string_equal(p.project_id, id);
    assert_string_equal(p.owner_id, owner);
    return p;
}

static void test_operators_token_makes_a_projects_first(void **state)
{
    mine = make_project("Mine", NULL);
    theirs = make_project("Theirs ü", NULL);
    assert_int_equal(mine.scope, SCOPE_ADMIN);
    assert_string_equal(mine.platform_id, "");
    assert_string_not_equal(mine.project_id, theirs.project_id);
    assert_int_equal(audited(mine.project_id, "token.create", mine.token_id), 1);
}

// --- platforms ---

// By `maker`, in the platform's owner project.
static enum fail make_platform_token(const struct principal *maker, const char *project,
                                     char secret[static AUTH_TOKEN_ROOM], struct fault *fault)
{
    struct token_row row;
    struct token_wish wish = {.maker = maker,
                              .project_id = project,
                              .name = STR("platform"),
                              .scope = SCOPE_PLATFORM,
                              .request_id = "0123",
                              .address = STR("192.0.2.1")};
    enum fail f = db_begin(db, fault);
    if (f == FAIL_NONE)
        f = token_make(db, &wish, secret, &row, fault);
    if (f == FAIL_NONE)
        return db_commit(db, fault);
    db_rollback(db);
    return f;
}

static void test_platform_tokens_are_made_by_their_own_and_the_operators(void **state)
{
    struct fault fault = {0};
    struct platform acme;
    char secret[AUTH_TOKEN_ROOM];
    OK(db_begin(db, &fault));
    OK(platform_create(db, STR("acme"), STR("Acme"), &acme, &fault));
    OK(db_commit(db, &fault));
    OK(make_platform_token(&root, acme.owner_project_id, secret, &fault));
    struct principal p = principal_of(secret);
    assert_int_equal(p.scope, SCOPE_PLATFORM);
    assert_string_equal(p.platform_id, acme.id);
    OK(auth_require(&p, SCOPE_PLATFORM, &fault));
    OK(auth_require(&p, SCOPE_ADMIN, &fault));
    assert_int_equal(auth_require(&p, SCOPE_OPERATOR, &fault), FAIL_DENIED);
    RESULT own = make(&p, "another", "platform");
    ok(own.fail, &own.fault);
    assert_string_equal(member(&own, "scope"), "platform");
    struct made low = must_make(&p, "admin");
    struct principal admin = principal_of(low.token);
    assert_string_equal(admin.platform_id, acme.id);
    RESULT more = make(&admin, "more", "platform");
    assert_int_equal(more.fail, FAIL_DENIED);
    assert_string_equal(more.fault.code, "scope_too_low");
    RESULT gone = call("revokeToken", &admin, p.token_id, NULL);
    assert_int_equal(gone.fail, FAIL_DENIED);
    assert_int_equal(make_platform_token(&mine, acme.owner_project_id, secret, &fault),
                     FAIL_DENIED);
}

static void test_projects_of_platforms_know_it_and_manage_it_not(void **state)
{
    struct fault fault = {0};
    struct platform acme;
    OK(platform_find(db, STR("acme"), &acme, &fault));
    struct principal p = make_project("Customer", acme.id);
    assert_string_equal(p.platform_id, acme.id);
    assert_int_equal(auth_require(&p, SCOPE_PLATFORM, &fault), FAIL_DENIED);
    RESULT more = make(&p, "more", "platform");
    assert_string_equal(more.fault.code, "scope_too_low");
}

static void test_operator_has_no_platform(void **state)
{
    struct fault fault = {0};
    RESULT r = make(&root, "mine", "platform");
    assert_int_equal(r.fail, FAIL_DENIED);
    assert_string_equal(r.fault.code, "platform_token_needed");
    assert_int_equal(auth_require(&root, SCOPE_PLATFORM, &fault), FAIL_DENIED);
    assert_string_equal(fault.code, "platform_token_needed");
    struct principal homeless = {.scope = SCOPE_PLATFORM};
    assert_int_equal(auth_require(&homeless, SCOPE_PLATFORM, &fault), FAIL_DENIED);
}

// --- making ---

static void test_made_token_is_shown_once_and_works(void **state)
{
    RESULT r = make(&mine, "laptop", "deploy");
    ok(r.fail, &r.fault);
    assert_string_equal(member(&r, "name"), "laptop");
    assert_string_equal(member(&r, "scope"), "deploy");
    assert_string_equal(member(&r, "createdBy"), mine.token_id);
    assert_true(json_is_null(json_object_get(r.answer.json, "expiresAt")));
    assert_true(json_is_null(json_object_get(r.answer.json, "lastUsedAt")));
    assert_int_equal(strlen(member(&r, "createdAt")), 24);
    struct principal p = principal_of(member(&r, "token"));
    assert_int_equal(p.scope, SCOPE_DEPLOY);
    assert_string_equal(p.project_id, mine.project_id);
    assert_int_equal(audited(mine.project_id, "token.create", p.token_id), 1);
    RESULT list = call("listTokens", &mine, NULL, NULL);
    char *text = jsonx_dump(list.answer.json, NULL);
    assert_non_null(strstr(text, p.token_id));
    assert_null(strstr(text, "stoa_"));
    free(text);
}

static void test_tokens_are_managed_by_admins_only(void **state)
{
    static const char *const scopes[] = {"read", "deploy"};
    for (int i = 0; i != 2; ++i) {
        struct made m = must_make(&mine, scopes[i]);
        struct principal p = principal_of(m.token);
        RESULT a = make(&p, "more", "read");
        assert_int_equal(a.fail, FAIL_DENIED);
        RESULT b = call("revokeToken", &p, m.id, NULL);
        assert_int_equal(b.fail, FAIL_DENIED);
        RESULT c = call("listTokens", &p, NULL, NULL);
        assert_int_equal(c.fail, FAIL_DENIED);
    }
}

// Below the endpoint, where every maker of tokens passes.
static void test_no_token_makes_one_that_can_do_more(void **state)
{
    struct made m = must_make(&mine, "deploy");
    struct principal p = principal_of(m.token);
    for (int s = SCOPE_READ; s <= SCOPE_OPERATOR; ++s) {
        struct fault fault = {0};
        struct token_row row;
        char secret[AUTH_TOKEN_ROOM];
        struct token_wish wish = {.maker = &p,
                                  .project_id = p.project_id,
                                  .name = STR("x"),
                                  .scope = (enum scope)s,
                                  .request_id = "",
                                  .address = STR("")};
        OK(db_begin(db, &fault));
        assert_int_equal(token_make(db, &wish, secret, &row, &fault),
                         s <= SCOPE_DEPLOY ? FAIL_NONE : FAIL_DENIED);
        db_rollback(db);
    }
    RESULT r = make(&root, "second operator", "operator"); // not even the operator
    assert_int_equal(r.fail, FAIL_REFUSED);
}

static void test_all_bad_fields_are_named_at_once(void **state)
{
    RESULT r =
        call("createToken", &mine, NULL,
             json_pack("{ss ss ss}", "name", "  ", "scope", "root", "expiresAt", "tomorrow"));
    assert_int_equal(r.fail, FAIL_REFUSED);
    assert_string_equal(r.fault.code, "invalid_request");
    json_t *fields = json_object_get(r.answer.details, "fields");
    assert_int_equal(json_object_size(fields), 3);
    assert_non_null(json_object_get(fields, "name"));
    assert_non_null(json_object_get(fields, "scope"));
    assert_non_null(json_object_get(fields, "expiresAt"));
}

static void test_names_have_limits(void **state)
{
    char name[500] = "";
    for (int i = 0; i != 100; ++i)
        strcat(name, "ü");
    RESULT longest = make(&mine, name, "read");
    ok(longest.fail, &longest.fault);
    assert_string_equal(member(&longest, "name"), name);
    for (int i = 0; i != 100; ++i)
        memcpy(name + 4 * i, "\xf0\x9f\x8d\x8b", 5);
    RESULT widest = make(&mine, name, "read");
    ok(widest.fail, &widest.fault);
    assert_string_equal(member(&widest, "name"), name);
    strcat(name, "x");
    static const char *const bad[] = {"", " ", "a\nb", "a\x1b[31m", "\xc2\x85", "a\x7f"};
    RESULT too_long = make(&mine, name, "read");
    assert_int_equal(too_long.fail, FAIL_REFUSED);
    for (size_t i = 0; i != sizeof bad / sizeof bad[0]; ++i) {
        RESULT r = make(&mine, bad[i], "read");
        assert_int_equal(r.fail, FAIL_REFUSED);
    }
}

// --- expiry ---

static json_t *wish_until(int64_t real_ms)
{
    char text[CLOCK_RFC3339_ROOM];
    clock_rfc3339(real_ms, text);
    return json_pack("{ss ss ss}", "name", "timed", "scope", "admin", "expiresAt", text);
}

static void test_expiry_is_kept_and_in_the_future(void **state)
{
    int64_t hour = clock_real_ms() + 3600000;
    char text[CLOCK_RFC3339_ROOM];
    RESULT r = call("createToken", &mine, NULL, wish_until(hour));
    ok(r.fail, &r.fault);
    clock_rfc3339(hour, text);
    assert_string_equal(member(&r, "expiresAt"), text);
    RESULT past = call("createToken", &mine, NULL, wish_until(clock_real_ms() - 1));
    assert_int_equal(past.fail, FAIL_REFUSED);
    RESULT none = call("createToken", &mine, NULL,
                       json_pack("{ss ss sn}", "name", "n", "scope", "read", "expiresAt"));
    ok(none.fail, &none.fault);
}

static void test_no_token_outlives_its_maker(void **state)
{
    int64_t hour = clock_real_ms() + 3600000;
    RESULT r = call("createToken", &mine, NULL, wish_until(hour));
    ok(r.fail, &r.fault);
    struct principal p = principal_of(member(&r, "token"));
    RESULT later = call("createToken", &p, NULL, wish_until(hour + 1));
    assert_int_equal(later.fail, FAIL_REFUSED);
    assert_string_equal(later.fault.code, "expires_too_late");
    RESULT same = call("createToken", &p, NULL, wish_until(hour));
    ok(same.fail, &same.fault);
    RESULT unsaid = make(&p, "unsaid", "read");
    ok(unsaid.fail, &unsaid.fault);
    assert_string_equal(member(&unsaid, "expiresAt"), member(&r, "expiresAt"));
}

// --- revoking ---

static void test_revoking_takes_all_descendants_and_no_other(void **state)
{
    struct made a = must_make(&mine, "admin"), beside = must_make(&mine, "admin");
    struct principal pa = principal_of(a.token);
    struct made b = must_make(&pa, "admin");
    struct principal pb = principal_of(b.token);
    struct made c = must_make(&pb, "read"), d = must_make(&pb, "deploy");
    RESULT r = call("revokeToken", &mine, a.id, NULL);
    ok(r.fail, &r.fault);
    assert_string_equal(member(&r, "id"), a.id);
    assert_null(member(&r, "token"));
    assert_false(is_live(a.token));
    assert_false(is_live(b.token));
    assert_false(is_live(c.token));
    assert_false(is_live(d.token));
    assert_true(is_live(beside.token));
    assert_int_equal(audited(mine.project_id, "token.revoke", a.id), 1);
    assert_int_equal(audited(mine.project_id, "token.revoke", d.id), 1);
    RESULT again = call("revokeToken", &mine, a.id, NULL);
    assert_int_equal(again.fail, FAIL_NOT_FOUND);
    assert_string_equal(again.fault.code, "token_not_found");
    RESULT list = call("listTokens", &mine, NULL, NULL);
    char *text = jsonx_dump(list.answer.json, NULL);
    assert_null(strstr(text, c.id));
    free(text);
}

static void test_revoked_in_between_makes_nothing_more(void **state)
{
    struct made a = must_make(&mine, "admin");
    struct principal p = principal_of(a.token); // authenticated, then revoked
    RESULT r = call("revokeToken", &mine, a.id, NULL);
    ok(r.fail, &r.fault);
    RESULT late = make(&p, "late", "read");
    assert_int_equal(late.fail, FAIL_UNAUTHORISED);
}

static void test_nobody_revokes_what_can_do_more(void **state)
{
    struct made low = must_make(&root, "admin");
    struct principal p = principal_of(low.token);
    RESULT r = call("revokeToken", &p, root.token_id, NULL);
    assert_int_equal(r.fail, FAIL_DENIED);
    RESULT own = call("revokeToken", &p, low.id, NULL); // one's own is one's own
    ok(own.fail, &own.fault);
}

struct maker {
    struct principal principal;
    _Atomic unsigned made; // by both threads
};

static void *make_on_thread(void *arg)
{
    struct maker *m = arg;
    for (;;) {
        RESULT r = call_on(db_of_thread(), "createToken", &m->principal, NULL,
                           json_pack("{ss ss}", "name", "raced", "scope", "read"), 0);
        if (r.fail != FAIL_NONE)
            return r.fail == FAIL_UNAUTHORISED ? NULL : arg;
        ++m->made;
    }
}

static void test_none_slips_through_a_revocation(void **state)
{
    struct made a = must_make(&mine, "admin");
    struct maker m = {.principal = principal_of(a.token)};
    struct fault fault = {0};
    DB_ROWS_AUTO rows = NULL;
    pthread_t threads[2];
    for (int i = 0; i != 2; ++i)
        pthread_create(&threads[i], NULL, make_on_thread, &m);
    for (int i = 0; i != 1000 && m.made == 0; ++i)
        usleep(10000);
    usleep(50000);
    RESULT r = call("revokeToken", &mine, a.id, NULL);
    ok(r.fail, &r.fault);
    for (int i = 0; i != 2; ++i) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_true(m.made > 0);
    OK(db_query(db, &fault, &rows,
                "select count(*) from api_tokens where parent_id = $1 and revoked_at is null",
                db_text(a.id)));
    assert_int_equal(db_get_int(rows, 0, 0), 0);
}

// --- another's ---

static void test_anothers_token_is_not_found(void **state)
{
    struct made m = must_make(&theirs, "read");
    RESULT r = call("revokeToken", &mine, m.id, NULL);
    assert_int_equal(r.fail, FAIL_NOT_FOUND);
    assert_true(is_live(m.token));
    RESULT list = call("listTokens", &mine, NULL, NULL);
    char *text = jsonx_dump(list.answer.json, NULL);
    assert_null(strstr(text, m.id));
    assert_null(strstr(text, theirs.token_id));
    assert_null(strstr(text, root.token_id)); // the maker, but of another project
    free(text);
    RESULT absent = call("revokeToken", &mine, "tok_absent", NULL);
    assert_string_equal(absent.fault.public_text, r.fault.public_text);
}

static void test_lists_have_pages(void **state)
{
    struct principal p = make_project("Paged", NULL);
    for (int i = 0; i != 4; ++i)
        must_make(&p, "read");
    RESULT first = call_on(db, "listTokens", &p, NULL, NULL, 2);
    ok(first.fail, &first.fault);
    assert_int_equal(json_array_size(json_object_get(first.answer.json, "data")), 2);
    RESULT second = call_on(db, "listTokens", &p, member(&first, "next"), NULL, 2);
    RESULT third = call_on(db, "listTokens", &p, member(&second, "next"), NULL, 2);
    assert_int_equal(json_array_size(json_object_get(third.answer.json, "data")), 1);
    assert_null(member(&third, "next"));
    RESULT back = call_on(db, "listTokens", &p, member(&third, "previous"), NULL, 2);
    assert_true(json_equal(back.answer.json, second.answer.json));
    RESULT bad = call_on(db, "listTokens", &p, "xx", NULL, 2);
    assert_int_equal(bad.fail, FAIL_REFUSED);
    assert_string_equal(bad.fault.code, "invalid_cursor");
    RESULT many = call_on(db, "listTokens", &p, NULL, NULL, 101);
    assert_int_equal(many.fail, FAIL_REFUSED);
}

#ifdef STOA_FAULTS
static void test_every_statement_may_fail(void **state)
{
    for (unsigned long n = 1;; ++n) {
        faults_at(n);
        RESULT r = make(&mine, "fragile", "read");
        bool fired = faults_have_fired();
        faults_at(0);
        assert_false(db_is_in_transaction(db));
        if (!fired) {
            ok(r.fail, &r.fault);
            break;
        }
        assert_int_equal(r.fail, FAIL_BUSY);
        assert_null(r.answer.json);
        assert_true(n < 100);
    }
}
#endif

static void test_schemas_are_json_and_complete(void **state)
{
    json_auto_t *schemas = json_loads(auth_schemas, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(schemas);
    for (size_t i = 0; i != auth_endpoint_count; ++i)
        assert_non_null(json_object_get(schemas, auth_endpoints[i].answer));
}

// What was done above, by everyone, hangs together.
static void test_trails_are_whole(void **state)
{
    const struct principal *all[] = {&root, &mine, &theirs};
    for (int i = 0; i != 3; ++i) {
        struct fault fault = {0};
        int64_t bad = -1;
        OK(audit_verify(db, all[i]->project_id, &bad, &fault));
        assert_int_equal(bad, 0);
    }
}

// Last: it leaves no one.
static void test_revoked_operator_takes_what_it_made_elsewhere(void **state)
{
    struct made grandchild = must_make(&theirs, "read");
    RESULT r = call("revokeToken", &root, root.token_id, NULL);
    ok(r.fail, &r.fault);
    assert_false(is_live(grandchild.token));
    assert_int_equal(audited(theirs.project_id, "token.revoke", grandchild.id), 1);
    assert_int_equal(audited(root.project_id, "token.revoke", grandchild.id), 0);
    test_trails_are_whole(state);
}

static void start(void)
{
    struct fault fault = {0};
    char folder[64] = "/tmp/stoa-test-tokens-XXXXXX", file[96], token[AUTH_TOKEN_ROOM + 1] = "";
    struct migration all[32];
    size_t n = 0;
    for (size_t i = 0; i != catalog_migration_count; ++i)
        all[n++] = catalog_migrations[i];
    for (size_t i = 0; i != auth_migration_count; ++i)
        all[n++] = auth_migrations[i];
    db_configure(postgres_start());
    db = db_of_thread();
    if (migrate(db, all, n, &fault) != FAIL_NONE || mkdtemp(folder) == NULL)
        exit(1);
    snprintf(file, sizeof file, "%s/token", folder);
    if (auth_first_start(db, file, &fault) != FAIL_NONE)
        exit(1);
    FILE *f = fopen(file, "r");
    if (f == NULL || fread(token, 1, AUTH_TOKEN_ROOM - 1, f) != AUTH_TOKEN_ROOM - 1)
        exit(1);
    fclose(f);
    root = principal_of(token);
    unlink(file);
    rmdir(folder);
}

int main(void)
{
    start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operators_token_makes_a_projects_first),
        cmocka_unit_test(test_platform_tokens_are_made_by_their_own_and_the_operators),
        cmocka_unit_test(test_projects_of_platforms_know_it_and_manage_it_not),
        cmocka_unit_test(test_operator_has_no_platform),
        cmocka_unit_test(test_made_token_is_shown_once_and_works),
        cmocka_unit_test(test_tokens_are_managed_by_admins_only),
        cmocka_unit_test(test_no_token_makes_one_that_can_do_more),
        cmocka_unit_test(test_all_bad_fields_are_named_at_once),
        cmocka_unit_test(test_names_have_limits),
        cmocka_unit_test(test_expiry_is_kept_and_in_the_future),
        cmocka_unit_test(test_no_token_outlives_its_maker),
        cmocka_unit_test(test_revoking_takes_all_descendants_and_no_other),
        cmocka_unit_test(test_revoked_in_between_makes_nothing_more),
        cmocka_unit_test(test_nobody_revokes_what_can_do_more),
        cmocka_unit_test(test_none_slips_through_a_revocation),
        cmocka_unit_test(test_anothers_token_is_not_found),
        cmocka_unit_test(test_lists_have_pages),
#ifdef STOA_FAULTS
        cmocka_unit_test(test_every_statement_may_fail),
#endif
        cmocka_unit_test(test_schemas_are_json_and_complete),
        cmocka_unit_test(test_trails_are_whole),
        cmocka_unit_test(test_revoked_operator_takes_what_it_made_elsewhere),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    postgres_stop();
    return failed;
}
