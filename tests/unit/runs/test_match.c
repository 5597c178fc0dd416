// Which events a run raises, by the manifest; the manifest may be anything.
#include "public-actions/runs/runs.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static const char front_text[] =
    "{\"manifest\":{\"heartbeatEvents\":{\"events\":["
    "{\"id\":\"submission_received\",\"matchers\":[{\"source\":\"public\",\"actionId\":\"submit\"},"
    "{\"source\":\"tool\",\"action\":\"submit\"}]},"
    "{\"id\":\"also\",\"enabled\":true,\"matchers\":[{\"source\":\"public\",\"actionId\":\"x\"},"
    "{\"source\":\"public\",\"actionId\":\"submit\"},{\"source\":\"public\",\"actionId\":"
    "\"submit\"}]},"
    "{\"id\":\"off\",\"enabled\":false,\"matchers\":[{\"source\":\"public\",\"actionId\":"
    "\"submit\"}]},"
    "{\"id\":\"also\",\"matchers\":[{\"source\":\"public\",\"actionId\":\"submit\"}]},"
    "{\"id\":\"published\",\"matchers\":[{\"source\":\"widget\",\"actionId\":\"publish\"}]},"
    "{\"id\":\"wrong key\",\"matchers\":[{\"source\":\"public\",\"actionId\":\"submit\"}]},"
    "{\"id\":\"keyed\",\"matchers\":[{\"source\":\"tool\",\"actionId\":\"keyed\"}]},"
    "{\"id\":\"hook\",\"matchers\":[{\"source\":\"webhook\",\"eventName\":\"submit\"}]}]}}}";

static void expect(const char *front, enum run_source source, const char *action, const char *want)
{
    json_auto_t *value = json_loads(front, 0, NULL);
    json_auto_t *got = run_events_match(value, source, str_from(action));
    char *text = got != NULL ? json_dumps(got, JSON_COMPACT) : strdup("none");
    assert_string_equal(text, want);
    free(text);
}

static void matches_source_and_action_exactly(void **state)
{
    expect(front_text, RUN_PUBLIC, "submit", "[\"submission_received\",\"also\"]");
    expect(front_text, RUN_TOOL, "submit", "[\"submission_received\"]");
    expect(front_text, RUN_WIDGET, "submit", "none");
    expect(front_text, RUN_WIDGET, "publish", "[\"published\"]");
    expect(front_text, RUN_PUBLIC, "publish", "none");
    expect(front_text, RUN_PUBLIC, "Submit", "none");
    expect(front_text, RUN_PUBLIC, "", "none");
    expect(front_text, RUN_TOOL, "keyed", "none"); // a tool's matcher says `action`
}

static void anything_else_matches_nothing(void **state)
{
    static const char *const fronts[] = {
        "{}",
        "[]",
        "{\"manifest\":7}",
        "{\"manifest\":{\"heartbeatEvents\":[]}}",
        "{\"manifest\":{\"heartbeatEvents\":{\"events\":{\"id\":\"a\"}}}}",
        "{\"manifest\":{\"heartbeatEvents\":{\"events\":[null,7,\"x\",[],{\"id\":7},"
        "{\"id\":\"a\",\"matchers\":{}},{\"id\":\"a\",\"matchers\":[7,{\"source\":7,"
        "\"actionId\":\"a\"},{\"source\":\"public\"}]}]}}}"};
    for (size_t i = 0; i != sizeof fronts / sizeof fronts[0]; ++i)
        expect(fronts[i], RUN_PUBLIC, "a", "none");
    assert_null(run_events_match(NULL, RUN_PUBLIC, STR("a")));
}

static void no_more_than_some(void **state)
{
    json_auto_t *front = json_pack("{s:{s:{s:[]}}}", "manifest", "heartbeatEvents", "events");
    json_t *events = json_object_get(
        json_object_get(json_object_get(front, "manifest"), "heartbeatEvents"), "events");
    for (int i = 0; i != 100; ++i) {
        char id[16];
        snprintf(id, sizeof id, "e%d", i);
        json_array_append_new(events, json_pack("{ss s[{ss ss}]}", "id", id, "matchers", "source",
                                                "public", "actionId", "a"));
    }
    json_auto_t *got = run_events_match(front, RUN_PUBLIC, STR("a"));
    assert_int_equal(json_array_size(got), RUN_EVENTS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_source_and_action_exactly),
        cmocka_unit_test(anything_else_matches_nothing),
        cmocka_unit_test(no_more_than_some),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
