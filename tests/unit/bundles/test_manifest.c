// The front matter's and manifest's rules, one by one.
#include "tests/unit/bundles/expect.h"
#include "bundles/manifest.h"

static void check(const char *yaml, struct problems *problems, struct problems *warnings)
{
    problems_init(problems);
    problems_init(warnings);
    struct yaml_marks *marks = NULL;
    json_t *front = yaml_load(str_from(yaml), 2, "front-matter", problems, &marks);
    expect_none(problems);
    manifest_check(front, marks, 2, problems, warnings);
    json_decref(front);
    yaml_marks_destroy(marks);
}

static void fini(struct problems *problems, struct problems *warnings)
{
    problems_fini(problems);
    problems_fini(warnings);
}

static void accept(const char *yaml)
{
    struct problems problems, warnings;
    check(yaml, &problems, &warnings);
    expect_none(&problems);
    expect_none(&warnings);
    fini(&problems, &warnings);
}

static void refuse(const char *yaml, unsigned line, const char *words)
{
    struct problems problems, warnings;
    check(yaml, &problems, &warnings);
    expect_one(&problems, line, "front-matter", words);
    expect_none(&warnings);
    fini(&problems, &warnings);
}

static void warn(const char *yaml, unsigned line, const char *words)
{
    struct problems problems, warnings;
    check(yaml, &problems, &warnings);
    expect_none(&problems);
    expect_one(&warnings, line, "front-matter", words);
    fini(&problems, &warnings);
}

// Four good lines (2 to 5), then the manifest's key in line 6 and its members from line 7 on.
#define GOOD "name: a\ndisplayName: A\nversion: 1.0.0\ntier: tool\n"
#define MANIFEST GOOD "manifest:\n"

static void names(void **state)
{
    static const char *const
        good[] = {"a",    "0",           "a-b",
                  "a--b", "public-rsvp", "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqr"},
        *const bad[] = {
            "",    "-a",       "a-",
            "A",   "a_b",      "a.b",
            "a b", "\xc3\xa4", "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrs"};
    for (size_t i = 0; i != sizeof good / sizeof *good; ++i)
        assert_true(manifest_is_name(str_from(good[i])));
    for (size_t i = 0; i != sizeof bad / sizeof *bad; ++i)
        assert_false(manifest_is_name(str_from(bad[i])));
}

static void versions(void **state)
{
    static const char *const good[] = {"0.0.0",
                                       "1.2.3",
                                       "10.20.30",
                                       "1.0.0-alpha",
                                       "1.0.0-alpha.1",
                                       "1.0.0-0.3.7",
                                       "1.0.0-x-y-z.--",
                                       "1.0.0+001",
                                       "1.0.0-beta+exp.sha.5114f85",
                                       "1.0.0+21AF26D3---117B344092BD",
                                       "1.0.0-0A.is.legal",
                                       "99999999999999999999999.999999.99999"},
                             *const bad[] = {"",          "1",         "1.2",      "1.2.3.4",
                                             "01.2.3",    "1.02.3",    "1.2.03",   "v1.2.3",
                                             "1.2.3-",    "1.2.3+",    "1.2.3-01", "1.2.3-a..b",
                                             "1.2.3-a_b", "1.2.3+a+b", " 1.2.3",   "1.2.3 ",
                                             "1.2.-3",    "1.2.3-.",   "a.b.c",    "1..3"};
    for (size_t i = 0; i != sizeof good / sizeof *good; ++i)
        if (!manifest_is_version(str_from(good[i])))
            fail_msg("%s was refused", good[i]);
    for (size_t i = 0; i != sizeof bad / sizeof *bad; ++i)
        if (manifest_is_version(str_from(bad[i])))
            fail_msg("%s was accepted", bad[i]);
}

static void front_matter(void **state)
{
    accept(GOOD);
    accept(GOOD "description: ~\ntags: [a, b]\n");
    refuse("displayName: A\nversion: 1.0.0\ntier: tool\n", 2, "name is missing");
    refuse("name: A\ndisplayName: A\nversion: 1.0.0\ntier: tool\n", 2, "name must be 1 to 54");
    refuse("name: a\ndisplayName:\nversion: 1.0.0\ntier: tool\n", 3, "displayName is missing");
    refuse("name: a\ndisplayName: ''\nversion: 1.0.0\ntier: tool\n", 3, "must not be empty");
    refuse("name: a\ndisplayName: A\nversion: 1.0\ntier: tool\n", 4,
           "must be text; put it in quotes");
    refuse("name: a\ndisplayName: A\nversion: '1.0'\ntier: tool\n", 4, "a semantic version");
    refuse("name: a\ndisplayName: A\nversion: 1.0.0\ntier: gadget\n", 5,
           "tier must be skill, tool, connector or automation, not \"gadget\"");
    refuse(GOOD "tags: a\n", 6, "tags must be a list");
    refuse(GOOD "tags:\n- a\n- 5\n", 8, "tags[1] must be text");
    refuse(GOOD "manifest: []\n", 6, "manifest must be a mapping");
    warn(GOOD "icon: x\n", 6, "icon is not known");
}

static void display_name_counts_characters(void **state)
{
    struct buf b;
    buf_init(&b, 1000);
    buf_add(&b, STR("name: a\nversion: 1.0.0\ntier: tool\ndisplayName: "));
    for (int i = 0; i != 101; ++i)
        buf_add(&b, STR("\xc3\xa4"));
    AUTOFREE char *text = buf_take(&b);
    refuse(text, 5, "101 characters; at most 100");
    text[strlen(text) - 2] = '\0';
    accept(text);
}

static void triggers_and_lists(void **state)
{
    accept(MANIFEST "  trigger: manual\n  pieceNames: [x]\n  machineCapabilities: [shell.run]\n");
    refuse(MANIFEST "  trigger: never\n", 7, "manifest.trigger must be always, auto or manual");
    refuse(MANIFEST "  machineCapabilities: [fly]\n", 7,
           "machineCapabilities[0] must be machine.info");
    refuse(MANIFEST "  pieceNames: x\n", 7, "must be a list");
    warn(MANIFEST "  sparkle: 1\n", 7, "manifest.sparkle is not known");
    warn(MANIFEST "  'a b': 1\n", 7, "manifest[\"a b\"] is not known");
}

static void oauth(void **state)
{
    accept(MANIFEST "  oauth: {provider: google, scopes: [a], clientIdSecret: ID}\n");
    refuse(MANIFEST "  oauth: {scopes: [a]}\n", 7, "manifest.oauth.provider is missing");
    refuse(MANIFEST
           "  oauth:\n    provider: custom\n    authorizationUrl: a\n    providerName: b\n",
           7, "manifest.oauth.tokenUrl is missing: a custom provider");
    refuse(MANIFEST "  oauth:\n    provider: x\n", 8, "must be google, github");
}

static void secrets(void **state)
{
    accept(MANIFEST "  developerSecrets: {API_KEY: {description: d, required: true}, B: {}}\n");
    refuse(MANIFEST "  userSecrets:\n    API-KEY: {}\n", 8,
           "manifest.userSecrets.API-KEY has a name");
    refuse(MANIFEST "  userSecrets:\n    A: {required: 1}\n", 8,
           "A.required must be true or false");
    refuse(MANIFEST "  userSecrets:\n    A: text\n", 8, "must be a mapping");
}

static void user_fields(void **state)
{
    accept(MANIFEST
           "  userFields:\n    topics: {type: tags, label: T, default: [a], required: true}\n"
           "    n: {type: number, label: N, min: 1, max: 10, default: 5}\n"
           "    b: {type: boolean, label: B, default: false}\n"
           "    s: {type: select, label: S, options: [{value: d, label: D}], default: d}\n"
           "    t: {type: text, label: T, placeholder: p, default: x}\n");
#define FIELD(members) MANIFEST "  userFields:\n    f: {label: F, " members "}\n"
    refuse(MANIFEST "  userFields:\n    f: {type: text}\n", 8, "f.label is missing");
    refuse(FIELD("type: color"), 8, "must be text, number, boolean, select or tags");
    refuse(FIELD("type: text, default: 5"), 8, "default must be text");
    refuse(FIELD("type: boolean, default: yes"), 8, "default must be true or false");
    refuse(FIELD("type: number, default: a"), 8, "default must be a number");
    refuse(FIELD("type: number, default: 11, max: 10"), 8, "between min and max");
    refuse(FIELD("type: number, default: 0, min: 1"), 8, "between min and max");
    refuse(FIELD("type: number, min: 2, max: 1"), 8, "min must not be above max");
    refuse(FIELD("type: tags, default: [1]"), 8, "a list of texts");
    refuse(FIELD("type: select"), 8, "options is missing");
    refuse(FIELD("type: select, options: []"), 8, "at least 1 entry");
    refuse(FIELD("type: select, options: [{value: a, label: A}], default: b"), 8,
           "one of the options");
    refuse(FIELD("type: select, options: [{value: a}]"), 8, "options[0].label is missing");
}

static void database(void **state)
{
    accept(MANIFEST "  database: {tables: {notes: {columns: {id: uuid, u: text}, rls: u}}}\n");
    refuse(MANIFEST "  database: {tables: {notes: {rls: u}}}\n", 7, "notes.columns is missing");
    refuse(MANIFEST
           "  database:\n    tables:\n      notes:\n        columns: {id: uuid}\n        rls: u\n",
           11, "names \"u\", which is not one of the columns");
    refuse(MANIFEST "  database: {tables: {n: {columns: {id: 5}}}}\n", 7,
           "columns.id must be text");
    refuse(MANIFEST "  database: {tables: {n: {columns: {}}}}\n", 7, "at least 1 entry");
    refuse(MANIFEST "  database: {tables: "
                    "{a123456789012345678901234567890123456789012345678901234567890123: "
                    "{columns: {id: uuid}}}}\n",
           7, "1 to 63 bytes");
}

static void runtime(void **state)
{
    accept(MANIFEST "  runtime: {persistent: true, timeoutMs: 30000, maxSessionAge: 86400000, "
                    "isolation: request}\n");
    accept(MANIFEST "  runtime: {timeoutMs: 600000}\n");
    refuse(MANIFEST "  runtime: {timeoutMs: 29999}\n", 7,
           "must be from 30000 to 600000, not 29999");
    refuse(MANIFEST "  runtime: {timeoutMs: 600001}\n", 7, "must be from 30000");
    refuse(MANIFEST "  runtime: {timeoutMs: 30000.5}\n", 7, "must be a whole number");
    refuse(MANIFEST "  runtime: {timeoutMs: '40000'}\n", 7, "must be a whole number");
    refuse(MANIFEST "  runtime: {isolation: none}\n", 7, "must be request");
}

static void tool(void **state)
{
    accept(MANIFEST
           "  tool: {name: t_1, description: d, parameters: {type: object, properties: {a: "
           "{type: string}}, required: [a], additionalProperties: false}}\n");
    refuse(MANIFEST "  tool: {description: d}\n", 7, "tool.name is missing");
    refuse(MANIFEST "  tool: {name: a b}\n", 7, "tool.name must be 1 to 64");
    refuse(MANIFEST "  tool: {name: a, parameters: {type: array}}\n", 7, "type must be object");
    refuse(MANIFEST "  tool: {name: a, parameters: {required: a}}\n", 7,
           "must be a list of parameters");
}

static void automation(void **state)
{
    accept(MANIFEST
           "  automation: {triggers: [{type: cron, default: '0 7 * * *'}, {type: interval, "
           "everyMs: 5}, {type: webhook, eventTypeField: type, events: [{name: a}]}], timeout: "
           "300, onWebhook: true, allowManualRun: false}\n");
    refuse(MANIFEST "  automation: {timeout: 301}\n", 7, "must be from 1 to 300");
    refuse(MANIFEST "  automation: {triggers: [{type: cron}]}\n", 7,
           "cron trigger needs its expression");
    refuse(MANIFEST "  automation: {triggers: [{type: interval}]}\n", 7, "everyMs is missing");
    refuse(MANIFEST "  automation: {triggers: [{type: x}]}\n", 7,
           "must be cron, webhook or interval");
}

static void heartbeat_events(void **state)
{
#define EVENT(id, matcher) "{id: " id ", displayName: D, matchers: [" matcher "]}"
#define EVENTS(list) MANIFEST "  heartbeatEvents:\n    events: [" list "]\n"
    accept(EVENTS(EVENT("a_b", "{source: tool, action: x}") ", " EVENT(
        "c-d", "{source: webhook, eventName: invoice.paid}, {source: widget, actionId: y}, "
               "{source: public, actionId: z}")));
    refuse(EVENTS("{id: a, displayName: D}"), 8, "matchers is missing");
    refuse(EVENTS(EVENT("A", "{source: tool, action: x}")), 8, "id must be lowercase");
    refuse(EVENTS(EVENT("a", "{source: cron, action: x}")), 8,
           "must be tool, widget, public or webhook");
    refuse(EVENTS(EVENT("a", "{source: public, action: x}")), 8, "actionId is missing");
    refuse(EVENTS(EVENT("a", "{source: tool, actionId: x}")), 8, "action is missing");
    accept(EVENTS(EVENT("a", "{source: public, actionId: upload}")));
    refuse(EVENTS(EVENT("a", "{source: public, actionId: a/b}")), 8, "actionId must be");
    refuse(EVENTS(EVENT("a", "{source: tool, action: x}") ", " EVENT("a",
                                                                     "{source: tool, action: y}")),
           8, "has the id \"a\" twice");
}

static void widget(void **state)
{
    accept(MANIFEST "  widget: {launchable: true, defaultHeight: 420, maxHeight: 700}\n");
    refuse(MANIFEST "  widget: {launchable: 1}\n", 7, "must be true or false");
    refuse(MANIFEST "  widget: {defaultHeight: 0}\n", 7, "must be from 1 to 10000");
    refuse(MANIFEST "  widget: {defaultHeight: 800, maxHeight: 700}\n", 7,
           "must not be above maxHeight");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(versions),
        cmocka_unit_test(front_matter),
        cmocka_unit_test(display_name_counts_characters),
        cmocka_unit_test(triggers_and_lists),
        cmocka_unit_test(oauth),
        cmocka_unit_test(secrets),
        cmocka_unit_test(user_fields),
        cmocka_unit_test(database),
        cmocka_unit_test(runtime),
        cmocka_unit_test(tool),
        cmocka_unit_test(automation),
        cmocka_unit_test(heartbeat_events),
        cmocka_unit_test(widget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
