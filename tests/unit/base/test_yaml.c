// YAML as Stoa reads it.
#include "edge/base/yaml.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

// The document as compact JSON, in its own order.
static void expect(const char *yaml, const char *json)
{
    struct problems ps;
    problems_init(&ps);
    struct yaml_marks *marks = NULL;
    json_t *v = yaml_load(str_from(yaml), 1, "s", &ps, &marks);
    if (v == NULL)
        fail_msg("%s: %s", yaml, ps.count != 0 ? ps.list[0].message : "no problem");
    char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
    assert_string_equal(text, json);
    assert_int_equal(ps.count, 0);
    free(text);
    json_decref(v);
    yaml_marks_destroy(marks);
    problems_fini(&ps);
}

static void refuse_bytes(str yaml, unsigned line, const char *words)
{
    struct problems ps;
    problems_init(&ps);
    struct yaml_marks *marks = NULL;
    json_t *v = yaml_load(yaml, 10, "s", &ps, &marks);
    if (v != NULL)
        fail_msg("%.*s was accepted", STR_FMT(yaml));
    assert_null(marks);
    assert_int_equal(ps.count, 1);
    if (strstr(ps.list[0].message, words) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", words, ps.list[0].message);
    assert_int_equal(ps.list[0].line, line);
    assert_string_equal(ps.list[0].section, "s");
    problems_fini(&ps);
}

static void refuse(const char *yaml, unsigned line, const char *words)
{
    refuse_bytes(str_from(yaml), line, words);
}

static void collections(void **state)
{
    expect("", "null");
    expect("# only a comment\n", "null");
    expect("a: 1\nb:\n  - x\n  - y: z\nc: {d: [1, 2], e: }\n",
           "{\"a\":1,\"b\":[\"x\",{\"y\":\"z\"}],\"c\":{\"d\":[1,2],\"e\":null}}");
    expect("[]", "[]");
    expect("text", "\"text\"");
    expect("a: 1\r\nb: 2\r\n", "{\"a\":1,\"b\":2}");
    expect("---\na: 1\n...\n", "{\"a\":1}");
}

static void core_schema(void **state)
{
    expect("[null, ~, Null, NULL, ]", "[null,null,null,null]");
    expect("[true, True, TRUE, false, False, FALSE]", "[true,true,true,false,false,false]");
    expect("[yes, no, on, off, y, n, tRue, nUll]",
           "[\"yes\",\"no\",\"on\",\"off\",\"y\",\"n\",\"tRue\",\"nUll\"]");
    expect("[0, -1, +2, 007, 9223372036854775807, -9223372036854775808]",
           "[0,-1,2,7,9223372036854775807,-9223372036854775808]");
    expect("[9223372036854775808, 0x1F, 0o17, 1_000, 12:30]",
           "[\"9223372036854775808\",\"0x1F\",\"0o17\",\"1_000\",\"12:30\"]");
    expect("[1.5, -.5, 1., 1e2, 1.5E-1]", "[1.5,-0.5,1.0,100.0,0.14999999999999999]");
    expect("[1e999, .inf, -.Inf, .nan, ., -, 1e, 1.0.0, 2024-01-01]",
           "[\"1e999\",\".inf\",\"-.Inf\",\".nan\",\".\",\"-\",\"1e\",\"1.0.0\",\"2024-01-01\"]");
}

static void quoted_and_block_scalars_are_strings(void **state)
{
    expect("['1', \"true\", \"\\u00e4\\x41\", '']", "[\"1\",\"true\",\"\xc3\xa4"
                                                    "A\",\"\"]");
    expect("a: |\n  1\n  2\nb: >-\n  3\n  4\n", "{\"a\":\"1\\n2\\n\",\"b\":\"3 4\"}");
}

static void json_is_read_too(void **state)
{
    expect("{\n\t\"a\":\"b\",\"c\":[1,2.5,true,null],\"d\":{\"e\":\"\\/\\n\"}\n}\n",
           "{\"a\":\"b\",\"c\":[1,2.5,true,null],\"d\":{\"e\":\"/\\n\"}}");
    expect("{\"a\": \"\\ud83d\\ude00\", \"b\": \"\\\\ud83d\"}",
           "{\"a\":\"\xf0\x9f\x98\x80\",\"b\":\"\\\\ud83d\"}");
    refuse("{\"a\": \"\\ud83d\"}", 10, "not valid YAML");
    refuse("{\"a\": \"\\\\ud83d\\ude00\"}", 10, "not valid YAML"); // the first is a backslash
    refuse("{\"a\": \"\\ude00\\ud83d\"}", 10, "not valid YAML");
}

static void of_two_the_first(const char *yaml, unsigned line, const char *words, const char *json)
{
    struct problems ps;
    problems_init(&ps);
    struct yaml_marks *marks = NULL;
    json_t *v = yaml_load(str_from(yaml), 10, "s", &ps, &marks);
    assert_int_equal(ps.count, 1);
    assert_non_null(strstr(ps.list[0].message, words));
    assert_int_equal(ps.list[0].line, line);
    char *text = json_dumps(v, JSON_COMPACT);
    assert_string_equal(text, json);
    free(text);
    json_decref(v);
    yaml_marks_destroy(marks);
    problems_fini(&ps);
}

// What else is wrong with the document is judged all the same.
static void keys_that_stand_twice(void **state)
{
    of_two_the_first("a: 1\nb: 2\na: 3\n", 12, "\"a\" stands here twice", "{\"a\":1,\"b\":2}");
    of_two_the_first("{a: {b: 1, \"b\": 2}}", 10, "\"b\" stands here twice", "{\"a\":{\"b\":1}}");
}

static void refused_features(void **state)
{
    refuse("a: &x 1\n", 10, "anchors (&x)");
    refuse("a: !!str 1\n", 10, "tags");
    refuse("a: ! b\n", 10, "tags");
    refuse("x: 1\na: !custom {b: c}\n", 11, "tags");
    refuse("%TAG ! tag:x,2000:\n---\na: 1\n", 10, "%TAG");
    refuse("a: 1\n<<: {b: 2}\n", 11, "Merge keys");
    refuse("1: a\n", 10, "\"1\" is not a text");
    refuse("true: a\n", 10, "\"true\" is not a text");
    refuse("? [a]\n: b\n", 10, "must be a text, not a list");
    refuse("? {a: b}\n: c\n", 10, "must be a text, not a list");
    refuse("a: 1\n---\nb: 2\n", 11, "Only one YAML document");
    refuse("a: \"x\\0y\"\n", 10, "NUL");
    refuse("\"a\\0\": 1\n", 10, "NUL");
}

static void aliases_are_refused(void **state)
{
    struct problems ps;
    problems_init(&ps);
    struct yaml_marks *marks = NULL;
    assert_null(yaml_load(STR("a: &x [1]\nb: *x\nc: *x\n"), 1, "s", &ps, &marks));
    assert_int_equal(ps.count, 3); // each place is told
    assert_int_equal(ps.list[2].line, 3);
    assert_non_null(strstr(ps.list[2].message, "aliases (*x)"));
    problems_fini(&ps);
}

static void syntax(void **state)
{
    refuse("a: [1\nb: 2\n", 11, "not valid YAML");
    refuse("a: 'x\n", 11, "not valid YAML");
    refuse("a:\n\t- b\n", 11, "does not allow tabs");
    refuse("a: 1\nb: \x01\n", 11, "control character (U+0001)");
    refuse_bytes(STR("a: 1\nb: \0\n"), 11, "NUL bytes");
    refuse("a: 1\n\nb: \xff\n", 12, "UTF-8");
    refuse("- a\nb: 1\n", 11, "not valid YAML");
}

static char *nested(size_t depth)
{
    char *text = calloc(depth + 1, 1);
    memset(text, '[', depth);
    return text;
}

static void depth(void **state)
{
    char text[65];
    memset(text, '[', 32);
    memset(text + 32, ']', 32);
    text[64] = '\0';
    struct problems ps;
    problems_init(&ps);
    struct yaml_marks *marks = NULL;
    json_t *v = yaml_load(str_from(text), 1, "s", &ps, &marks);
    assert_non_null(v);
    json_decref(v);
    yaml_marks_destroy(marks);
    char *deep = nested(33);
    refuse(deep, 10, "deeper than 32");
    free(deep);
    deep = nested(100000);
    refuse(deep, 10, "deeper than 32");
    free(deep);
}

static void number_of_values(void **state)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    buf_addc(&b, '[');
    for (int i = 0; i != 20001; ++i)
        buf_add(&b, STR("1,"));
    buf_addc(&b, ']');
    refuse_bytes(buf_str(&b), 10, "more than 20,000 values");
    buf_fini(&b);
}

static void places(void **state)
{
    struct problems ps;
    problems_init(&ps);
    struct yaml_marks *marks = NULL;
    json_t *v = yaml_load(STR("a: x\n\nb:\n  c: true\n  d: [p, 7]\n"), 3, "s", &ps, &marks);
    unsigned line, column;
    yaml_place(marks, json_object_get(v, "a"), &line, &column);
    assert_int_equal(line, 3);
    assert_int_equal(column, 4);
    json_t *b = json_object_get(v, "b"), *d = json_object_get(b, "d");
    yaml_place(marks, json_array_get(d, 1), &line, &column);
    assert_int_equal(line, 7);
    assert_int_equal(column, 10);
    assert_int_equal(yaml_member_line(marks, v, "b"), 5);
    assert_int_equal(yaml_member_line(marks, b, "c"), 6);
    assert_int_equal(yaml_member_line(marks, b, "absent"), 6); // the object's own
    yaml_place(marks, v, &line, &column);
    assert_int_equal(line, 3);
    json_t *stranger = json_string("x");
    yaml_place(marks, stranger, &line, &column);
    assert_int_equal(line, 0);
    json_decref(stranger);
    json_decref(v);
    yaml_marks_destroy(marks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(collections),
        cmocka_unit_test(core_schema),
        cmocka_unit_test(quoted_and_block_scalars_are_strings),
        cmocka_unit_test(json_is_read_too),
        cmocka_unit_test(refused_features),
        cmocka_unit_test(keys_that_stand_twice),
        cmocka_unit_test(aliases_are_refused),
        cmocka_unit_test(syntax),
        cmocka_unit_test(depth),
        cmocka_unit_test(number_of_values),
        cmocka_unit_test(places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
