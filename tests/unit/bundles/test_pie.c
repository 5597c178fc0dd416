// The .pie format, rule by rule.
#include "tests/unit/bundles/expect.h"
#include "bundles/pie.h"

#define FRONT                                                                                      \
    "---\nname: demo\ndisplayName: Demo\nversion: 1.0.0\ntier: tool\nmanifest:\n  trigger: "       \
    "auto\n---\n"
enum { FRONT_LINES = 8 };
#define INDEX "===public-file:index.html===\n<p>hi\n===public-file:index.html===\n"

struct read {
    enum fail fail;
    struct pie pie;
    struct problems problems, warnings;
    char *bytes; // an own allocation, so that a read past the end is seen
};

static struct read *read_bytes(str file, const struct pie_limits *limits)
{
    struct read *r = calloc(1, sizeof *r);
    problems_init(&r->problems);
    problems_init(&r->warnings);
    r->bytes = malloc(file.n != 0 ? file.n : 1);
    memcpy(r->bytes, file.p, file.n);
    r->fail = pie_parse(str_of(r->bytes, file.n), limits, &r->pie, &r->problems, &r->warnings);
    return r;
}

static struct read *read_text(const char *file)
{
    return read_bytes(str_from(file), NULL);
}

static void done(struct read *r)
{
    if (r->fail == FAIL_NONE)
        pie_fini(&r->pie);
    problems_fini(&r->problems);
    problems_fini(&r->warnings);
    free(r->bytes);
    free(r);
}

static void expect_str(str s, const char *text)
{
    if (!str_eq(s, str_from(text)))
        fail_msg("\"%.*s\" is not \"%s\"", STR_FMT(s), text);
}

static struct read *read_good(const char *file)
{
    struct read *r = read_text(file);
    expect_none(&r->problems);
    assert_int_equal(r->fail, FAIL_NONE);
    return r;
}

static void refuse(const char *file, unsigned line, const char *section, const char *words)
{
    struct read *r = read_text(file);
    assert_int_equal(r->fail, FAIL_REFUSED);
    expect_one(&r->problems, line, section, words);
    done(r);
}

static void reads_every_part(void **state)
{
    struct read *r =
        read_good(FRONT "let a = 1;\nmodule.exports = {a};\n"
                        "===public-config===\nentry: index.html\nroutes:\n  - path: /\n"
                        "    spa: true\n===public-config===\n\n" INDEX
                        "===public-file:css/a.css===\nbody{}\n===public-file:css/a.css===\n"
                        "===widget===\n<b>w</b>\n===widget===\n");
    const struct pie *p = &r->pie;
    expect_none(&r->warnings);
    expect_str(p->name, "demo");
    expect_str(p->display_name, "Demo");
    expect_str(p->version, "1.0.0");
    expect_str(p->tier, "tool");
    assert_null(p->description.p);
    assert_false(p->is_skill);
    assert_string_equal(json_string_value(json_object_get(p->manifest, "trigger")), "auto");
    assert_int_equal(json_array_size(p->tags), 0);
    expect_str(p->handler, "let a = 1;\nmodule.exports = {a};");
    assert_int_equal(p->handler_line, FRONT_LINES + 1);
    assert_null(p->body.p);
    expect_str(p->widget, "<b>w</b>");
    assert_int_equal(p->widget_line, 25);
    assert_int_equal(p->file_count, 2);
    expect_str(p->files[0].path, "index.html");
    expect_str(p->files[0].content, "<p>hi");
    assert_int_equal(p->files[0].line, 18);
    expect_str(p->files[1].path, "css/a.css");
    assert_int_equal(p->public_bytes, 5 + 6);
    assert_string_equal(p->config->entry, "index.html");
    assert_true(config_is_spa(p->config, STR("/x")));
    done(r);
}

static void plugin_without_public_files_is_valid(void **state)
{
    struct read *r = read_good(FRONT "code();\n");
    assert_null(r->pie.config);
    assert_int_equal(r->pie.file_count, 0);
    expect_str(r->pie.handler, "code();\n");
    done(r);
}

static void file_without_code_has_no_handler(void **state)
{
    struct read *r = read_good(FRONT "\n \n" INDEX);
    assert_null(r->pie.handler.p);
    done(r);
}

static void json_front_matter(void **state)
{
    struct read *r =
        read_good("---\n{\n\t\"name\": \"demo\", \"displayName\": \"\\ud83d\\ude00\",\n"
                  "\t\"version\":\"1.0.0\",\"tier\":\"tool\"}\n---\nx\n");
    expect_str(r->pie.display_name, "\xf0\x9f\x98\x80");
    assert_int_equal(json_object_size(r->pie.manifest), 0);
    done(r);
}

static void tags_of_front_matter_or_manifest(void **state)
{
    struct read *r = read_good("---\nname: a\ndisplayName: A\nversion: 1.0.0\ntier: tool\n"
                               "tags: [x, y]\nmanifest: {tags: [z]}\n---\nc\n");
    assert_int_equal(json_array_size(r->pie.tags), 2);
    done(r);
    r = read_good("---\nname: a\ndisplayName: A\nversion: 1.0.0\ntier: tool\n"
                  "manifest: {tags: [z]}\n---\nc\n");
    assert_int_equal(json_array_size(r->pie.tags), 1);
    done(r);
}

static void content_is_byte_exact(void **state)
{
    struct read *r =
        read_good(FRONT "===public-file:index.html===\n\n  a \n\n===public-file:index.html===\n"
                        "===public-file:empty===\n===public-file:empty===\n"
                        "===public-file:line===\n\n===public-file:line===");
    expect_str(r->pie.files[0].content, "\n  a \n");
    expect_str(r->pie.files[1].content, "");
    expect_str(r->pie.files[2].content, "");
    done(r);
}

static void other_fences_inside_a_section_are_content(void **state)
{
    struct read *r =
        read_good(FRONT "===public-file:index.html===\n===widget===\n---\n"
                        "x===public-file:index.html===\n===public-file:index.html===x\n"
                        "===nothing===\n===public-file:index.html===\n");
    expect_str(r->pie.files[0].content, "===widget===\n---\nx===public-file:index.html===\n"
                                        "===public-file:index.html===x\n===nothing===");
    assert_null(r->pie.widget.p);
    done(r);
}

static void crlf_keeps_its_bytes(void **state)
{
    struct read *r =
        read_good("---\r\nname: demo\r\ndisplayName: Demo\r\nversion: 1.0.0\r\ntier: tool\r\n"
                  "---\r\na();\r\nb();\r\n===public-file:index.html===\r\n1\r\n2\r\n"
                  "===public-file:index.html===\r\n");
    expect_str(r->pie.handler, "a();\r\nb();");
    expect_str(r->pie.files[0].content, "1\r\n2");
    assert_int_equal(r->pie.files[0].line, 9);
    done(r);
}

static void bom_is_dropped_at_the_start_only(void **state)
{
    struct read *r = read_good("\xef\xbb\xbf" FRONT "x\n===public-file:index.html===\n\xef\xbb\xbf"
                               "a\n===public-file:index.html===\n");
    expect_str(r->pie.files[0].content, "\xef\xbb\xbf"
                                        "a");
    done(r);
    refuse("\xef\xbb\xbf\xef\xbb\xbf" FRONT "x\n", 1, "front-matter", "must begin with a line");
}

static void nul_and_bad_utf8(void **state)
{
    static const str nul_in_code = STR(FRONT "a\nb\0\n"), bad_in_code = STR(FRONT "a\n\n\xff\n"),
                     nul_in_front = STR("---\nname: a\nx: \0\n---\n"),
                     bad_in_config = STR(FRONT "\n===public-config===\nentry: index.html\nx: \xc3\n"
                                               "===public-config===\n" INDEX),
                     any_in_file = STR(FRONT "===public-file:index.html===\n\0\xff\r\0\n"
                                             "===public-file:index.html===\n");
    struct read *r = read_bytes(nul_in_code, NULL);
    expect_one(&r->problems, FRONT_LINES + 2, "code", "NUL");
    done(r);
    r = read_bytes(bad_in_code, NULL);
    expect_one(&r->problems, FRONT_LINES + 3, "code", "UTF-8");
    done(r);
    r = read_bytes(nul_in_front, NULL);
    expect_one(&r->problems, 3, "front-matter", "NUL");
    done(r);
    r = read_bytes(bad_in_config, NULL);
    expect_one(&r->problems, FRONT_LINES + 4, "public-config", "UTF-8");
    done(r);
    r = read_bytes(any_in_file, NULL);
    assert_int_equal(r->fail, FAIL_NONE);
    assert_true(str_eq(r->pie.files[0].content, STR("\0\xff\r\0")));
    done(r);
}

static void front_matter_lines(void **state)
{
    refuse("", 1, "front-matter", "must begin with a line");
    refuse("name: x\n", 1, "front-matter", "must begin with a line");
    refuse("\n" FRONT, 1, "front-matter", "must begin with a line");
    refuse("---\nname: x\n", 1, "front-matter", "never closed");
    refuse("---\n---\n", 2, "front-matter", "must be a mapping");
    refuse("---\n- a\n---\n", 2, "front-matter", "must be a mapping");
    struct read *r =
        read_good("---  \nname: a\ndisplayName: A\nversion: 1.0.0\ntier: tool\n---\t\nc\n");
    done(r);
}

static void unclosed_sections(void **state)
{
    refuse(FRONT "x\n===widget===\n<b>\n", FRONT_LINES + 2, "widget", "never closed");
    refuse(FRONT "x\n===widget===\n<b>\n" INDEX, FRONT_LINES + 2, "widget", "never closed");
    refuse(FRONT INDEX "===public-file:a===\n", FRONT_LINES + 4, "public-file:a", "never closed");
    refuse(FRONT INDEX "===public-file:a===", FRONT_LINES + 4, "public-file:a", "never closed");
}

static void duplicates(void **state)
{
    refuse(FRONT "x\n===widget===\na\n===widget===\n===widget===\nb\n===widget===\n",
           FRONT_LINES + 5, "widget", "second widget section; the first begins in line 10");
    refuse(FRONT INDEX
           "===public-config===\n===public-config===\n===public-config===\n===public-config===\n",
           FRONT_LINES + 6, "public-config", "second public-config");
    refuse(FRONT INDEX INDEX, FRONT_LINES + 4, "public-file:index.html",
           "twice. The other begins in line 9");
    refuse(FRONT INDEX "===public-file:INDEX.html===\n===public-file:INDEX.html===\n",
           FRONT_LINES + 4, "public-file:INDEX.html", "upper and lower case");
    refuse(FRONT INDEX "===public-file:index.html/a===\n===public-file:index.html/a===\n",
           FRONT_LINES + 4, "public-file:index.html/a", "both a file and a folder");
}

static void text_outside_of_sections(void **state)
{
    refuse(FRONT "x\n" INDEX "\nlet late = 1;\nlet later = 2;\n", FRONT_LINES + 6, "",
           "outside of every section");
    struct read *r = read_text(FRONT "x\n" INDEX "one\n===widget===\n===widget===\ntwo\n");
    assert_int_equal(r->problems.count, 2);
    done(r);
}

static void unknown_and_sloppy_fences(void **state)
{
    refuse(FRONT "x\n===widgets===\n<b>\n===widgets===\n" INDEX, FRONT_LINES + 2, "widgets",
           "no section \"widgets\"");
    refuse(FRONT "x\n===style:a===\n", FRONT_LINES + 2, "style:a", "no section");
    refuse(FRONT "x\n=== widget ===\n<b>\n=== widget ===\n" INDEX, FRONT_LINES + 2, "widget",
           "Write this line as \"===widget===\"");
    refuse(FRONT "x\n===widget=== \n<b>\n===widget===\n" INDEX, FRONT_LINES + 2, "widget",
           "without spaces");
}

static void text_that_is_no_fence(void **state)
{
    struct read *r = read_good("---\nname: s\ndisplayName: S\nversion: 1.0.0\ntier: skill\n---\n"
                               "Title\n=======\n=== Part ===\n  ===widget===\n======\n");
    expect_str(r->pie.body, "Title\n=======\n=== Part ===\n  ===widget===\n======\n");
    done(r);
}

static void skill_keeps_its_text(void **state)
{
#define SKILL "---\nname: s\ndisplayName: S\nversion: 1.0.0\ntier: skill\n---\n"
    struct read *r = read_good(SKILL "You are {{ an expert\n" INDEX);
    assert_true(r->pie.is_skill);
    assert_null(r->pie.handler.p);
    expect_str(r->pie.body, "You are {{ an expert");
    assert_int_equal(r->pie.body_line, 7);
    assert_int_equal(r->pie.file_count, 1);
    done(r);
    refuse(SKILL "text\n===widget===\n===widget===\n", 8, "widget", "A skill has no widget");
}

static void entry_and_config(void **state)
{
    refuse(FRONT "===public-file:a.html===\n===public-file:a.html===\n", FRONT_LINES + 1,
           "public-config", "There is no index.html");
    refuse(FRONT "===public-config===\nentry: b.html\n===public-config===\n" INDEX, FRONT_LINES + 2,
           "public-config", "\"b.html\" is not among the public files");
    refuse(FRONT "===public-config===\nentry: b.html\n===public-config===\n", FRONT_LINES + 2,
           "public-config", "there are no public files");
    refuse(FRONT "===public-config===\nentry: [\n===public-config===\n" INDEX, FRONT_LINES + 3,
           "public-config", "not valid YAML");
    struct read *r = read_good(FRONT "===public-config===\n# nothing\n===public-config===\n" INDEX);
    assert_string_equal(r->pie.config->entry, "index.html");
    done(r);
}

static void bad_paths(void **state)
{
#define FILE_AT(path) "===public-file:" path "===\n===public-file:" path "===\n"
    refuse(FRONT INDEX FILE_AT("../x"), FRONT_LINES + 4, "public-file:../x", "'.' or '..'");
    refuse(FRONT INDEX FILE_AT("/x"), FRONT_LINES + 4, "public-file:/x", "start with '/'");
    refuse(FRONT INDEX FILE_AT(""), FRONT_LINES + 4, "public-file:", "must not be empty");
    refuse(FRONT INDEX FILE_AT("a\\b"), FRONT_LINES + 4, "public-file:a\\\\b", "backslash");
    refuse(FRONT INDEX FILE_AT(".well-known/acme-challenge/x"), FRONT_LINES + 4,
           "public-file:.well-known/acme-challenge/x", "acme-challenge");
    refuse(FRONT INDEX FILE_AT("public-config.yaml"), FRONT_LINES + 4,
           "public-file:public-config.yaml", "kept for the config");
    refuse(FRONT INDEX FILE_AT("Public-Config.yaml/x"), FRONT_LINES + 4,
           "public-file:Public-Config.yaml/x", "kept for the config");
    done(read_good(FRONT INDEX FILE_AT("a/public-config.yaml") FILE_AT("public-config.yml")));
}

static void dotfiles_are_warned_of(void **state)
{
    struct read *r = read_good(FRONT INDEX FILE_AT(".env") FILE_AT(".well-known/security.txt"));
    expect_one(&r->warnings, FRONT_LINES + 4, "public-file:.env", "never served");
    done(r);
}

static void limits(void **state)
{
    const struct pie_limits small = {.file_bytes = 1000,
                                     .front_bytes = 200,
                                     .public_files = 3,
                                     .public_file_bytes = 10,
                                     .public_total_bytes = 15};
    struct read *r = read_bytes(
        STR(FRONT FILE_AT("index.html") FILE_AT("b") FILE_AT("c") FILE_AT("d") FILE_AT("e")),
        &small);
    expect_one(&r->problems, FRONT_LINES + 7, "public-file:d", "at most 3");
    done(r);
    r = read_bytes(
        STR(FRONT "===public-file:index.html===\n1234567890\n===public-file:index.html===\n"),
        &small);
    assert_int_equal(r->fail, FAIL_NONE);
    done(r);
    r = read_bytes(
        STR(FRONT "===public-file:index.html===\n12345678901\n===public-file:index.html===\n"),
        &small);
    expect_one(&r->problems, FRONT_LINES + 1, "public-file:index.html", "11 bytes; at most 10");
    done(r);
    r = read_bytes(STR(FRONT
                       "===public-file:index.html===\n1234567890\n===public-file:index.html===\n"
                       "===public-file:b===\n123456\n===public-file:b===\n"
                       "===public-file:c===\n1\n===public-file:c===\n"),
                   &small);
    expect_one(&r->problems, FRONT_LINES + 4, "public-file:b", "more than the 15 bytes");
    done(r);
    char big[1001];
    memset(big, 'x', sizeof big);
    r = read_bytes(str_of(big, sizeof big), &small);
    assert_int_equal(r->fail, FAIL_TOO_LARGE);
    expect_one(&r->problems, 0, "", "1001 bytes");
    done(r);
    memcpy(big, "---\n#", 5);
    memset(big + 5, 'x', 300);
    memcpy(big + 305, "\n---\n", 5);
    r = read_bytes(str_of(big, 310), &small);
    expect_one(&r->problems, 2, "front-matter", "at most 200");
    done(r);
}

static void default_limits_are_the_contract_s(void **state)
{
    assert_int_equal(pie_limits_default.file_bytes, 4194304);
    assert_int_equal(pie_limits_default.public_files, 50);
    assert_int_equal(pie_limits_default.public_file_bytes, 524288);
    assert_int_equal(pie_limits_default.public_total_bytes, 2097152);
}

static void all_problems_at_once_sorted_by_line(void **state)
{
    struct read *r =
        read_text("---\nname: Bad Name\ndisplayName: \"\"\nversion: 1.0\ntier: gadget\n"
                  "manifest:\n  trigger: sometimes\n  runtime: {timeoutMs: 1}\n---\n"
                  "x\n===public-file:/a===\n===public-file:/a===\nstray\n"
                  "===public-config===\nentry: nope.html\n===public-config===\n"
                  "===widget===\n");
    static const unsigned lines[] = {2, 3, 4, 5, 7, 8, 11, 13, 15, 17};
    print_problems("found", &r->problems);
    assert_int_equal(r->problems.count, sizeof lines / sizeof *lines);
    for (size_t i = 0; i != r->problems.count; ++i)
        assert_int_equal(r->problems.list[i].line, lines[i]);
    done(r);
}

static void broken_yaml_does_not_hide_other_problems(void **state)
{
    struct read *r = read_text("---\nname: [\n---\nx\n===widget===\n");
    assert_int_equal(r->problems.count, 2);
    assert_int_equal(r->problems.list[1].line, 5);
    done(r);
}

static void heap_of_fences_is_read_in_bounded_time(void **state)
{
    struct buf b;
    buf_init(&b, 4 * 1024 * 1024);
    buf_add(&b, STR(FRONT));
    for (unsigned i = 0; b.n < 4 * 1024 * 1024 - 64; ++i)
        buf_addf(&b, "===public-file:%u===\n", i);
    struct read *r = read_bytes(buf_str(&b), NULL);
    assert_int_equal(r->fail, FAIL_REFUSED);
    assert_true(r->problems.count < 60);
    done(r);
    buf_fini(&b);
}

static void warnings_as_sentences(void **state)
{
    struct read *r = read_good("---\nname: a\ndisplayName: A\nversion: 1.0.0\ntier: tool\n"
                               "colour: red\nmanifest: {sparkle: 1}\n---\nc\n");
    json_t *list = pie_warnings_json(&r->warnings);
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(json_string_value(json_array_get(list, 0)),
                        "line 6: colour is not known; it is kept and has no effect.");
    assert_string_equal(json_string_value(json_array_get(list, 1)),
                        "line 7: manifest.sparkle is not known; it is kept and has no effect.");
    assert_int_equal(json_integer_value(json_object_get(r->pie.manifest, "sparkle")), 1);
    json_decref(list);
    done(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_part),
        cmocka_unit_test(plugin_without_public_files_is_valid),
        cmocka_unit_test(file_without_code_has_no_handler),
        cmocka_unit_test(json_front_matter),
        cmocka_unit_test(tags_of_front_matter_or_manifest),
        cmocka_unit_test(content_is_byte_exact),
        cmocka_unit_test(other_fences_inside_a_section_are_content),
        cmocka_unit_test(crlf_keeps_its_bytes),
        cmocka_unit_test(bom_is_dropped_at_the_start_only),
        cmocka_unit_test(nul_and_bad_utf8),
        cmocka_unit_test(front_matter_lines),
        cmocka_unit_test(unclosed_sections),
        cmocka_unit_test(duplicates),
        cmocka_unit_test(text_outside_of_sections),
        cmocka_unit_test(unknown_and_sloppy_fences),
        cmocka_unit_test(text_that_is_no_fence),
        cmocka_unit_test(skill_keeps_its_text),
        cmocka_unit_test(entry_and_config),
        cmocka_unit_test(bad_paths),
        cmocka_unit_test(dotfiles_are_warned_of),
        cmocka_unit_test(limits),
        cmocka_unit_test(default_limits_are_the_contract_s),
        cmocka_unit_test(all_problems_at_once_sorted_by_line),
        cmocka_unit_test(broken_yaml_does_not_hide_other_problems),
        cmocka_unit_test(heap_of_fences_is_read_in_bounded_time),
        cmocka_unit_test(warnings_as_sentences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
