// What a project's deployments take, and which of them go, in a real PostgreSQL; always with a
// second project beside the first. What is kept up is compared with what the rows add up to.
#include "bundles/bundle.h"
#include "bundles/room.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>
#include "edge/limits/limits.h"
#include "tests/harness/postgres.h"

enum { BLOCK = 4096, ROW = 1024, FILES = 4, BUNDLES_BEFORE = 4, BUNDLES_NOW = 99 };

static struct db *db, *second;
static char mine[CATALOG_ID_ROOM], others[CATALOG_ID_ROOM];

static void ok(enum fail f, const struct fault *fault)
{
    if (f != FAIL_NONE)
        fail_msg("%d %s: %s | %s", (int)f, fault->code, fault->public_text, fault->log_text);
}
#define OK(call) ok((call), &fault)

static bool migrate_to(unsigned newest)
{
    struct fault fault = {0};
    struct migration all[32];
    size_t n = 0;
    for (size_t i = 0; i != catalog_migration_count; ++i)
        all[n++] = catalog_migrations[i];
    for (size_t i = 0; i != bundles_migration_count; ++i)
        if (bundles_migrations[i].number <= newest)
            all[n++] = bundles_migrations[i];
    if (migrate(db, all, n, &fault) == FAIL_NONE)
        return true;
    fprintf(stderr, "%s %s\n", fault.public_text, fault.log_text);
    return false;
}

static void make_project(const char *name, char id[static CATALOG_ID_ROOM])
{
    struct fault fault = {0};
    char owner[37];
    OK(db_begin(db, &fault));
    OK(catalog_project_create(db, str_from(name), id, owner, &fault));
    OK(db_commit(db, &fault));
}

static struct plugin plugin(const char *project, const char *slug)
{
    struct fault fault = {0};
    struct plugin p;
    bool is_new;
    OK(catalog_plugin_upsert(db, project, str_from(slug), str_from(slug), STR("1.0.0"), STR("app"),
                             &p, &is_new, &fault));
    return p;
}

// A deployment of these contents as files and of `code`; NULL is none.
struct content {
    const char *code, *files[FILES];
};

static struct declaration declare(const struct content *c)
{
    struct declaration d = {.front = json_object(), .code = str_from(c->code)};
    d.files = calloc(FILES, sizeof *d.files);
    assert_non_null(d.files);
    for (size_t i = 0; i != FILES && c->files[i] != NULL; ++i, ++d.file_count) {
        static const char *const paths[FILES] = {"a", "b", "c", "d"};
        struct declared_file *f = &d.files[i];
        f->content = str_from(c->files[i]);
        f->path = f->row.path = str_from(paths[i]);
        f->row.content_type = STR("text/plain");
        f->row.has[ENCODING_IDENTITY] = true;
        f->row.size[ENCODING_IDENTITY] = f->content.n;
        f->row.sha256[ENCODING_IDENTITY] = digest_sha256(f->content);
        d.total_bytes += f->content.n;
    }
    return d;
}

static const char *deploy(const struct plugin *p, const char *replaces, const struct content *c)
{
    static char ids[16][DEPLOYMENT_ID_ROOM];
    static unsigned next;
    char *id = ids[next++ % 16];
    struct fault fault = {0};
    int64_t at;
    struct declaration d = declare(c);
    OK(db_begin(db, &fault));
    OK(deployment_insert(db, p, "tok_1", replaces, &d, id, &at, &fault));
    OK(db_commit(db, &fault));
    declaration_fini(&d);
    return id;
}

static int64_t number(const char *sql, const char *parameter)
{
    struct fault fault = {0};
    DB_ROWS_AUTO rows = NULL;
    OK(db_query(db, &fault, &rows, sql, db_text(parameter)));
    return db_get_int(rows, 0, 0);
}

static int64_t kept(const char *project)
{
    return number(
        "select coalesce(sum(bytes), 0)::bigint from bundle_projects where project_id = $1",
        project);
}

// The slow way, for deployments without code.
static int64_t added_up(const char *project)
{
    return number(
        "select (coalesce((select sum((file_count + 1) * 1024) from bundle_deployments"
        " where project_id = $1), 0) + coalesce((select sum((size + 4095) / 4096 * 4096)"
        " from (select distinct f.sha256, f.size from bundle_files f"
        " join bundle_deployments d on d.id = f.deployment_id where d.project_id = $1) x),"
        " 0))::bigint",
        project);
}

static bool is_there(const char *id)
{
    return number("select count(*) from bundle_deployments where id = $1", id) == 1;
}

static void delete (const struct plugin *p, const char *id)
{
    struct fault fault = {0};
    OK(deployment_delete(db, p->id, id, &fault));
}

static struct instance activate(const struct plugin *p, const char *id)
{
    struct fault fault = {0};
    struct instance i;
    OK(db_begin(db, &fault));
    OK(catalog_instance_create(db, p->project_id, p, &i, &fault));
    OK(deployment_activate(db, p->id, id, &fault));
    OK(db_commit(db, &fault));
    return i;
}

static enum fail ask(const char *project, const struct content *c, uint64_t quota,
                     struct fault *fault)
{
    struct declaration d = declare(c);
    struct bundle_options limits = {.quota_bytes = quota, .plugins_per_project = 10};
    struct room_question q = {.project_id = project, .declaration = &d, .limits = &limits};
    enum fail f = room_ask(db, &q, fault);
    declaration_fini(&d);
    return f;
}

static enum fail may_write(const char *project, const struct content *c, uint64_t quota,
                           unsigned *ret_retry_after)
{
    struct fault fault = {0};
    struct declaration d = declare(c);
    struct bundle_options limits = {.quota_bytes = quota};
    struct room_question q = {.project_id = project, .declaration = &d, .limits = &limits};
    enum fail f = room_may_write(db, &q, ret_retry_after, &fault);
    declaration_fini(&d);
    return f;
}

static int begin(void **state)
{
    make_project("Mine", mine);
    make_project("Others'", others);
    return 0;
}

static void a_content_counts_once_a_project(void **state)
{
    struct plugin p = plugin(mine, "once"), q = plugin(mine, "twice"), r = plugin(others, "theirs");
    const struct content two = {.files = {"x", "y"}}, doubled = {.files = {"x", "x", "z"}};
    const char *a = deploy(&p, NULL, &two);
    assert_int_equal(kept(mine), 2 * BLOCK + 3 * ROW);
    const char *b = deploy(&q, NULL, &doubled);
    assert_int_equal(kept(mine), 3 * BLOCK + 7 * ROW);
    deploy(&r, NULL, &two);
    assert_int_equal(kept(others), 2 * BLOCK + 3 * ROW);
    delete (&p, a);
    assert_int_equal(kept(mine), 2 * BLOCK + 4 * ROW);
    assert_int_equal(kept(mine), added_up(mine));
    delete (&q, b);
    assert_int_equal(kept(mine), 0);
    assert_int_equal(number("select count(*) from bundle_blobs where project_id = $1", mine), 0);
    assert_int_equal(kept(others), 2 * BLOCK + 3 * ROW);
}

static void code_counts_and_stays_while_it_is_inherited(void **state)
{
    struct fault fault = {0};
    struct plugin p = plugin(mine, "coded");
    const char *a = deploy(&p, NULL, &(struct content){.code = "let x;", .files = {"x"}}), *b;
    assert_int_equal(kept(mine), 2 * BLOCK + 2 * ROW);
    struct declaration d = declare(&(struct content){.files = {"x"}});
    char id[DEPLOYMENT_ID_ROOM];
    int64_t at;
    d.inherits_code = true;
    d.inherited_code = digest_sha256(STR("let x;"));
    OK(deployment_insert(db, &p, "tok_1", a, &d, id, &at, &fault));
    declaration_fini(&d);
    b = id;
    delete (&p, a);
    assert_int_equal(kept(mine), 2 * BLOCK + 2 * ROW);
    delete (&p, b);
    assert_int_equal(kept(mine), 0);
}

static void what_goes_with_its_plugin_counts_no_more(void **state)
{
    struct fault fault = {0};
    struct plugin p = plugin(mine, "going"), q = plugin(mine, "staying");
    const char *last = NULL;
    for (int i = 0; i != 3; ++i)
        last =
            deploy(&p, NULL, &(struct content){.files = {"x", (const char *[]){"1", "2", "3"}[i]}});
    deploy(&q, NULL, &(struct content){.files = {"x", "3"}});
    activate(&p, last);
    OK(db_begin(db, &fault));
    OK(deployment_delete_all(db, p.id, &fault));
    OK(catalog_plugin_delete(db, mine, p.id, &fault));
    OK(db_commit(db, &fault));
    assert_int_equal(kept(mine), 2 * BLOCK + 3 * ROW);
    assert_int_equal(kept(mine), added_up(mine));
}

static void what_is_taken_back_counts_nothing(void **state)
{
    struct fault fault = {0};
    struct plugin p = plugin(mine, "back");
    char id[DEPLOYMENT_ID_ROOM];
    int64_t at;
    const char *a = deploy(&p, NULL, &(struct content){.files = {"x"}});
    int64_t before = kept(mine);
    struct declaration d = declare(&(struct content){.files = {"y"}});
    OK(db_begin(db, &fault));
    OK(deployment_delete(db, p.id, a, &fault));
    OK(deployment_insert(db, &p, "tok_1", NULL, &d, id, &at, &fault));
    db_rollback(db);
    declaration_fini(&d);
    assert_int_equal(kept(mine), before);
    assert_int_equal(kept(mine), added_up(mine));
}

static void room_is_for_what_is_new(void **state)
{
    struct fault fault = {0};
    struct plugin p = plugin(mine, "room");
    deploy(&p, NULL, &(struct content){.files = {"x", "y"}}); // 2 blocks, 3 rows
    const struct content same = {.files = {"x", "y"}}, more = {.files = {"x", "z", "z"}};
    const uint64_t used = 2 * BLOCK + 3 * ROW;
    OK(ask(mine, &same, used + 3 * ROW, &fault));
    assert_int_equal(ask(mine, &same, used + 3 * ROW - 1, &fault), FAIL_QUOTA);
    OK(ask(mine, &more, used + 4 * ROW + BLOCK, &fault));
    assert_int_equal(ask(mine, &more, used + 4 * ROW + BLOCK - 1, &fault), FAIL_QUOTA);
    assert_string_equal(fault.code, "quota_exceeded");
    assert_non_null(strstr(fault.public_text, "stoa deployments APP --rm ID"));
    OK(ask(mine, &more, 0, &fault));
    // another project has none of it
    assert_int_equal(ask(others, &same, 3 * ROW + 2 * BLOCK - 1, &fault), FAIL_QUOTA);
    OK(ask(others, &same, 3 * ROW + 2 * BLOCK, &fault));
    const struct content coded = {.code = "let x;", .files = {"x"}};
    OK(ask(mine, &coded, used + 2 * ROW + BLOCK, &fault));
    assert_int_equal(ask(mine, &coded, used + 2 * ROW + BLOCK - 1, &fault), FAIL_QUOTA);
}

// Twice the quota in an hour, of what is not there; another project's are its own.
static void what_is_written_is_bounded_whatever_goes(void **state)
{
    struct plugin p = plugin(others, "written");
    const struct content one = {.files = {"x"}};
    const uint64_t quota = BLOCK + 2 * ROW;
    unsigned retry = 0;
    assert_int_equal(may_write(mine, &one, quota, &retry), FAIL_NONE);
    assert_int_equal(may_write(mine, &one, quota, &retry), FAIL_NONE);
    assert_int_equal(may_write(mine, &one, quota, &retry), FAIL_TOO_MANY);
    assert_in_range(retry, 1700, 1800);
    assert_int_equal(may_write(others, &one, quota, &retry), FAIL_NONE);
    assert_int_equal(may_write(mine, &one, 0, &retry), FAIL_NONE);
    deploy(&p, NULL, &one);
    for (int i = 0; i != 3; ++i) // its row alone
        assert_int_equal(may_write(others, &one, quota, &retry), FAIL_NONE);
}

// One that another holds is waited for, as by deploys of two processes.
static void a_project_is_counted_by_one_at_a_time(void **state)
{
    struct fault fault = {0};
    plugin(mine, "locked");
    OK(db_begin(db, &fault));
    OK(deployment_lock_project(db, mine, &fault));
    OK(db_query(second, &fault, NULL, "set lock_timeout = '50ms'"));
    assert_int_not_equal(deployment_lock_project(second, mine, &fault), FAIL_NONE);
    OK(deployment_lock_project(second, others, &fault));
    db_rollback(db);
    OK(deployment_lock_project(second, mine, &fault));
}

static void the_oldest_go_but_for_the_live_and_the_replaced(void **state)
{
    struct fault fault = {0};
    struct plugin p = plugin(mine, "old"), beside = plugin(mine, "beside");
    const char *id[6], *other = deploy(&beside, NULL, &(struct content){.files = {"x"}});
    for (size_t i = 0; i != 6; ++i) {
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL); // their age is in milliseconds
        id[i] = deploy(&p, NULL, &(struct content){.files = {"x"}});
    }
    activate(&p, id[0]);
    OK(deployment_discard_old(db, p.id, 0, NULL, &fault));
    OK(deployment_discard_old(db, p.id, 7, NULL, &fault));
    assert_true(is_there(id[1]));
    OK(deployment_discard_old(db, p.id, 5, id[1], &fault)); // 6 and the new one: two go
    const bool left[] = {true, true, false, false, true, true};
    for (size_t i = 0; i != 6; ++i)
        assert_int_equal(is_there(id[i]), left[i]);
    OK(deployment_discard_old(db, p.id, 1, NULL, &fault));
    for (size_t i = 0; i != 6; ++i)
        assert_int_equal(is_there(id[i]), i == 0);
    assert_true(is_there(other));
    assert_int_equal(kept(mine), added_up(mine));
}

static void what_is_live_or_anothers_is_not_deleted(void **state)
{
    struct fault fault = {0};
    struct plugin p = plugin(mine, "live"), q = plugin(others, "live");
    const char *a = deploy(&p, NULL, &(struct content){.files = {"x"}});
    activate(&p, a);
    assert_int_not_equal(deployment_delete(db, p.id, a, &fault), FAIL_NONE);
    assert_int_equal(deployment_delete(db, q.id, a, &fault), FAIL_NOT_FOUND);
    assert_string_equal(fault.code, "deployment_not_found");
    assert_true(is_there(a));
}

// A database of the schema before the counts: what is there counts from then on.
static void those_from_before_are_counted(void **state)
{
    struct fault fault = {0};
    struct db *now = db;
    OK(db_open(postgres_new_database(), &db, &fault));
    assert_true(migrate_to(BUNDLES_BEFORE));
    begin(NULL);
    struct plugin p = plugin(mine, "before");
    OK(db_query(
        db, &fault, NULL,
        "insert into bundle_deployments (id, plugin_id, project_id, created_by,"
        " content_sha256, source_sha256, front, file_count, total_bytes)"
        " select 'd' || n, $1, $2, '', '', 'source', '{}', 2, 2 from generate_series(1, 3) n",
        db_text(p.id), db_text(mine)));
    OK(db_query(
        db, &fault, NULL,
        "insert into bundle_files (deployment_id, path, sha256, size, content_type, immutable)"
        " select id, path, sha256((path || case path when 'a' then id else '' end)::bytea), 5000,"
        " '', false from bundle_deployments, unnest('{a,b}'::text[]) path"));
    assert_true(migrate_to(BUNDLES_NOW));
    assert_int_equal(kept(mine), 3 * 3 * ROW + 4 * 2 * BLOCK);
    assert_int_equal(kept(mine), added_up(mine));
    delete (&p, "d2");
    assert_int_equal(kept(mine), 2 * 3 * ROW + 3 * 2 * BLOCK);
    db_close(db);
    db = now;
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_content_counts_once_a_project),
        TEST(code_counts_and_stays_while_it_is_inherited),
        TEST(what_goes_with_its_plugin_counts_no_more),
        TEST(what_is_taken_back_counts_nothing),
        TEST(room_is_for_what_is_new),
        TEST(what_is_written_is_bounded_whatever_goes),
        TEST(a_project_is_counted_by_one_at_a_time),
        TEST(the_oldest_go_but_for_the_live_and_the_replaced),
        TEST(what_is_live_or_anothers_is_not_deleted),
        TEST(those_from_before_are_counted),
    };
    struct fault fault = {0};
    const char *url = postgres_start();
    limits_init();
    if (db_open(url, &db, &fault) || db_open(url, &second, &fault) || !migrate_to(BUNDLES_NOW)) {
        fprintf(stderr, "%s %s\n", fault.public_text, fault.log_text);
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    db_close(db);
    db_close(second);
    postgres_stop();
    return failed;
}
