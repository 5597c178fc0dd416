// What a provisioning token brings into being, against a real PostgreSQL: once, in its platform,
// never backwards in time, also when eight come at once.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/clock.h"
#include "edge/catalog/platform.h"
#include "tests/harness/postgres.h"

static struct db *db;
static struct platform acme, other;

static void ok(enum fail f, const struct fault *fault)
{
    if (f != FAIL_NONE)
        fail_msg("%d %s: %s | %s", (int)f, fault->code, fault->public_text, fault->log_text);
}
#define OK(call) ok((call), &fault)

static enum fail create(const char *slug, const char *name, struct platform *ret,
                        struct fault *fault)
{
    enum fail f = db_begin(db, fault);
    if (f == FAIL_NONE)
        f = platform_create(db, str_from(slug), str_from(name), ret, fault);
    if (f == FAIL_NONE)
        return db_commit(db, fault);
    db_rollback(db);
    return f;
}

static enum fail provision_on(struct db *own, const struct provision *p, struct provisioned *ret,
                              struct fault *fault)
{
    enum fail f = db_begin(own, fault);
    if (f == FAIL_NONE)
        f = platform_provision(own, p, ret, fault);
    if (f == FAIL_NONE)
        return db_commit(own, fault);
    db_rollback(own);
    return f;
}

static struct provision wish(const char *user, const char *project)
{
    return (struct provision){.platform_id = acme.id,
                              .external_user_id = str_from(user),
                              .external_project_id = str_from(project),
                              .first_name = STR("Ada"),
                              .last_name = STR("Lovelace"),
                              .email = STR(""),
                              .role = "Editor",
                              .issued_at = 1000};
}

static struct provisioned provision(const struct provision *p)
{
    struct fault fault = {0};
    struct provisioned r = {.is_stale = true};
    OK(provision_on(db, p, &r, &fault));
    return r;
}

static void run(const char *sql, const char *parameter)
{
    struct fault fault = {0};
    OK(db_query(db, &fault, NULL, sql, db_text(parameter)));
}

// One value, until the next call.
static const char *value(const char *sql, const char *parameter)
{
    static char text[1200];
    struct fault fault = {0};
    DB_ROWS_AUTO rows = NULL;
    OK(db_query(db, &fault, &rows, sql, db_text(parameter)));
    assert_int_equal(db_count(rows), 1);
    snprintf(text, sizeof text, "%s", db_get(rows, 0, 0).p);
    return text;
}
#define USER(columns) "select " columns " from users where id = $1::uuid"
#define PROJECT(columns) "select " columns " from projects where id = $1"

static void test_platform_is_made_with_its_owner_project(void **state)
{
    struct fault fault = {0};
    struct platform found;
    OK(platform_find(db, STR("acme"), &found, &fault));
    assert_string_equal(found.id, acme.id);
    assert_string_equal(found.display_name, "Acme");
    OK(platform_find(db, str_from(acme.id), &found, &fault));
    assert_string_equal(found.owner_project_id, acme.owner_project_id);
    assert_true(found.created_at > 0 && found.created_at == acme.created_at);
    assert_string_equal(value(PROJECT("platform_id"), acme.owner_project_id), acme.id);
    assert_string_equal(value(PROJECT("display_name"), acme.owner_project_id), "Acme");
}

static void test_platform_is_not_found_or_its_slug_taken(void **state)
{
    struct fault fault = {0};
    struct platform p;
    assert_int_equal(create("acme", "Again", &p, &fault), FAIL_CONFLICT);
    assert_string_equal(fault.code, "platform_slug_taken");
    assert_int_equal(platform_find(db, STR("nobody"), &p, &fault), FAIL_NOT_FOUND);
    assert_int_equal(platform_find(db, STR(""), &p, &fault), FAIL_NOT_FOUND);
    assert_string_equal(fault.code, "platform_not_found");
}

static void test_platforms_projects_have_ids_of_its_own_choice(void **state)
{
    struct fault fault = {0};
    char id[CATALOG_ID_ROOM], again[CATALOG_ID_ROOM], owner[CATALOG_UUID_ROOM];
    OK(db_begin(db, &fault));
    OK(platform_project_create(db, acme.id, STR("ws-made"), STR("Made"), id, owner, &fault));
    OK(platform_project_create(db, acme.id, (str){0}, STR("No id"), again, owner, &fault));
    OK(platform_project_create(db, acme.id, (str){0}, STR("No id"), again, owner, &fault));
    OK(db_commit(db, &fault));
    OK(db_begin(db, &fault));
    assert_int_equal(
        platform_project_create(db, acme.id, STR("ws-made"), STR("Made"), again, owner, &fault),
        FAIL_CONFLICT);
    assert_string_equal(fault.code, "external_id_taken");
    db_rollback(db);
    struct provision p = wish("u-made", "ws-made");
    struct provisioned r = provision(&p);
    assert_string_equal(r.project_id, id);
    assert_false(r.made_project);
    assert_string_equal(value(PROJECT("display_name"), id), "Made");
}

static void test_first_token_makes_user_and_project(void **state)
{
    struct provision p = wish("u1", "ws1");
    p.email = STR("ada@example.com");
    struct provisioned r = provision(&p);
    assert_true(r.made_user && r.made_project && r.is_active && !r.is_stale);
    assert_string_equal(r.role, "Editor");
    assert_string_equal(value(PROJECT("display_name"), r.project_id), "ws1");
    assert_string_equal(value(PROJECT("owner_user_id"), r.project_id), r.owner_id);
    assert_string_equal(value(USER("display_name"), r.owner_id), "ws1");
    assert_string_equal(value(USER("project_id"), r.owner_id), r.project_id);
    assert_string_not_equal(r.owner_id, r.user_id);
    assert_string_equal(value(USER("display_name"), r.user_id), "Ada Lovelace");
    assert_string_equal(value(USER("email"), r.user_id), "ada@example.com");
    struct fault fault = {0};
    int64_t bad = -1;
    OK(audit_verify(db, r.project_id, &bad, &fault)); // its trail has begun
    assert_int_equal(bad, 0);
}

static void test_later_token_changes_names_and_role_and_nothing_else(void **state)
{
    struct provision p = wish("u2", "ws2");
    struct provisioned first = provision(&p);
    run("update projects set display_name = 'Named by people' where id = $1", first.project_id);
    p.first_name = STR("Augusta");
    p.role = "Viewer";
    ++p.issued_at;
    struct provisioned r = provision(&p);
    assert_false(r.made_user || r.made_project || r.is_stale);
    assert_string_equal(r.user_id, first.user_id);
    assert_string_equal(r.project_id, first.project_id);
    assert_string_equal(r.owner_id, first.owner_id);
    assert_string_equal(r.role, "Viewer");
    assert_string_equal(value(USER("display_name"), r.user_id), "Augusta Lovelace");
    assert_string_equal(value(PROJECT("display_name"), r.project_id), "Named by people");
}

// The case security-rules.md 25 is for: a demoted user who kept an older token.
static void test_older_token_changes_nothing(void **state)
{
    struct provision p = wish("u3", "ws3");
    p.role = "Admin";
    provision(&p);
    struct provision demoted = p;
    demoted.role = "Viewer";
    demoted.issued_at = p.issued_at + 1;
    provision(&demoted);
    p.first_name = STR("Old");
    p.has_filter = true;
    p.filter = "ALLOWED";
    struct provisioned r = provision(&p);
    assert_true(r.is_stale && r.is_active);
    assert_string_equal(r.role, "Viewer");
    assert_string_equal(value(USER("first_name"), r.user_id), "Ada");
    assert_string_equal(value(PROJECT("pieces_filter"), r.project_id), "NONE");
    assert_string_equal(value("select role || issued_at from project_members where user_id ="
                              " $1::uuid",
                              r.user_id),
                        "Viewer1001");
    r = provision(&demoted); // that very one again is not older
    assert_false(r.is_stale);
}

static void test_issue_times_are_kept_for_each_project(void **state)
{
    struct provision p = wish("u4", "ws4");
    p.issued_at = 5000;
    provision(&p);
    struct provision elsewhere = wish("u4", "ws4b");
    elsewhere.role = "Admin";
    struct provisioned r = provision(&elsewhere);
    assert_false(r.is_stale || r.made_user);
    assert_true(r.made_project);
    assert_string_equal(r.role, "Admin");
}

static void test_inactive_user_changes_nothing(void **state)
{
    struct provision p = wish("u5", "ws5");
    struct provisioned first = provision(&p);
    run("update users set status = 'INACTIVE' where id = $1::uuid", first.user_id);
    p.first_name = STR("Back");
    p.role = "Admin";
    ++p.issued_at;
    struct provisioned r = provision(&p);
    assert_false(r.is_active || r.is_stale);
    assert_string_equal(r.user_id, first.user_id);
    assert_string_equal(r.project_id, first.project_id);
    assert_string_equal(value(USER("first_name"), r.user_id), "Ada");
    p.external_project_id = STR("ws5-new");
    r = provision(&p);
    assert_string_equal(r.project_id, "");
    assert_string_equal(value("select count(*) from projects where external_id = $1", "ws5-new"),
                        "0");
}

static void test_filter_follows_the_token(void **state)
{
    struct provision p = wish("u6", "ws6");
    json_auto_t *tags = json_pack("[s, s]", "free", "a\"b,c}");
    p.has_filter = true;
    p.filter = "ALLOWED";
    p.tags = tags;
    struct provisioned r = provision(&p);
    assert_string_equal(value(PROJECT("pieces_filter"), r.project_id), "ALLOWED");
    assert_string_equal(value(PROJECT("pieces_tags[2]"), r.project_id), "a\"b,c}");
    p.has_filter = false;
    provision(&p); // says nothing of it
    assert_string_equal(value(PROJECT("cardinality(pieces_tags)"), r.project_id), "2");
    p.has_filter = true;
    p.filter = "NONE";
    p.tags = NULL;
    provision(&p);
    assert_string_equal(value(PROJECT("pieces_filter"), r.project_id), "NONE");
    assert_string_equal(value(PROJECT("cardinality(pieces_tags)"), r.project_id), "0");
}

// A member's older token is none of theirs that is stale, but the project knows a newer one.
static void test_filter_is_the_newest_tokens_whosever(void **state)
{
    struct provision ben = wish("u6 ben", "ws6b"), ann = wish("u6 ann", "ws6b");
    json_auto_t *tags = json_pack("[s]", "free");
    ben.has_filter = ann.has_filter = true;
    ben.filter = "NONE";
    provision(&ben);
    ann.filter = "ALLOWED";
    ann.tags = tags;
    ann.issued_at = ben.issued_at + 90;
    struct provisioned r = provision(&ann);
    assert_string_equal(value(PROJECT("pieces_filter"), r.project_id), "ALLOWED");
    ben.role = "Viewer";
    assert_false(provision(&ben).is_stale);
    assert_string_equal(value(PROJECT("pieces_filter"), r.project_id), "ALLOWED");
    assert_string_equal(value(PROJECT("pieces_tags[1]"), r.project_id), "free");
    assert_string_equal(provision(&ben).role, "Viewer"); // the rest follows it
    ann.issued_at += 10;                                 // the same filter, said again
    provision(&ann);
    ben.issued_at = ann.issued_at - 1;
    provision(&ben);
    assert_string_equal(value(PROJECT("pieces_filter"), r.project_id), "ALLOWED");
    ben.issued_at = ann.issued_at;
    provision(&ben);
    assert_string_equal(value(PROJECT("pieces_filter"), r.project_id), "NONE");
}

static void forget_ahead(const struct provisioned *r)
{
    struct fault fault = {0};
    OK(db_begin(db, &fault));
    OK(platform_forget_times_ahead(db, acme.id, r->user_id, &fault));
    OK(db_commit(db, &fault));
}

// Two whose tokens were ordered by an `exp` of another century.
static void test_times_ahead_are_forgotten_of_one_user(void **state)
{
    struct provision ben = wish("u9 ben", "ws9"), ann = wish("u9 ann", "ws9");
    ben.has_filter = ann.has_filter = true;
    ben.filter = "NONE";
    ann.filter = "ALLOWED";
    ben.issued_at = 5000000000;
    ann.issued_at = ben.issued_at + 5;
    struct provisioned b = provision(&ben), a = provision(&ann);
    forget_ahead(&b);
    struct provision with_iat = ben;
    with_iat.role = "Viewer";
    with_iat.issued_at = clock_real_ms() / 1000;
    assert_string_equal(provision(&with_iat).role, "Viewer");
    assert_string_equal(value(PROJECT("pieces_filter"), a.project_id), "ALLOWED"); // Ann's is newer
    with_iat.issued_at -= 100;
    assert_true(provision(&with_iat).is_stale); // what is past stays
    with_iat = ann;
    with_iat.filter = "NONE";
    with_iat.issued_at = clock_real_ms() / 1000;
    assert_true(provision(&with_iat).is_stale);
    forget_ahead(&a);
    with_iat.issued_at = clock_real_ms() / 1000;
    assert_false(provision(&with_iat).is_stale);
    assert_string_equal(value(PROJECT("pieces_filter"), a.project_id), "NONE");
}

static void test_the_same_ids_in_another_platform_are_others(void **state)
{
    struct provision p = wish("u7", "ws7");
    struct provisioned here = provision(&p);
    p.platform_id = other.id;
    struct provisioned there = provision(&p);
    assert_true(there.made_user && there.made_project);
    assert_string_not_equal(here.user_id, there.user_id);
    assert_string_not_equal(here.project_id, there.project_id);
}

static void test_long_names_are_cut_where_they_are_shown(void **state)
{
    char id[257], name[257];
    memset(id, 'x', 256);
    memset(name, 'y', 256);
    id[256] = name[256] = '\0';
    struct provision p = wish("u8", id);
    p.first_name = p.last_name = str_from(name);
    struct provisioned r = provision(&p);
    assert_string_equal(value(PROJECT("length(display_name)"), r.project_id), "100");
    assert_string_equal(value(PROJECT("length(external_id)"), r.project_id), "256");
    assert_string_equal(value(USER("length(display_name)"), r.user_id), "100");
    assert_string_equal(value(USER("length(last_name)"), r.user_id), "256");
}

static void test_platform_that_is_not_there(void **state)
{
    struct fault fault = {0};
    struct provision p = wish("u9", "ws9");
    struct provisioned r;
    p.platform_id = "plt_none";
    assert_int_equal(provision_on(db, &p, &r, &fault), FAIL_CONFLICT);
}

// --- several at once ---

enum { AT_ONCE = 8, ROUNDS = 10 };
static pthread_barrier_t barrier;

struct one {
    struct provision wish;
    struct provisioned got[ROUNDS];
    struct fault fault;
    enum fail fail;
    char user[ROUNDS][32], project[ROUNDS][32];
};

static void *provision_on_thread(void *arg)
{
    struct one *one = arg;
    for (int i = 0; i != ROUNDS; ++i) {
        one->wish.external_user_id = str_from(one->user[i]);
        one->wish.external_project_id = str_from(one->project[i]);
        pthread_barrier_wait(&barrier);
        enum fail f = provision_on(db_of_thread(), &one->wish, &one->got[i], &one->fault);
        if (f != FAIL_NONE)
            one->fail = f;
    }
    return NULL;
}

// Each round, AT_ONCE threads ask for `users` different users in `projects` different projects.
static struct one *provision_at_once(const char *tag, int users, int projects)
{
    struct one *all = calloc(AT_ONCE, sizeof *all);
    pthread_t threads[AT_ONCE];
    pthread_barrier_init(&barrier, NULL, AT_ONCE);
    for (int t = 0; t != AT_ONCE; ++t) {
        all[t].wish = wish("", "");
        for (int i = 0; i != ROUNDS; ++i) {
            snprintf(all[t].user[i], sizeof all[t].user[i], "%s-%d-%d", tag, i, t % users);
            snprintf(all[t].project[i], sizeof all[t].project[i], "%s-%d-%d", tag, i,
                     (AT_ONCE - t) % projects);
        }
        pthread_create(&threads[t], NULL, provision_on_thread, &all[t]);
    }
    for (int t = 0; t != AT_ONCE; ++t) {
        pthread_join(threads[t], NULL);
        ok(all[t].fail, &all[t].fault);
    }
    pthread_barrier_destroy(&barrier);
    return all;
}

static void test_eight_at_once_make_one_user_and_one_project(void **state)
{
    struct one *all = provision_at_once("same", 1, 1);
    for (int i = 0; i != ROUNDS; ++i) {
        int users = 0, projects = 0;
        for (int t = 0; t != AT_ONCE; ++t) {
            assert_string_equal(all[t].got[i].user_id, all[0].got[i].user_id);
            assert_string_equal(all[t].got[i].project_id, all[0].got[i].project_id);
            assert_string_equal(all[t].got[i].owner_id, all[0].got[i].owner_id);
            users += all[t].got[i].made_user;
            projects += all[t].got[i].made_project;
        }
        assert_int_equal(users, 1);
        assert_int_equal(projects, 1);
    }
    free(all);
}

static void test_others_at_once_wait_in_no_circle(void **state)
{
    free(provision_at_once("users", AT_ONCE, 1));
    free(provision_at_once("projects", 1, AT_ONCE));
    free(provision_at_once("mixed", 3, 2));
}

// --- the trail of a platform ---

static void append(const char *project, const char *action)
{
    struct fault fault = {0};
    OK(db_begin(db, &fault));
    OK(audit_append(db, project, "tok_1", action, "it", "0123", STR("192.0.2.1"), NULL, &fault));
    OK(db_commit(db, &fault));
}

static json_t *object_of(const struct db_rows *rows, size_t row)
{
    return json_string(db_get(rows, row, 4).p);
}

static struct page_key key_of(const struct db_rows *rows, size_t row)
{
    struct page_key key = {.at = db_get_int(rows, row, 2)};
    snprintf(key.id, sizeof key.id, "%s.%s", db_get(rows, row, 0).p, db_get(rows, row, 1).p);
    return key;
}

// The actions of a page two rows long, joined; the cursors behind it.
static json_t *trail(const char *platform, const char *project, const char *cursor, char to[64])
{
    struct fault fault = {0};
    struct page page;
    DB_ROWS_AUTO rows = NULL;
    OK(page_init(&page, str_from(cursor), 2, &fault));
    if (project != NULL)
        OK(audit_project_page(db, project, &page, &rows, &fault));
    else
        OK(audit_platform_page(db, platform, &page, &rows, &fault));
    json_t *list = page_rows_json(&page, rows, object_of, key_of), *action;
    size_t i;
    to[0] = '\0';
    json_array_foreach(json_object_get(list, "data"), i, action)
        strncat(to, json_string_value(action), 20);
    return list;
}

static void test_trail_is_walked_both_ways(void **state)
{
    struct platform p;
    struct fault fault = {0};
    char a[CATALOG_ID_ROOM], owner[CATALOG_UUID_ROOM], seen[64];
    OK(create("trail", "Trail", &p, &fault));
    OK(db_begin(db, &fault));
    OK(platform_project_create(db, p.id, (str){0}, STR("A"), a, owner, &fault));
    OK(db_commit(db, &fault));
    append(acme.owner_project_id, "not-ours");
    append(p.owner_project_id, "1");
    append(a, "2");
    append(p.owner_project_id, "3");
    append(a, "4");
    append(a, "5");
    json_auto_t *one = trail(p.id, NULL, NULL, seen);
    assert_int_equal(strspn(seen, "12345"), 2);
    json_auto_t *two = trail(p.id, NULL, json_string_value(json_object_get(one, "next")), seen);
    json_auto_t *three = trail(p.id, NULL, json_string_value(json_object_get(two, "next")), seen);
    assert_int_equal(strlen(seen), 1);
    assert_true(json_is_null(json_object_get(three, "next")));
    json_auto_t *back =
        trail(p.id, NULL, json_string_value(json_object_get(three, "previous")), seen);
    assert_true(json_equal(json_object_get(back, "data"), json_object_get(two, "data")));
    json_auto_t *own = trail(NULL, a, NULL, seen);
    assert_string_equal(seen, "54");
    json_auto_t *rest = trail(NULL, a, json_string_value(json_object_get(own, "next")), seen);
    assert_string_equal(seen, "2");
    json_auto_t *again = trail(NULL, a, json_string_value(json_object_get(rest, "previous")), seen);
    assert_string_equal(seen, "54");
    assert_true(json_equal(again, own));
}

int main(void)
{
    struct fault fault = {0};
    db_configure(postgres_start());
    db = db_of_thread();
    if (migrate(db, catalog_migrations, catalog_migration_count, &fault) != FAIL_NONE ||
        create("acme", "Acme", &acme, &fault) != FAIL_NONE ||
        create("other", "Other", &other, &fault) != FAIL_NONE) {
        fprintf(stderr, "%s | %s\n", fault.public_text, fault.log_text);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_platform_is_made_with_its_owner_project),
        cmocka_unit_test(test_platform_is_not_found_or_its_slug_taken),
        cmocka_unit_test(test_platforms_projects_have_ids_of_its_own_choice),
        cmocka_unit_test(test_first_token_makes_user_and_project),
        cmocka_unit_test(test_later_token_changes_names_and_role_and_nothing_else),
        cmocka_unit_test(test_older_token_changes_nothing),
        cmocka_unit_test(test_issue_times_are_kept_for_each_project),
        cmocka_unit_test(test_inactive_user_changes_nothing),
        cmocka_unit_test(test_filter_follows_the_token),
        cmocka_unit_test(test_filter_is_the_newest_tokens_whosever),
        cmocka_unit_test(test_times_ahead_are_forgotten_of_one_user),
        cmocka_unit_test(test_the_same_ids_in_another_platform_are_others),
        cmocka_unit_test(test_long_names_are_cut_where_they_are_shown),
        cmocka_unit_test(test_platform_that_is_not_there),
        cmocka_unit_test(test_eight_at_once_make_one_user_and_one_project),
        cmocka_unit_test(test_others_at_once_wait_in_no_circle),
        cmocka_unit_test(test_trail_is_walked_both_ways),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    postgres_stop();
    return failed;
}
