// Values against the fields a manifest declares.
#include "edge/catalog/declared.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static const char declared[] =
    "{'topics':{'type':'tags','label':'T','default':['a','b'],'required':true},"
    "'max':{'type':'number','label':'M','min':1,'max':10,'default':5},"
    "'digest':{'type':'boolean','label':'D','default':false},"
    "'often':{'type':'select','label':'O','options':[{'value':'daily','label':'D'},"
    "{'value':'weekly','label':'W'}],'default':'daily'},"
    "'name':{'type':'text','label':'N','required':true}}";

// Single quotes read as double ones.
static json_t *parse(const char *text)
{
    char *copy = strdup(text);
    for (char *c = copy; *c != '\0'; ++c)
        *c = *c == '\'' ? '"' : *c;
    json_t *v = json_loads(copy, JSON_DECODE_ANY, NULL);
    free(copy);
    assert_non_null(v);
    return v;
}

static void expect_effective(const char *set, const char *want)
{
    json_auto_t *fields = parse(declared), *s = set != NULL ? parse(set) : NULL, *w = parse(want);
    json_auto_t *all = declared_effective(fields, s, NULL);
    assert_true(json_equal(all, w));
}

static void a_connection_stands_between(void **state)
{
    json_auto_t *fields = parse(declared), *set = parse("{'max':7}"),
                *given = parse("{'max':8,'name':'c','often':'never'}"),
                *all = declared_effective(fields, set, given),
                *want = parse("{'topics':['a','b'],'max':7,'digest':false,'often':'daily',"
                              "'name':'c'}");
    assert_true(json_equal(all, want));
}

// The names that are refused, in alphabetical order, joined.
static void expect_wrong(const char *set, const char *want)
{
    json_auto_t *fields = parse(declared), *s = parse(set), *wrong = json_object(),
                *w = parse(want);
    declared_check(fields, s, wrong);
    const char *name;
    json_t *sentence;
    json_object_foreach(wrong, name, sentence)
    {
        assert_true(json_string_length(sentence) > 10);
        assert_non_null(json_object_get(w, name));
    }
    assert_int_equal(json_object_size(wrong), json_object_size(w));
}

static void defaults_are_applied(void **state)
{
    expect_effective(NULL, "{'topics':['a','b'],'max':5,'digest':false,'often':'daily'}");
    expect_effective("{'max':7,'name':'x'}",
                     "{'topics':['a','b'],'max':7,'digest':false,'often':'daily','name':'x'}");
    json_auto_t *none = declared_effective(NULL, NULL, NULL);
    assert_int_equal(json_object_size(none), 0);
}

// A later deploy may have changed the field under a value.
static void what_no_longer_fits_is_the_default(void **state)
{
    expect_effective("{'max':11,'often':'hourly','gone':1,'topics':[]}",
                     "{'topics':[],'max':5,'digest':false,'often':'daily'}");
}

static void values_that_fit_are_taken(void **state)
{
    expect_wrong("{'topics':['x'],'max':1,'digest':true,'often':'weekly','name':'ü'}", "{}");
    expect_wrong("{'max':9.5}", "{}");
    expect_wrong("{}", "{}");
}

static void all_that_is_wrong_is_said_at_once(void **state)
{
    expect_wrong("{'topics':'x','max':'5','digest':1,'often':'hourly','name':5,'other':1}",
                 "{'topics':1,'max':1,'digest':1,'often':1,'name':1,'other':1}");
    expect_wrong("{'max':0}", "{'max':1}");
    expect_wrong("{'max':10.5}", "{'max':1}");
    expect_wrong("{'often':5}", "{'often':1}");
    expect_wrong("{'topics':[1],'name':''}", "{'topics':1,'name':1}");
    expect_wrong("{'topics':[''],'name':{}}", "{'topics':1,'name':1}");
    expect_wrong("{'topics':[]}", "{'topics':1}"); // required
}

static void long_values_are_refused(void **state)
{
    json_auto_t *fields = parse(declared), *set = json_object(), *wrong = json_object(),
                *tags = json_array();
    char text[DECLARED_TEXT_MAX + 2];
    memset(text, 'x', sizeof text);
    text[DECLARED_TEXT_MAX + 1] = '\0';
    json_object_set_new(set, "name", json_string(text));
    for (int i = 0; i != DECLARED_TAGS_MAX + 1; ++i)
        json_array_append_new(tags, json_string("t"));
    json_object_set(set, "topics", tags);
    declared_check(fields, set, wrong);
    assert_int_equal(json_object_size(wrong), 2);
    text[DECLARED_TEXT_MAX] = '\0';
    json_object_set_new(set, "name", json_string(text));
    json_array_remove(tags, 0);
    json_object_clear(wrong);
    declared_check(fields, set, wrong);
    assert_int_equal(json_object_size(wrong), 0);
}

// The list of options is cut, wherever that is.
static void no_option_is_none_however_long_the_others_are(void **state)
{
    for (int n = 150; n != 200; ++n) {
        json_auto_t *set = json_pack("{s:s}", "f", "nonsense"), *wrong = json_object();
        char text[512] = "";
        memset(text, 'x', (size_t)n);
        for (int i = 0; i != 20; ++i)
            strcat(text, "\u00e4");
        json_auto_t *fields = json_pack("{s:{s:s, s:[{s:s}, {s:s}]}}", "f", "type", "select",
                                        "options", "value", text, "value", "other");
        declared_check(fields, set, wrong);
        assert_int_equal(json_object_size(wrong), 1);
    }
}

static void a_required_field_without_a_value_is_missing(void **state)
{
    json_auto_t *fields = parse(declared), *all = declared_effective(fields, NULL, NULL);
    assert_true(declared_is_missing("name", json_object_get(fields, "name"), all));
    assert_false(declared_is_missing("topics", json_object_get(fields, "topics"), all));
    assert_false(declared_is_missing("max", json_object_get(fields, "max"), all));
}

static void names_are_listed_and_cut(void **state)
{
    char to[64];
    json_auto_t *one = parse("{'A':1}"), *three = parse("{'A':1,'B':1,'C':1}"),
                *many = json_object();
    assert_string_equal(declared_names(NULL, to, sizeof to), "none");
    assert_string_equal(declared_names(one, to, sizeof to), "A");
    assert_string_equal(declared_names(three, to, sizeof to), "A, B and C");
    for (int i = 0; i != 50; ++i) {
        char name[8];
        snprintf(name, sizeof name, "N%05d", i);
        json_object_set_new(many, name, json_true());
    }
    declared_names(many, to, sizeof to);
    assert_true(str_ends(str_from(to), STR("…")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_applied),
        cmocka_unit_test(a_connection_stands_between),
        cmocka_unit_test(what_no_longer_fits_is_the_default),
        cmocka_unit_test(values_that_fit_are_taken),
        cmocka_unit_test(all_that_is_wrong_is_said_at_once),
        cmocka_unit_test(long_values_are_refused),
        cmocka_unit_test(no_option_is_none_however_long_the_others_are),
        cmocka_unit_test(a_required_field_without_a_value_is_missing),
        cmocka_unit_test(names_are_listed_and_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
