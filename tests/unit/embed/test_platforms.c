// The endpoints about platforms as their runner calls them, against a real PostgreSQL: each statement
// fails once, and nothing is left half made; switching a user off while exchanges of theirs go on.
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
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"
#include "edge/store/faults.h"
#include "embed/embed.h"
#include "embed/platforms.h"
#include "tests/harness/postgres.h"

static struct db *db;
static struct principal root, acme;

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
    const struct service *s = embed_platforms_service();
    for (size_t i = 0; i != s->endpoint_count; ++i)
        if (strcmp(s->endpoints[i].id, id) == 0)
            return &s->endpoints[i];
    return NULL;
}

// Takes `body`.
static struct result call(const char *id, const struct principal *p, const char *param,
                          json_t *body)
{
    const struct endpoint *e = endpoint(id);
    struct result r = {0};
    struct call call = {.endpoint = e,
                        .db = db_of_thread(),
                        .principal = p,
                        .json = body,
                        .request_id = "0123456789abcdef",
                        .peer = STR("192.0.2.1"),
                        .params = {str_from(param)}};
    r.fail = auth_require(p, e->scope, &r.fault);
    if (r.fail == FAIL_NONE)
        r.fail = e->run(&call, &r.answer, &r.fault);
    db_rollback(call.db);
    json_decref(body);
    return r;
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

static struct provisioned provision(struct db *own, const char *user, enum fail *ret)
{
    struct fault fault = {0};
    struct provisioned r = {.is_active = false};
    struct provision p = {.platform_id = acme.platform_id,
                          .external_user_id = str_from(user),
                          .external_project_id = STR("ws"),
                          .first_name = STR("A"),
                          .last_name = STR("B"),
                          .email = STR(""),
                          .role = "Editor",
                          .issued_at = 1000};
    *ret = db_begin(own, &fault);
    if (*ret == FAIL_NONE)
        *ret = platform_provision(own, &p, &r, &fault);
    if (*ret == FAIL_NONE)
        *ret = db_commit(own, &fault);
    db_rollback(own);
    return r;
}

#ifdef STOA_FAULTS
static int64_t number(const char *sql)
{
    struct fault fault = {0};
    DB_ROWS_AUTO rows = NULL;
    OK(db_query(db, &fault, &rows, sql));
    return db_get_int(rows, 0, 0);
}

// What exists of anything that these endpoints make or change.
static int64_t everything(void)
{
    return number("select (select count(*) from platforms) + (select count(*) from projects)"
                  " + (select count(*) from users) + (select count(*) from api_tokens)"
                  " + (select count(*) from audit_events) + (select count(*) from audit_heads)"
                  " + (select count(*) * 1000000 from users where status = 'INACTIVE')");
}

// Until no statement is left to fail: then it succeeds.
static void fail_each(const char *id, const struct principal *p, const char *param,
                      const json_t *body)
{
    for (unsigned long n = 1;; ++n) {
        int64_t before = everything();
        faults_at(n);
        RESULT r = call(id, p, param, json_deep_copy(body));
        bool fired = faults_have_fired();
        faults_at(0);
        assert_false(db_is_in_transaction(db));
        if (!fired) {
            ok(r.fail, &r.fault);
            assert_true(n > 1);
            return;
        }
        if (r.fail != FAIL_BUSY)
            fail_msg("%s, statement %lu: %d", id, n, (int)r.fail);
        assert_null(member(&r, "token"));
        assert_int_equal(everything(), before);
        assert_true(n < 100);
    }
}

static void test_every_statement_may_fail(void **state)
{
    enum fail f;
    struct provisioned u = provision(db, "fragile", &f);
    assert_int_equal(f, FAIL_NONE);
    json_auto_t *platform = json_pack("{ss ss}", "slug", "fragile", "displayName", "F");
    json_auto_t *project = json_pack("{ss}", "displayName", "F");
    json_auto_t *token = json_pack("{ss}", "name", "F");
    json_auto_t *status = json_pack("{ss}", "status", "INACTIVE");
    fail_each("createPlatform", &root, "", platform);
    fail_each("createPlatformToken", &root, "fragile", token);
    fail_each("createProject", &root, "", project);
    fail_each("createProject", &acme, "", project);
    fail_each("changeProject", &acme, u.project_id, project);
    fail_each("changeUser", &acme, u.user_id, status);
}
#endif

static void *exchange_on_thread(void *arg)
{
    for (int i = 0; i != 40; ++i) {
        enum fail f;
        provision(db_of_thread(), "switched", &f);
        if (f != FAIL_NONE)
            return arg;
    }
    return NULL;
}

static void test_switching_and_exchanging_wait_in_no_circle(void **state)
{
    enum fail f;
    pthread_t threads[2];
    struct provisioned u = provision(db, "switched", &f);
    assert_int_equal(f, FAIL_NONE);
    for (int i = 0; i != 2; ++i)
        pthread_create(&threads[i], NULL, exchange_on_thread, &u);
    for (int i = 0; i != 20; ++i) {
        RESULT r = call("changeUser", &acme, u.user_id,
                        json_pack("{ss}", "status", i % 2 == 0 ? "INACTIVE" : "ACTIVE"));
        ok(r.fail, &r.fault);
    }
    for (int i = 0; i != 2; ++i) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
}

static void test_schemas_are_json_and_complete(void **state)
{
    const struct service *s = embed_platforms_service();
    json_auto_t *schemas = json_loads(s->schemas, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(schemas);
    for (size_t i = 0; i != s->endpoint_count; ++i)
        if (strcmp(s->endpoints[i].answer, "NewToken") != 0) // of auth
            assert_non_null(json_object_get(schemas, s->endpoints[i].answer));
}

static void test_trails_are_whole(void **state)
{
    struct fault fault = {0};
    int64_t bad = -1;
    OK(audit_verify(db, acme.project_id, &bad, &fault));
    assert_int_equal(bad, 0);
}

static void start(void)
{
    struct fault fault = {0};
    char folder[64] = "/tmp/stoa-test-platforms-XXXXXX", file[96], token[AUTH_TOKEN_ROOM + 1] = "";
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
    unlink(file);
    rmdir(folder);
    root = principal_of(token);
    RESULT r = call("createPlatform", &root, "",
                    json_pack("{ss ss}", "slug", "acme", "displayName", "Acme"));
    if (r.fail != FAIL_NONE)
        exit(1);
    acme = principal_of(member(&r, "token"));
}

int main(void)
{
    start();
    const struct CMUnitTest tests[] = {
#ifdef STOA_FAULTS
        cmocka_unit_test(test_every_statement_may_fail),
#endif
        cmocka_unit_test(test_switching_and_exchanging_wait_in_no_circle),
        cmocka_unit_test(test_schemas_are_json_and_complete),
        cmocka_unit_test(test_trails_are_whole),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    postgres_stop();
    return failed;
}
