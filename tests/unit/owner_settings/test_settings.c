// An instance's settings: allowed origins, rate limits, retention.
#include "public-actions/owner_settings/internal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static json_t *parse(const char *text)
{
    char *copy = strdup(text);
    for (char *c = copy; *c != '\0'; ++c)
        *c = *c == '\'' ? '"' : *c;
    json_t *v = json_loads(copy, 0, NULL);
    free(copy);
    assert_non_null(v);
    return v;
}

static struct instance_settings read_all(const char *text, json_t *wrong)
{
    struct instance_settings s;
    json_auto_t *settings = parse(text);
    owner_settings_read(settings, &s, wrong);
    return s;
}

static void expect_wrong(const char *text, const char *where)
{
    json_auto_t *wrong = json_object();
    struct instance_settings s = read_all(text, wrong);
    instance_settings_fini(&s);
    if (json_object_get(wrong, where) == NULL || json_object_size(wrong) != 1) {
        char *got = json_dumps(wrong, 0);
        fail_msg("%s: wanted %s, got %s", text, where, got);
    }
    s = read_all(text, NULL); // a stored row that is wrong is no reason to fail
    instance_settings_fini(&s);
}

static void nothing_set_is_the_defaults(void **state)
{
    struct instance_settings s = read_all("{}", NULL);
    assert_int_equal(s.origin_count, 0);
    assert_int_equal(s.visitor.per_minute, 0);
    assert_int_equal(s.keep_run_days, 0);
    json_auto_t *json = owner_settings_json(&s);
    json_auto_t *want = parse("{'allowedOrigins':[],'rateLimits':{'visitorAction':null,"
                              "'visitor':null,'instance':null,'actions':{}},"
                              "'uploads':{'filesPerHour':null,'bytesPerHour':null,"
                              "'stripImageMetadata':false},"
                              "'retention':{'runDays':null,'uploadDays':null},'connection':null}");
    assert_true(json_equal(json, want));
    instance_settings_fini(&s);
}

static void what_is_written_is_read_again(void **state)
{
    static const char text[] =
        "{'allowedOrigins':['https://a.example','http://localhost:3000'],'rateLimits':{"
        "'visitorAction':{'perMinute':5,'burst':2},'visitor':null,'instance':{'perMinute':600000,"
        "'burst':100000},'actions':{'send_rsvp':{'perMinute':1,'burst':1},'load':{'perMinute':90,"
        "'burst':45}}},'uploads':{'filesPerHour':5,'bytesPerHour':1073741824,"
        "'stripImageMetadata':true},'retention':{'runDays':30,'uploadDays':7},'connection':'sheets'"
        "}";
    json_auto_t *wrong = json_object(), *want = parse(text);
    struct instance_settings s = read_all(text, wrong);
    assert_int_equal(json_object_size(wrong), 0);
    json_auto_t *json = owner_settings_json(&s);
    assert_true(json_equal(json, want));
    assert_int_equal(s.uploads_per_hour, 5);
    assert_int_equal(s.upload_bytes_per_hour, 1 << 30);
    assert_int_equal(s.keep_upload_days, 7);
    assert_true(s.strips_images);
    assert_int_equal(s.action_count, 2);
    assert_true(str_eq(s.actions[0].action, STR("send_rsvp")));
    assert_int_equal(s.actions[0].rate.per_minute, 1);
    assert_true(str_eq(s.origins[1], STR("http://localhost:3000")));
    instance_settings_fini(&s);
    assert_null(s._arena);
}

// As browsers send them, and once each.
static void origins_are_spelled_one_way(void **state)
{
    json_auto_t *wrong = json_object();
    struct instance_settings s =
        read_all("{'allowedOrigins':['HTTPS://WWW.Example.COM:443','https://www.example.com/',"
                 "'http://a.example:80','https://a.example:8443','http://[::1]:9']}",
                 wrong);
    assert_int_equal(json_object_size(wrong), 0);
    assert_int_equal(s.origin_count, 4);
    assert_true(str_eq(s.origins[0], STR("https://www.example.com")));
    assert_true(str_eq(s.origins[1], STR("http://a.example")));
    assert_true(str_eq(s.origins[2], STR("https://a.example:8443")));
    assert_true(str_eq(s.origins[3], STR("http://[::1]:9")));
    instance_settings_fini(&s);
}

// A name of more bytes than are told, cut within a character.
static void a_long_name_is_no_setting_either(void **state)
{
    for (int n = 97; n != 102; ++n) {
        json_auto_t *wrong = json_object();
        char text[200];
        snprintf(text, sizeof text, "{\"%.*s\u00e4\u00e4\u00e4\":1}", n,
                 "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
                 "nnnnnnn"
                 "nnnnnnnnnnnnnnnnnnnn");
        struct instance_settings s = read_all(text, wrong);
        instance_settings_fini(&s);
        assert_int_equal(json_object_size(wrong), 1);
    }
}

static void what_is_no_origin_is_refused(void **state)
{
    static const char *const bad[] = {"null",
                                      "*",
                                      "",
                                      "https://*.example.com",
                                      "a.example",
                                      "https://",
                                      "https://a.example/path",
                                      "https://a.example?x",
                                      "https://a.example#x",
                                      "https://u@a.example",
                                      "ftp://a.example",
                                      "file:///etc/passwd",
                                      "javascript:alert(1)",
                                      "https://bücher.example",
                                      "https://a.example b",
                                      "https://a.example:99999",
                                      " https://a.example",
                                      "data:text/html,x",
                                      "//a.example",
                                      "https:a.example",
                                      "moz-extension://x"};
    for (size_t i = 0; i != sizeof bad / sizeof bad[0]; ++i) {
        char text[200];
        snprintf(text, sizeof text, "{'allowedOrigins':['%s']}", bad[i]);
        expect_wrong(text, "allowedOrigins[0]");
    }
    expect_wrong("{'allowedOrigins':['https://a.example',null]}", "allowedOrigins[1]");
    expect_wrong("{'allowedOrigins':'https://a.example'}", "allowedOrigins");
}

static void at_most_twenty_origins(void **state)
{
    struct instance_settings s;
    json_auto_t *settings = json_object(), *list = json_array(), *wrong = json_object();
    for (int i = 0; i != OWNER_ORIGINS_MAX; ++i)
        json_array_append_new(list, json_sprintf("https://o%d.example", i));
    json_object_set(settings, "allowedOrigins", list);
    owner_settings_read(settings, &s, wrong);
    assert_int_equal(s.origin_count, OWNER_ORIGINS_MAX);
    assert_int_equal(json_object_size(wrong), 0);
    instance_settings_fini(&s);
    json_array_append_new(list, json_string("https://one.more.example"));
    owner_settings_read(settings, &s, wrong);
    assert_int_equal(s.origin_count, 0);
    assert_int_equal(json_object_size(wrong), 1);
    instance_settings_fini(&s);
}

static void rates_have_bounds(void **state)
{
    expect_wrong("{'rateLimits':{'visitor':{'perMinute':0}}}", "rateLimits.visitor.perMinute");
    expect_wrong("{'rateLimits':{'visitor':{'perMinute':-1}}}", "rateLimits.visitor.perMinute");
    expect_wrong("{'rateLimits':{'visitor':{'perMinute':1.5}}}", "rateLimits.visitor.perMinute");
    expect_wrong("{'rateLimits':{'visitor':{'perMinute':10000001}}}",
                 "rateLimits.visitor.perMinute");
    expect_wrong("{'rateLimits':{'visitor':{'burst':5}}}", "rateLimits.visitor.perMinute");
    expect_wrong("{'rateLimits':{'visitor':{'perMinute':5,'burst':1000001}}}",
                 "rateLimits.visitor.burst");
    expect_wrong("{'rateLimits':{'visitor':{'perMinute':5,'bursts':1}}}",
                 "rateLimits.visitor.bursts");
    expect_wrong("{'rateLimits':{'visitor':5}}", "rateLimits.visitor");
    expect_wrong("{'rateLimits':{'visitors':{'perMinute':5}}}", "rateLimits.visitors");
    expect_wrong("{'rateLimits':{'actions':{'a b':{'perMinute':5}}}}", "rateLimits.actions.a b");
    expect_wrong("{'rateLimits':{'actions':{'upload':{'perMinute':5}}}}",
                 "rateLimits.actions.upload");
    expect_wrong("{'rateLimits':[]}", "rateLimits");
    expect_wrong("{'retention':{'runDays':0}}", "retention.runDays");
    expect_wrong("{'retention':{'runDays':366}}", "retention.runDays");
    expect_wrong("{'retention':{'uploadDays':36501}}", "retention.uploadDays");
    expect_wrong("{'other':1}", "other");
}

static void uploads_have_bounds(void **state)
{
    expect_wrong("{'uploads':{'filesPerHour':0}}", "uploads.filesPerHour");
    expect_wrong("{'uploads':{'filesPerHour':1000001}}", "uploads.filesPerHour");
    expect_wrong("{'uploads':{'bytesPerHour':1048575}}", "uploads.bytesPerHour");
    expect_wrong("{'uploads':{'bytesPerHour':1099511627777}}", "uploads.bytesPerHour");
    expect_wrong("{'uploads':{'bytesPerHour':'100MiB'}}", "uploads.bytesPerHour");
    expect_wrong("{'uploads':{'stripImageMetadata':1}}", "uploads.stripImageMetadata");
    expect_wrong("{'uploads':{'perHour':1}}", "uploads.perHour");
    expect_wrong("{'uploads':true}", "uploads");
}

static void a_burst_left_out_is_half_a_minutes_worth(void **state)
{
    struct instance_settings s =
        read_all("{'rateLimits':{'visitorAction':{'perMinute':60},'visitor':{'perMinute':1},"
                 "'instance':{'perMinute':10000000}}}",
                 NULL);
    assert_int_equal(s.visitor_action.burst, 30);
    assert_int_equal(s.visitor.burst, 1);
    assert_int_equal(s.instance.burst, BURST_MAX);
    instance_settings_fini(&s);
}

static void at_most_so_many_actions(void **state)
{
    struct instance_settings s;
    json_auto_t *settings = json_object(), *actions = json_object(), *wrong = json_object();
    for (int i = 0; i != OWNER_ACTION_LIMITS_MAX + 1; ++i) {
        char name[16];
        snprintf(name, sizeof name, "action%d", i);
        json_object_set_new(actions, name, json_pack("{s:i}", "perMinute", 5));
    }
    json_object_set_new(settings, "rateLimits", json_pack("{s:O}", "actions", actions));
    owner_settings_read(settings, &s, wrong);
    assert_int_equal(s.action_count, 0);
    assert_int_equal(json_object_size(wrong), 1);
    instance_settings_fini(&s);
    json_object_del(actions, "action0");
    owner_settings_read(settings, &s, NULL);
    assert_int_equal(s.action_count, OWNER_ACTION_LIMITS_MAX);
    instance_settings_fini(&s);
}

// RFC 7396, appendix A, as far as it is about objects.
static void a_patch_is_merged(void **state)
{
    static const char *const cases[][3] = {
        {"{'a':'b'}", "{'a':'c'}", "{'a':'c'}"},
        {"{'a':'b'}", "{'b':'c'}", "{'a':'b','b':'c'}"},
        {"{'a':'b'}", "{'a':null}", "{}"},
        {"{'a':'b','b':'c'}", "{'a':null}", "{'b':'c'}"},
        {"{'a':['b']}", "{'a':'c'}", "{'a':'c'}"},
        {"{'a':'c'}", "{'a':['b']}", "{'a':['b']}"},
        {"{'a':{'b':'c'}}", "{'a':{'b':'d','c':null}}", "{'a':{'b':'d'}}"},
        {"{'a':[{'b':'c'}]}", "{'a':[1]}", "{'a':[1]}"},
        {"{'e':null}", "{'a':1}", "{'e':null,'a':1}"},
        {"{}", "{'a':{'bb':{'ccc':null}}}", "{'a':{'bb':{}}}"},
    };
    for (size_t i = 0; i != sizeof cases / sizeof cases[0]; ++i) {
        json_auto_t *object = parse(cases[i][0]), *change = parse(cases[i][1]),
                    *want = parse(cases[i][2]);
        owner_merge(object, change);
        assert_true(json_equal(object, want));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_set_is_the_defaults),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(origins_are_spelled_one_way),
        cmocka_unit_test(what_is_no_origin_is_refused),
        cmocka_unit_test(a_long_name_is_no_setting_either),
        cmocka_unit_test(at_most_twenty_origins),
        cmocka_unit_test(rates_have_bounds),
        cmocka_unit_test(uploads_have_bounds),
        cmocka_unit_test(a_burst_left_out_is_half_a_minutes_worth),
        cmocka_unit_test(at_most_so_many_actions),
        cmocka_unit_test(a_patch_is_merged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
