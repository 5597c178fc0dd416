// Secrets, config and settings through their endpoints, called as their runner calls them, against a
// real PostgreSQL; always with a second project beside the first.
#include "public-actions/owner_settings/internal.h"
#include "edge/auth/auth.h"
#include "edge/base/jsonx.h"
#include "edge/base/seal.h"
#include "edge/catalog/hooks.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "tests/harness/postgres.h"

#define MARKER "marker-5eCr3t-value"

static const char manifest[] =
    "{\"name\":\"rsvp\",\"manifest\":{"
    "\"developerSecrets\":{\"API_KEY\":{\"required\":true,\"description\":\"Key\"},\"OPTION\":{}},"
    "\"userSecrets\":{\"API_KEY\":{},\"TOKEN\":{\"required\":true}},"
    "\"userFields\":{\"limit\":{\"type\":\"number\",\"label\":\"L\",\"default\":5,\"max\":10},"
    "\"title\":{\"type\":\"text\",\"label\":\"T\",\"required\":true}}}}";
static const struct seal_key key_one = {{1}}, key_two = {{2}};

static struct db *db;
static struct principal mine, theirs;
static struct plugin plugin;
static struct instance instance;
static json_t *front;

static void ok(enum fail f, const struct fault *fault)
{
    if (f != FAIL_NONE)
        fail_msg("%d %s: %s | %s", (int)f, fault->code, fault->public_text, fault->log_text);
}
#define OK(call) ok((call), &fault)

// --- the ground ---

static enum fail find_deployed(struct db *own, str instance_id, str deployment_id, bool with_code,
                               struct deployed *ret, struct fault *fault)
{
    *ret = (struct deployed){.front = json_incref(front)};
    return FAIL_NONE;
}

static struct principal make_project(const char *name)
{
    struct fault fault = {0};
    struct principal p = {.scope = SCOPE_ADMIN, .token_id = "tok_1"};
    OK(db_begin(db, &fault));
    OK(catalog_project_create(db, str_from(name), p.project_id, p.owner_id, &fault));
    OK(db_commit(db, &fault));
    return p;
}

static struct plugin make_plugin(const char *slug)
{
    struct fault fault = {0};
    struct plugin p;
    bool is_new;
    OK(catalog_plugin_upsert(db, mine.project_id, str_from(slug), STR("RSVP"), STR("1.0.0"),
                             STR("tool"), &p, &is_new, &fault));
    return p;
}

static struct instance make_instance(const struct plugin *p)
{
    struct fault fault = {0};
    struct instance i;
    OK(db_begin(db, &fault));
    OK(catalog_instance_create(db, mine.project_id, p, &i, &fault));
    OK(db_commit(db, &fault));
    return i;
}

static void prepare(void)
{
    static const struct catalog_hooks hooks = {.on_find_deployed = find_deployed};
    catalog_hooks_add(&hooks);
    owner_settings_init(&(struct owner_settings_options){.apps_origin = "http://127.0.0.1:8080"});
    front = json_loads(manifest, 0, NULL);
    mine = make_project("Mine");
    theirs = make_project("Theirs");
}

// Everything anew for each test.
static int begin(void **state)
{
    static int count;
    char slug[24];
    snprintf(slug, sizeof slug, "rsvp-%d", ++count);
    seal_init(&key_one, 1);
    plugin = make_plugin(slug);
    instance = make_instance(&plugin);
    return 0;
}

static int end(void **state)
{
    seal_fini();
    return 0;
}

// --- calls ---

struct result {
    enum fail fail;
    struct fault fault;
    struct answer answer;
};

static void result_fini(struct result *r)
{
    json_decref(r->answer.json);
    json_decref(r->answer.details);
}
#define RESULT __attribute__((cleanup(result_fini))) struct result

static const struct endpoint *endpoint(const char *id)
{
    const struct service *s = owner_settings_service();
    for (size_t i = 0; i != s->endpoint_count; ++i)
        if (strcmp(s->endpoints[i].id, id) == 0)
            return &s->endpoints[i];
    fail_msg("no endpoint %s", id);
    return NULL;
}

// Takes `body`.
static struct result call_as(const struct principal *p, const char *id, const char *first,
                             const char *second, json_t *body)
{
    struct result r = {.fail = FAIL_NONE};
    AUTOFREE char *text = body != NULL ? jsonx_dump(body, NULL) : NULL;
    struct call call = {.endpoint = endpoint(id),
                        .db = db,
                        .principal = p,
                        .params = {str_from(first), str_from(second)},
                        .body = str_from(text),
                        .json = body,
                        .request_id = "0123456789abcdef01234567",
                        .peer = STR("192.0.2.1")};
    r.fail = call.endpoint->run(&call, &r.answer, &r.fault);
    db_rollback(db);
    json_decref(body);
    return r;
}
#define CALL(...) call_as(&mine, __VA_ARGS__)

static json_t *value(const char *text)
{
    return json_pack("{s:s}", "value", text);
}

static void expect_code(const struct result *r, enum fail fail, const char *code)
{
    assert_int_equal(r->fail, fail);
    assert_string_equal(r->fault.code, code);
}

static void set(const char *id, const char *holder, const char *name, const char *text)
{
    RESULT r = CALL(id, holder, name, value(text));
    ok(r.fail, &r.fault);
}

static void expect_secrets(const char *want)
{
    struct fault fault = {0};
    json_auto_t *secrets = NULL, *w = json_loads(want, 0, NULL);
    OK(owner_secrets_load(db, &instance, front, STR(""), &secrets, &fault));
    assert_true(json_equal(secrets, w));
}

static void run(const char *sql)
{
    struct fault fault = {0};
    OK(db_script(db, &fault, sql));
}

// --- secrets ---

static void what_is_set_reaches_a_run_and_no_answer(void **state)
{
    RESULT r = CALL("setPluginSecret", plugin.id, "API_KEY", value(MARKER));
    ok(r.fail, &r.fault);
    AUTOFREE char *text = jsonx_dump(r.answer.json, NULL);
    assert_null(strstr(text, MARKER));
    assert_true(json_is_true(json_object_get(r.answer.json, "set")));
    RESULT one = CALL("getPluginSecret", plugin.slug, "API_KEY", NULL);
    RESULT list = CALL("listPluginSecrets", plugin.slug, NULL, NULL);
    AUTOFREE char *one_text = jsonx_dump(one.answer.json, NULL);
    AUTOFREE char *list_text = jsonx_dump(list.answer.json, NULL);
    assert_null(strstr(one_text, MARKER));
    assert_null(strstr(list_text, MARKER));
    assert_non_null(strstr(list_text, "OPTION")); // declared, not set
    expect_secrets("{\"API_KEY\":\"" MARKER "\"}");
}

static void an_instances_secret_stands_over_the_plugins(void **state)
{
    struct instance other = make_instance(&plugin);
    set("setPluginSecret", plugin.id, "API_KEY", "the plugin's");
    set("setPluginSecret", plugin.id, "OPTION", "option");
    set("setInstanceSecret", instance.slug, "API_KEY", "the instance's");
    expect_secrets("{\"API_KEY\":\"the instance's\",\"OPTION\":\"option\"}");
    instance = other;
    expect_secrets("{\"API_KEY\":\"the plugin's\",\"OPTION\":\"option\"}");
}

static void setting_again_replaces(void **state)
{
    set("setPluginSecret", plugin.id, "API_KEY", "first");
    set("setPluginSecret", plugin.id, "API_KEY", "second");
    expect_secrets("{\"API_KEY\":\"second\"}");
}

static void deleted_is_gone(void **state)
{
    set("setPluginSecret", plugin.id, "API_KEY", "x");
    set("setInstanceSecret", instance.id, "TOKEN", "y");
    RESULT a = CALL("deletePluginSecret", plugin.id, "API_KEY", NULL);
    RESULT b = CALL("deleteInstanceSecret", instance.id, "TOKEN", NULL);
    ok(a.fail, &a.fault);
    ok(b.fail, &b.fault);
    assert_true(json_is_false(json_object_get(a.answer.json, "set")));
    expect_secrets("{}");
    RESULT again = CALL("deletePluginSecret", plugin.id, "API_KEY", NULL);
    expect_code(&again, FAIL_NOT_FOUND, "secret_not_found");
    RESULT gone = CALL("getPluginSecret", plugin.id, "API_KEY", NULL);
    expect_code(&gone, FAIL_NOT_FOUND, "secret_not_found");
}

static void only_declared_names_are_taken(void **state)
{
    RESULT r = CALL("setPluginSecret", plugin.id, "TOKEN", value("x")); // the instance's
    expect_code(&r, FAIL_REFUSED, "unknown_secret");
    assert_non_null(strstr(r.fault.public_text, "API_KEY and OPTION"));
    assert_int_equal(json_array_size(json_object_get(r.answer.details, "declared")), 2);
    RESULT lower = CALL("setPluginSecret", plugin.id, "api_key", value("x"));
    expect_code(&lower, FAIL_REFUSED, "unknown_secret");
    RESULT other = CALL("setInstanceSecret", instance.id, "OPTION", value("x"));
    expect_code(&other, FAIL_REFUSED, "unknown_secret");
}

// A later deploy may no longer declare it.
static void undeclared_secrets_reach_no_run(void **state)
{
    struct fault fault = {0};
    json_auto_t *secrets = NULL, *bare = json_loads("{\"manifest\":{}}", 0, NULL);
    set("setPluginSecret", plugin.id, "API_KEY", "x");
    OK(owner_secrets_load(db, &instance, bare, STR(""), &secrets, &fault));
    assert_int_equal(json_object_size(secrets), 0);
}

static void values_have_a_length(void **state)
{
    AUTOFREE char *text = malloc(SECRET_BYTES_MAX + 2);
    memset(text, 'x', SECRET_BYTES_MAX + 1);
    text[SECRET_BYTES_MAX + 1] = '\0';
    RESULT empty = CALL("setPluginSecret", plugin.id, "API_KEY", value(""));
    expect_code(&empty, FAIL_REFUSED, "invalid_request");
    RESULT large = CALL("setPluginSecret", plugin.id, "API_KEY", value(text));
    expect_code(&large, FAIL_REFUSED, "invalid_request");
    text[SECRET_BYTES_MAX] = '\0';
    set("setPluginSecret", plugin.id, "API_KEY", text);
    struct fault fault = {0};
    json_t *secrets = NULL;
    OK(owner_secrets_load(db, &instance, front, STR(""), &secrets, &fault));
    assert_string_equal(json_string_value(json_object_get(secrets, "API_KEY")), text);
    owner_forget(secrets);
}

static void there_is_an_end_to_secrets(void **state)
{
    char sql[300];
    snprintf(sql, sizeof sql,
             "insert into plugin_secrets (plugin_id, name, value)"
             " select '%s', 'N' || n, 'x' from generate_series(1, 100) n",
             plugin.id);
    run(sql);
    RESULT r = CALL("setPluginSecret", plugin.id, "API_KEY", value("x"));
    expect_code(&r, FAIL_REFUSED, "too_many_secrets");
    snprintf(sql, sizeof sql,
             "update plugin_secrets set name = 'API_KEY' where plugin_id = '%s' and name = 'N7'",
             plugin.id);
    run(sql);
    set("setPluginSecret", plugin.id, "API_KEY", "x"); // one that is there may be set again
}

// Every run is given all of them.
static void there_is_an_end_to_what_secrets_take_together(void **state)
{
    char sql[300];
    snprintf(sql, sizeof sql,
             "insert into plugin_secrets (plugin_id, name, value) select '%s', 'N' || n,"
             " convert_to(repeat('x', 65000), 'UTF8') from generate_series(1, 4) n",
             plugin.id);
    run(sql);
    AUTOFREE char *text = calloc(1, 3001);
    memset(text, 's', 3000);
    RESULT r = CALL("setPluginSecret", plugin.id, "API_KEY", value(text));
    expect_code(&r, FAIL_REFUSED, "secrets_too_large");
    text[2000] = '\0';
    set("setPluginSecret", plugin.id, "API_KEY", text);
    set("setPluginSecret", plugin.id, "API_KEY", text); // in its own place
}

static void another_projects_are_not_found(void **state)
{
    static const char *const plugins[] = {"listPluginSecrets", "getPluginSecret", "setPluginSecret",
                                          "deletePluginSecret"};
    static const char *const instances[] = {
        "listInstanceSecrets", "getInstanceSecret", "setInstanceSecret", "deleteInstanceSecret",
        "getInstanceConfig",   "setInstanceConfig", "updateInstance"};
    set("setPluginSecret", plugin.id, "API_KEY", "x");
    set("setInstanceSecret", instance.id, "API_KEY", "x");
    for (size_t i = 0; i != sizeof plugins / sizeof plugins[0]; ++i) {
        RESULT r = call_as(&theirs, plugins[i], plugin.id, "API_KEY", value("theirs"));
        expect_code(&r, FAIL_NOT_FOUND, "plugin_not_found");
    }
    for (size_t i = 0; i != sizeof instances / sizeof instances[0]; ++i) {
        RESULT r = call_as(&theirs, instances[i], instance.id, "API_KEY", value("theirs"));
        expect_code(&r, FAIL_NOT_FOUND, "instance_not_found");
    }
    expect_secrets("{\"API_KEY\":\"x\"}");
}

// --- what lies in the database ---

// `a` is the row of that name, `b` another secret of the plugin.
static void expect_broken(const char *name, const char *expression, const char *code)
{
    char sql[500];
    struct fault fault = {0};
    json_t *secrets = NULL;
    set("setPluginSecret", plugin.id, "API_KEY", "the plugin's");
    set("setPluginSecret", plugin.id, "OPTION", "the option");
    snprintf(sql, sizeof sql,
             "update plugin_secrets a set value = %s from plugin_secrets b where a.plugin_id = '%s'"
             " and b.plugin_id = a.plugin_id and a.name = '%s' and b.name <> a.name",
             expression, plugin.id, name);
    run(sql);
    assert_int_equal(owner_secrets_load(db, &instance, front, STR(""), &secrets, &fault),
                     FAIL_INTERNAL);
    assert_string_equal(fault.code, code);
    assert_null(secrets);
    assert_null(strstr(fault.log_text, "the option"));
}

static void a_changed_byte_is_seen(void **state)
{
    expect_broken("OPTION", "set_byte(a.value, 30, get_byte(a.value, 30) # 1)", "seal_broken");
}

static void a_value_moved_to_another_name_is_seen(void **state)
{
    expect_broken("API_KEY", "b.value", "seal_broken");
}

static void a_value_moved_to_another_holder_is_seen(void **state)
{
    char sql[400];
    struct fault fault = {0};
    json_t *secrets = NULL;
    set("setInstanceSecret", instance.id, "TOKEN", "of the first");
    struct instance other = make_instance(&plugin);
    snprintf(sql, sizeof sql,
             "update instance_secrets set instance_id = '%s' where instance_id = '%s'", other.id,
             instance.id);
    run(sql);
    assert_int_equal(owner_secrets_load(db, &other, front, STR(""), &secrets, &fault),
                     FAIL_INTERNAL);
    assert_string_equal(fault.code, "seal_broken");
}

static void another_master_key_opens_nothing(void **state)
{
    struct fault fault = {0};
    json_t *secrets = NULL;
    set("setPluginSecret", plugin.id, "API_KEY", "x");
    seal_init(&key_two, 1);
    assert_int_equal(owner_secrets_load(db, &instance, front, STR(""), &secrets, &fault),
                     FAIL_INTERNAL);
    assert_string_equal(fault.code, "seal_key_missing");
}

static int64_t number(const char *sql)
{
    struct fault fault = {0};
    DB_ROWS_AUTO rows = NULL;
    OK(db_query(db, &fault, &rows, sql));
    return db_get_int(rows, 0, 0);
}

static void a_rotated_key_takes_over(void **state)
{
    struct fault fault = {0};
    run("delete from plugin_secrets; delete from instance_secrets");
    set("setPluginSecret", plugin.id, "API_KEY", "under the first");
    set("setInstanceSecret", instance.id, "TOKEN", "too");
    seal_init((struct seal_key[]){key_two, key_one}, 2);
    set("setPluginSecret", plugin.id, "OPTION", "under the second");
    expect_secrets("{\"API_KEY\":\"under the first\",\"OPTION\":\"under the second\","
                   "\"TOKEN\":\"too\"}");
    OK(owner_settings_reseal(db, &fault));
    seal_init(&key_two, 1); // the old one is no longer needed
    expect_secrets("{\"API_KEY\":\"under the first\",\"OPTION\":\"under the second\","
                   "\"TOKEN\":\"too\"}");
}

// More than one batch, some that cannot be opened among them.
static void a_broken_row_holds_up_no_others(void **state)
{
    char sql[400];
    struct fault fault = {0};
    run("delete from plugin_secrets; delete from instance_secrets");
    for (int i = 0; i != 3; ++i) {
        struct instance more = make_instance(&plugin);
        set("setInstanceSecret", more.id, "TOKEN", "x");
    }
    snprintf(sql, sizeof sql,
             "insert into plugin_secrets (plugin_id, name, value) select '%s', 'N' || n,"
             " decode(repeat('01', 60), 'hex') from generate_series(1, 250) n",
             plugin.id);
    run(sql);
    set("setInstanceSecret", instance.id, "TOKEN", "x");
    seal_init((struct seal_key[]){key_two, key_one}, 2);
    OK(owner_settings_reseal(db, &fault));
    seal_init(&key_two, 1);
    expect_secrets("{\"TOKEN\":\"x\"}");
    assert_int_equal(number("select count(*) from instance_secrets"), 4);
    run("delete from plugin_secrets; delete from instance_secrets");
}

static void no_table_holds_a_value_in_the_clear(void **state)
{
    DB_ROWS_AUTO rows = NULL;
    struct fault fault = {0};
    set("setPluginSecret", plugin.id, "API_KEY", MARKER);
    set("setInstanceSecret", instance.id, "TOKEN", MARKER);
    OK(db_query(
        db, &fault, &rows,
        "select count(*) from plugin_secrets where position($1::bytea in value) <> 0"
        " union all select count(*) from instance_secrets where position($1::bytea in value)"
        " <> 0 union all select count(*) from audit_events where facts::text like $2",
        db_bytes(STR(MARKER)), db_text("%" MARKER "%")));
    for (size_t i = 0; i != 3; ++i)
        assert_int_equal(db_get_int(rows, i, 0), 0);
}

static void each_change_is_in_the_trail(void **state)
{
    int64_t before = number("select count(*) from audit_events");
    set("setPluginSecret", plugin.id, "API_KEY", "x");
    RESULT gone = CALL("deletePluginSecret", plugin.id, "API_KEY", NULL);
    RESULT config =
        CALL("setInstanceConfig", instance.id, NULL, json_pack("{s:{s:i}}", "values", "limit", 7));
    RESULT settings =
        CALL("updateInstance", instance.id, NULL, json_pack("{s:[]}", "allowedOrigins"));
    ok(gone.fail, &gone.fault);
    ok(config.fail, &config.fault);
    ok(settings.fail, &settings.fault);
    assert_int_equal(number("select count(*) from audit_events"), before + 4);
    assert_int_equal(
        number("select count(*) from (select action from audit_events order by at desc,"
               " seq desc limit 4) a where action in ('secret.set', 'secret.delete',"
               " 'config.set', 'instance.settings')"),
        4);
}

// --- config ---

static void config_is_checked_kept_and_given_to_runs(void **state)
{
    struct fault fault = {0};
    json_t *config = NULL;
    RESULT before = CALL("getInstanceConfig", instance.id, NULL, NULL);
    ok(before.fail, &before.fault);
    assert_int_equal(json_array_size(json_object_get(before.answer.json, "missing")), 1);
    RESULT bad = CALL("setInstanceConfig", instance.id, NULL,
                      json_pack("{s:{s:i, s:i}}", "values", "limit", 11, "title", 5));
    expect_code(&bad, FAIL_REFUSED, "invalid_config");
    assert_int_equal(json_object_size(json_object_get(bad.answer.details, "fields")), 2);
    RESULT good = CALL("setInstanceConfig", instance.id, NULL,
                       json_pack("{s:{s:n, s:s}}", "values", "limit", "title", "Party"));
    ok(good.fail, &good.fault);
    assert_int_equal(json_object_size(json_object_get(good.answer.json, "set")), 1);
    OK(owner_config_load(db, &instance, front, STR(""), &config, &fault));
    assert_int_equal(json_integer_value(json_object_get(config, "limit")), 5);
    assert_string_equal(json_string_value(json_object_get(config, "title")), "Party");
    json_decref(config);
}

// --- settings ---

static void settings_are_merged_and_loaded(void **state)
{
    struct fault fault = {0};
    struct instance_settings s;
    RESULT first = CALL("updateInstance", instance.id, NULL,
                        json_pack("{s:[s], s:{s:{s:i}}}", "allowedOrigins", "https://a.example",
                                  "rateLimits", "visitor", "perMinute", 10));
    ok(first.fail, &first.fault);
    RESULT second =
        CALL("updateInstance", instance.id, NULL,
             json_pack("{s:{s:{s:{s:i}}}}", "rateLimits", "actions", "send", "perMinute", 3));
    ok(second.fail, &second.fault);
    json_t *settings = json_object_get(second.answer.json, "settings");
    assert_int_equal(json_array_size(json_object_get(settings, "allowedOrigins")), 1);
    OK(instance_settings_load(db, instance.id, &s, &fault));
    assert_int_equal(s.visitor.per_minute, 10);
    assert_int_equal(s.action_count, 1);
    assert_int_equal(s.origin_count, 1);
    instance_settings_fini(&s);
    RESULT bad = CALL("updateInstance", instance.id, NULL,
                      json_pack("{s:[s], s:n}", "allowedOrigins", "null", "rateLimits"));
    expect_code(&bad, FAIL_REFUSED, "invalid_settings");
    RESULT back = CALL("updateInstance", instance.id, NULL,
                       json_pack("{s:n, s:n}", "allowedOrigins", "rateLimits"));
    ok(back.fail, &back.fault);
    OK(instance_settings_load(db, instance.id, &s, &fault));
    assert_int_equal(s.visitor.per_minute + s.action_count + s.origin_count, 0);
    instance_settings_fini(&s);
}

// --- deploys ---

static void required_ones_unset_are_warned_of(void **state)
{
    struct problems warnings;
    problems_init(&warnings);
    owner_settings_warn(db, plugin.id, &instance, front, &warnings);
    assert_int_equal(warnings.count, 3); // API_KEY, TOKEN, title
    assert_non_null(strstr(warnings.list[0].message, "stoa secrets rsvp set API_KEY"));
    problems_fini(&warnings);
    set("setPluginSecret", plugin.id, "API_KEY", "x");
    set("setInstanceSecret", instance.id, "TOKEN", "x");
    RESULT r = CALL("setInstanceConfig", instance.id, NULL,
                    json_pack("{s:{s:s}}", "values", "title", "x"));
    ok(r.fail, &r.fault);
    problems_init(&warnings);
    owner_settings_warn(db, plugin.id, &instance, front, &warnings);
    assert_int_equal(warnings.count, 0);
    owner_settings_warn(db, plugin.id, NULL, front, &warnings);
    assert_int_equal(warnings.count, 0);
    problems_fini(&warnings);
}

static void a_deleted_plugin_takes_its_secrets(void **state)
{
    struct fault fault = {0};
    run("delete from plugin_secrets; delete from instance_secrets");
    set("setPluginSecret", plugin.id, "API_KEY", "x");
    set("setInstanceSecret", instance.id, "TOKEN", "x");
    OK(db_begin(db, &fault));
    OK(catalog_plugin_delete(db, mine.project_id, plugin.id, &fault));
    OK(db_commit(db, &fault));
    assert_int_equal(number("select (select count(*) from plugin_secrets) + (select count(*) from"
                            " instance_secrets)"),
                     0);
}

static bool migrate_all(void)
{
    struct fault fault = {0};
    if (migrate(db, catalog_migrations, catalog_migration_count, &fault) == FAIL_NONE) {
        struct migration all[16];
        size_t n = 0;
        for (size_t i = 0; i != catalog_migration_count; ++i)
            all[n++] = catalog_migrations[i];
        for (size_t i = 0; i != owner_settings_migration_count; ++i)
            all[n++] = owner_settings_migrations[i];
        if (migrate(db, all, n, &fault) == FAIL_NONE)
            return true;
    }
    fprintf(stderr, "%s %s\n", fault.public_text, fault.log_text);
    return false;
}

int main(void)
{
    db_configure(postgres_start());
    db = db_of_thread();
    if (!migrate_all())
        return 1;
    prepare();
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(what_is_set_reaches_a_run_and_no_answer),
        TEST(an_instances_secret_stands_over_the_plugins),
        TEST(setting_again_replaces),
        TEST(deleted_is_gone),
        TEST(only_declared_names_are_taken),
        TEST(undeclared_secrets_reach_no_run),
        TEST(values_have_a_length),
        TEST(there_is_an_end_to_secrets),
        TEST(there_is_an_end_to_what_secrets_take_together),
        TEST(another_projects_are_not_found),
        TEST(a_changed_byte_is_seen),
        TEST(a_value_moved_to_another_name_is_seen),
        TEST(a_value_moved_to_another_holder_is_seen),
        TEST(another_master_key_opens_nothing),
        TEST(a_rotated_key_takes_over),
        TEST(a_broken_row_holds_up_no_others),
        TEST(no_table_holds_a_value_in_the_clear),
        TEST(each_change_is_in_the_trail),
        TEST(config_is_checked_kept_and_given_to_runs),
        TEST(settings_are_merged_and_loaded),
        TEST(required_ones_unset_are_warned_of),
        TEST(a_deleted_plugin_takes_its_secrets),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    json_decref(front);
    postgres_stop();
    return failed;
}
