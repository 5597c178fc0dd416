// What is alive of apps' code: once each, within a project's bound, and of a front matter what runs need.
#include "public-actions/target_living.h"
#include "edge/catalog/declared.h"
#include "public-actions/runs/runs.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct handler *handler(const char *instance_id, const char *deployment_id, size_t size)
{
    struct instance i = {.plugin_id = "plg_a", .project_id = "prj_a"};
    struct deployed d = {.code = calloc(1, size), .code_size = size, .code_line = 7};
    snprintf(i.id, sizeof i.id, "%s", instance_id);
    snprintf(d.deployment_id, sizeof d.deployment_id, "%s", deployment_id);
    struct handler *h = target_handler(&i, &d, true);
    free(d.code); // what was not taken
    return h;
}

static void is_empty(void)
{
    assert_true(target_occupy("prj_a", TARGET_PROJECT_BYTES_MAX));
    target_vacate("prj_a", TARGET_PROJECT_BYTES_MAX);
}

static void code_is_there_once(void **state)
{
    struct handler *first = handler("ins_a", "dep_1", 1000),
                   *again = handler("ins_a", "dep_1", 1000),
                   *next = handler("ins_a", "dep_2", 1000),
                   *other = handler("ins_b", "dep_1", 1000);
    assert_ptr_equal(first, again);
    assert_ptr_not_equal(first, next);
    assert_ptr_not_equal(first, other);
    assert_string_equal(other->instance_id, "ins_b");
    assert_int_equal(first->code.n, 1000);
    assert_int_equal(first->first_line, 7);
    assert_true(first->is_fresh);
    shared_unref(&first->shared);
    assert_ptr_equal(handler("ins_a", "dep_1", 1000), again);
    struct handler *all[] = {again, again, next, other};
    for (size_t i = 0; i != 4; ++i)
        shared_unref(&all[i]->shared);
    is_empty();
}

static void a_project_has_its_bound(void **state)
{
    struct handler *h = handler("ins_a", "dep_1", 1 << 20);
    assert_false(target_occupy("prj_a", TARGET_PROJECT_BYTES_MAX - (1 << 20)));
    assert_true(target_occupy("prj_a", TARGET_PROJECT_BYTES_MAX - (2 << 20)));
    assert_false(target_occupy("prj_a", 1 << 20));
    assert_true(target_occupy("prj_b", TARGET_PROJECT_BYTES_MAX));
    target_vacate("prj_b", TARGET_PROJECT_BYTES_MAX);
    target_vacate("prj_a", TARGET_PROJECT_BYTES_MAX - (2 << 20));
    shared_unref(&h->shared);
    is_empty();
}

static void a_front_matter_is_what_runs_need_of_it(void **state)
{
    json_auto_t *front = json_loads(
        "{\"name\":\"a\",\"manifest\":{\"userSecrets\":{\"KEY\":{\"required\":true}},\"runtime\":{}"
        ","
        "\"heartbeatEvents\":{\"events\":[{\"id\":\"sent\",\"displayName\":\"Sent\",\"matchers\":["
        "{\"source\":\"public\",\"actionId\":\"send\",\"more\":[{}]},{\"source\":\"tool\","
        "\"action\":\"mail\"}]},{\"id\":\"off\",\"enabled\":false,\"matchers\":["
        "{\"source\":\"public\",\"actionId\":\"send\"}]},7]}}}",
        0, NULL);
    json_t *many = json_array();
    size_t bytes;
    for (int i = 0; i != 80000; ++i)
        json_array_append_new(many, json_object());
    json_object_set_new(front, "weird", json_incref(many));
    json_object_set_new(json_object_get(front, "manifest"), "tool", many);
    json_auto_t *kept = target_front(front, &bytes);
    assert_in_range(bytes, 1000, 10000);
    assert_non_null(declared_one(declared_of(kept, "userSecrets"), STR("KEY")));
    assert_null(declared_of(kept, "developerSecrets"));
    json_auto_t *public = run_events_match(kept, RUN_PUBLIC, STR("send")),
                *tool = run_events_match(kept, RUN_TOOL, STR("mail"));
    assert_int_equal(json_array_size(public), 1);
    assert_string_equal(json_string_value(json_array_get(public, 0)), "sent");
    assert_int_equal(json_array_size(tool), 1);
    assert_null(run_events_match(kept, RUN_TOOL, STR("send")));
    char *text = json_dumps(kept, JSON_COMPACT);
    assert_true(strlen(text) < 500);
    free(text);
}

static void of_no_front_matter_nothing_is_kept(void **state)
{
    static const char *const odd[] = {"{}", "{\"manifest\":[]}",
                                      "{\"manifest\":{\"heartbeatEvents\":[1],\"userSecrets\":3}}"};
    for (size_t i = 0; i != sizeof odd / sizeof odd[0]; ++i) {
        json_auto_t *front = json_loads(odd[i], 0, NULL);
        size_t bytes;
        json_auto_t *kept = target_front(front, &bytes);
        assert_null(run_events_match(kept, RUN_PUBLIC, STR("send")));
        assert_null(declared_of(kept, "userSecrets"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(code_is_there_once),
        cmocka_unit_test(a_project_has_its_bound),
        cmocka_unit_test(a_front_matter_is_what_runs_need_of_it),
        cmocka_unit_test(of_no_front_matter_nothing_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
