// Who a request is from, and the first token of all.
#include "edge/auth/auth.h" // before cmocka.h, whose macro `fail` takes no argument
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "edge/auth/internal.h"
#include "edge/catalog/catalog.h"
#include "edge/store/faults.h"
#include "tests/harness/postgres.h"

static struct db *db;
static char folder[64], file[96], first[AUTH_TOKEN_ROOM];

static void ok(enum fail f, const struct fault *fault)
{
    if (f != FAIL_NONE)
        fail_msg("%d %s: %s | %s", (int)f, fault->code, fault->public_text, fault->log_text);
}
#define OK(call) ok((call), &fault)

static void read_token(char to[static AUTH_TOKEN_ROOM])
{
    FILE *f = fopen(file, "r");
    assert_non_null(f);
    char line[100] = "";
    assert_non_null(fgets(line, sizeof line, f));
    assert_int_equal(strlen(line), AUTH_TOKEN_ROOM);
    assert_int_equal(fgetc(f), EOF);
    fclose(f);
    snprintf(to, AUTH_TOKEN_ROOM, "%s", line);
}

static const struct auth_asker asker = {"", {"", 0}};

static enum fail authenticate(const char *format, const char *token, struct principal *ret,
                              struct fault *fault)
{
    char header[200];
    snprintf(header, sizeof header, "%s%s", format, token);
    return auth_principal(db, str_from(header), &asker, ret, fault);
}

static int64_t number(const char *sql)
{
    struct fault fault = {0};
    DB_ROWS_AUTO rows = NULL;
    OK(db_query(db, &fault, &rows, sql));
    return db_get_int(rows, 0, 0);
}

static unsigned files(void)
{
    unsigned n = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

static void test_first_start_without_a_place_for_the_token_makes_nothing(void **state)
{
    struct fault fault = {0};
    assert_int_equal(auth_first_start(db, "/nowhere/token", &fault), FAIL_INTERNAL);
    assert_false(db_is_in_transaction(db));
    assert_int_equal(number("select count(*) from projects"), 0);
    assert_int_equal(number("select count(*) from api_tokens"), 0);
}

#ifdef STOA_FAULTS
static void test_first_start_lost_anywhere_is_done_at_the_next(void **state)
{
    for (unsigned long n = 1;; ++n) {
        struct fault fault = {0};
        faults_at(n);
        enum fail f = auth_first_start(db, file, &fault);
        bool fired = faults_have_fired();
        faults_at(0);
        if (!fired) {
            OK(f);
            break;
        }
        assert_int_equal(f, FAIL_BUSY);
        assert_int_equal(number("select count(*) from api_tokens"), 0);
        assert_true(n < 100);
    }
    struct fault fault = {0};
    OK(db_script(db, &fault,
                 "set session_replication_role = replica; truncate projects, users, api_tokens,"
                 " audit_events, audit_heads cascade; set session_replication_role = default"));
}
#endif

static void test_first_start_makes_one_token_once(void **state)
{
    struct fault fault = {0};
    struct principal p;
    struct stat st;
    char again[AUTH_TOKEN_ROOM];
    umask(0);
    OK(auth_first_start(db, file, &fault));
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(files(), 1);
    read_token(first);
    OK(authenticate("Bearer ", first, &p, &fault));
    assert_int_equal(p.scope, SCOPE_OPERATOR);
    OK(auth_first_start(db, file, &fault));
    read_token(again);
    assert_string_equal(first, again);
    assert_int_equal(number("select count(*) from projects"), 1);
    assert_int_equal(number("select count(*) from api_tokens"), 1);
    assert_int_equal(number("select count(*) from audit_events"), 2);
}

static void test_token_is_kept_nowhere(void **state)
{
    struct fault fault = {0};
    DB_ROWS_AUTO rows = NULL;
    OK(db_query(db, &fault, &rows,
                "select count(*) from api_tokens t, audit_events a"
                " where t::text like $1 or a::text like $1",
                db_str(str_of((char[]){'%', first[10], first[11], first[12], first[13], first[14],
                                       first[15], first[16], '%'},
                              9))));
    assert_int_equal(db_get_int(rows, 0, 0), 0);
}

static void test_principal_names_project_and_owner(void **state)
{
    struct fault fault = {0};
    struct principal p;
    OK(authenticate("Bearer ", first, &p, &fault));
    DB_ROWS_AUTO rows = NULL;
    OK(db_query(db, &fault, &rows, "select 1 from projects where id = $1 and owner_user_id = $2",
                db_text(p.project_id), db_text(p.owner_id)));
    assert_int_equal(db_count(rows), 1);
    OK(authenticate("bearer   ", first, &p, &fault));
    OK(authenticate("BEARER ", first, &p, &fault));
}

// All with one sentence: a guess learns nothing of how near it came.
static void test_anything_else_is_unauthorised_in_the_same_words(void **state)
{
    char wrong[AUTH_TOKEN_ROOM], words[320] = "", long_one[400];
    snprintf(wrong, sizeof wrong, "%s", first);
    wrong[20] = wrong[20] == 'x' ? 'y' : 'x';
    memset(long_one, 'A', sizeof long_one);
    struct {
        const char *scheme, *token;
    } const cases[] = {
        {"", ""},          {"Bearer", ""},       {"Bearer ", ""},      {"Bearer ", wrong},
        {"Bearer ", "x"},  {"Basic ", first},    {"", first},          {"Bearer x", first},
        {"Bearer", first}, {"Bearer \t", wrong}, {"Bearer stoa_", ""}, {"Bearer stoa_", first},
    };
    for (size_t i = 0; i != sizeof cases / sizeof cases[0]; ++i) {
        struct fault fault = {0};
        struct principal p;
        if (authenticate(cases[i].scheme, cases[i].token, &p, &fault) != FAIL_UNAUTHORISED)
            fail_msg("accepted: %zu", i);
        assert_string_equal(fault.code, "unauthorized");
        assert_string_equal(fault.log_text, "");
        if (words[0] != '\0')
            assert_string_equal(words, fault.public_text);
        snprintf(words, sizeof words, "%s", fault.public_text);
    }
    struct fault fault = {0};
    struct principal p;
    assert_int_equal(auth_principal(db, str_of(long_one, sizeof long_one), &asker, &p, &fault),
                     FAIL_UNAUTHORISED);
    assert_int_equal(auth_principal(db, (str){0}, &asker, &p, &fault), FAIL_UNAUTHORISED);
    // Unused bits of the last character: the same 32 bytes, another text, no token.
    char twin[AUTH_TOKEN_ROOM];
    snprintf(twin, sizeof twin, "%s", first);
    twin[47]++;
    assert_int_equal(authenticate("Bearer ", twin, &p, &fault), FAIL_UNAUTHORISED);
}

static void test_expired_and_revoked_are_the_same_as_unknown(void **state)
{
    static const char *const makes[] = {
        "update api_tokens set expires_at = now() - interval '1 second'",
        "update api_tokens set expires_at = now() - interval '1 ms'",
        "update api_tokens set expires_at = null, revoked_at = now()"};
    struct fault fault = {0};
    struct principal p;
    OK(db_script(db, &fault, "update api_tokens set expires_at = now() + interval '1 hour'"));
    OK(authenticate("Bearer ", first, &p, &fault));
    for (int i = 0; i != 3; ++i) {
        OK(db_script(db, &fault, makes[i]));
        assert_int_equal(authenticate("Bearer ", first, &p, &fault), FAIL_UNAUTHORISED);
        assert_string_equal(fault.code, "unauthorized");
    }
    OK(db_script(db, &fault, "update api_tokens set expires_at = null, revoked_at = null"));
    OK(authenticate("Bearer ", first, &p, &fault));
}

static void test_last_use_is_noted_once_a_minute(void **state)
{
    struct fault fault = {0};
    struct principal p;
    OK(db_script(db, &fault, "update api_tokens set last_used_at = null"));
    OK(authenticate("Bearer ", first, &p, &fault));
    assert_int_equal(
        number("select count(*) from api_tokens where last_used_at > now() - interval '5 s'"), 1);
    OK(db_script(db, &fault, "update api_tokens set last_used_at = now() - interval '50 seconds'"));
    OK(authenticate("Bearer ", first, &p, &fault));
    assert_int_equal(
        number("select count(*) from api_tokens where last_used_at < now() - interval '45 s'"), 1);
    OK(db_script(db, &fault, "update api_tokens set last_used_at = now() - interval '61 seconds'"));
    OK(authenticate("Bearer ", first, &p, &fault));
    assert_int_equal(
        number("select count(*) from api_tokens where last_used_at > now() - interval '5 s'"), 1);
}

static void test_scopes_are_a_ladder(void **state)
{
    struct fault fault = {0};
    for (int has = SCOPE_READ; has <= SCOPE_OPERATOR; ++has) {
        struct principal p = {.scope = (enum scope)has, .platform_id = "plt_1"};
        for (int needs = SCOPE_READ; needs <= SCOPE_OPERATOR; ++needs) {
            bool is_others = needs == SCOPE_PLATFORM && has != SCOPE_PLATFORM;
            assert_int_equal(auth_require(&p, (enum scope)needs, &fault),
                             has >= needs && !is_others ? FAIL_NONE : FAIL_DENIED);
        }
    }
    struct principal p = {.scope = SCOPE_READ};
    assert_int_equal(auth_require(&p, SCOPE_DEPLOY, &fault), FAIL_DENIED);
    assert_string_equal(fault.code, "scope_too_low");
    assert_non_null(strstr(fault.public_text, "\"deploy\""));
}

static void test_authenticate_does_both(void **state)
{
    struct fault fault = {0};
    struct principal *p = NULL;
    char header[80];
    snprintf(header, sizeof header, "Bearer %s", first);
    OK(db_script(db, &fault, "update api_tokens set scope = 'deploy'"));
    const struct endpoint admins = {.scope = SCOPE_ADMIN}, deployers = {.scope = SCOPE_DEPLOY};
    struct call call = {.db = db, .endpoint = &admins, .request_id = ""};
    assert_int_equal(auth_authenticate(&call, str_from(header), &p, &fault), FAIL_DENIED);
    assert_null(p);
    call.endpoint = &deployers;
    OK(auth_authenticate(&call, str_from(header), &p, &fault));
    assert_int_equal(p->scope, SCOPE_DEPLOY);
    free(p);
    OK(db_script(db, &fault, "update api_tokens set scope = 'operator'"));
}

static void test_revoked_operator_token_is_replaced_at_the_next_start(void **state)
{
    struct fault fault = {0};
    struct principal p;
    char second[AUTH_TOKEN_ROOM];
    OK(db_script(db, &fault, "update api_tokens set revoked_at = now()"));
    OK(auth_first_start(db, file, &fault));
    read_token(second);
    assert_string_not_equal(first, second);
    OK(authenticate("Bearer ", second, &p, &fault));
    assert_int_equal(p.scope, SCOPE_OPERATOR);
    assert_int_equal(authenticate("Bearer ", first, &p, &fault), FAIL_UNAUTHORISED);
    assert_int_equal(number("select count(*) from projects"), 1);
    assert_int_equal(files(), 1);
}

static void test_database_away_is_busy_and_not_unauthorised(void **state)
{
    if (!postgres_is_ours())
        skip();
    struct fault fault = {0};
    struct principal p;
    postgres_halt();
    assert_int_equal(authenticate("Bearer ", first, &p, &fault), FAIL_BUSY);
    assert_string_equal(fault.code, "database_unavailable");
    postgres_resume();
}

int main(void)
{
    struct fault fault = {0};
    db_configure(postgres_start());
    db = db_of_thread();
    struct migration all[32];
    size_t n = 0;
    for (size_t i = 0; i != catalog_migration_count; ++i)
        all[n++] = catalog_migrations[i];
    for (size_t i = 0; i != auth_migration_count; ++i)
        all[n++] = auth_migrations[i];
    if (migrate(db, all, n, &fault) != FAIL_NONE)
        return 1;
    snprintf(folder, sizeof folder, "/tmp/stoa-test-auth-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(file, sizeof file, "%s/token", folder);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_start_without_a_place_for_the_token_makes_nothing),
#ifdef STOA_FAULTS
        cmocka_unit_test(test_first_start_lost_anywhere_is_done_at_the_next),
#endif
        cmocka_unit_test(test_first_start_makes_one_token_once),
        cmocka_unit_test(test_token_is_kept_nowhere),
        cmocka_unit_test(test_principal_names_project_and_owner),
        cmocka_unit_test(test_anything_else_is_unauthorised_in_the_same_words),
        cmocka_unit_test(test_expired_and_revoked_are_the_same_as_unknown),
        cmocka_unit_test(test_last_use_is_noted_once_a_minute),
        cmocka_unit_test(test_scopes_are_a_ladder),
        cmocka_unit_test(test_authenticate_does_both),
        cmocka_unit_test(test_revoked_operator_token_is_replaced_at_the_next_start),
        cmocka_unit_test(test_database_away_is_busy_and_not_unauthorised),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(file);
    rmdir(folder);
    postgres_stop();
    return failed;
}
