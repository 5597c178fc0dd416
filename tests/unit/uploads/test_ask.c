// What handlers ask of context.files.
#include "ground.h"
#include "edge/loop/pool.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "edge/base/jsonx.h"
#include "uploads/base64.h"

static struct files_owner mine, theirs;
static bool is_error;

static int begin(void **state)
{
    mine = ground_owner("Mine");
    theirs = ground_owner("Theirs");
    return 0;
}

// The answer as a value; a new reference.
static json_t *ask(const struct files_owner *o, const char *op, const char *args)
{
    char *text = ground_ask(o, op, args, &is_error);
    json_t *v = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(v);
    free(text);
    return v;
}

static const char *get(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s != NULL ? s : "";
}

static void refused(const char *op, const char *args, const char *code)
{
    json_auto_t *v = ask(&mine, op, args);
    assert_true(is_error);
    if (strcmp(get(v, "code"), code) != 0)
        fail_msg("%s %s: %s, %s", op, args, get(v, "code"), get(v, "message"));
    assert_true(get(v, "message")[0] != '\0');
}

static void put(const struct files_owner *o, const char *name, char ret_id[static FILES_ID_ROOM])
{
    char args[200];
    snprintf(args, sizeof args, "[\"%s\",\"text/plain\",\"aGVsbG8=\"]", name);
    json_auto_t *v = ask(o, "upload", args);
    assert_false(is_error);
    snprintf(ret_id, FILES_ID_ROOM, "%s", get(v, "id"));
}

static json_t *ask_for(const struct files_owner *o, const char *op, const char *id)
{
    char args[64];
    snprintf(args, sizeof args, "[\"%s\"]", id);
    return ask(o, op, args);
}

static void an_upload_is_described(void **state)
{
    json_auto_t *v = ask(&mine, "upload", "[\"dir/däta.csv\",\"text/csv\",\"YSxiCjEsMgo=\"]");
    assert_false(is_error);
    assert_string_equal(get(v, "filename"), "däta.csv");
    assert_string_equal(get(v, "originalFilename"), "däta.csv");
    assert_string_equal(get(v, "mimeType"), "text/csv");
    assert_int_equal(json_integer_value(json_object_get(v, "size")), 8);
    assert_int_equal(json_array_size(json_object_get(v, "tags")), 0);
    assert_true(json_is_string(json_object_get(v, "description")));
    assert_non_null(strstr(get(v, "url"), get(v, "id")));
    assert_true(get(v, "createdAt")[0] != '\0');
}

static void any_type_may_be_made(void **state)
{
    json_auto_t *page = ask(&mine, "upload", "[\"a.html\",\"text/html\",\"PGh0bWw+\"]");
    assert_false(is_error);
    assert_string_equal(get(page, "mimeType"), "text/html");
    json_auto_t *chart = ask(&mine, "upload", "[\"chart\",\"image/png\",\"iVBORw0KGgo=\"]");
    assert_string_equal(get(chart, "filename"), "chart.png");
}

static void lists_are_the_plugins_own(void **state)
{
    char id[FILES_ID_ROOM];
    put(&mine, "a.txt", id);
    put(&mine, "b.csv", id);
    put(&theirs, "c.txt", id);
    json_auto_t *all = ask(&mine, "list", "[]"), *none = ask(&mine, "list", "[null]"),
                *text = ask(&mine, "list", "[\"text/*\"]"),
                *csv = ask(&mine, "list", "[\"text/csv\"]"),
                *images = ask(&mine, "list", "[\"image/*\"]");
    assert_int_equal(json_array_size(all), 2);
    assert_int_equal(json_array_size(none), 2);
    assert_int_equal(json_array_size(text), 2);
    assert_int_equal(json_array_size(csv), 1);
    assert_int_equal(json_array_size(images), 0);
    assert_true(get(json_array_get(all, 0), "createdAt")[0] != '\0');
}

static void one_file_is_got_linked_and_deleted(void **state)
{
    char id[FILES_ID_ROOM];
    put(&mine, "a.txt", id);
    json_auto_t *file = ask_for(&mine, "get", id), *url = ask_for(&mine, "getUrl", id);
    assert_string_equal(get(file, "id"), id);
    assert_true(json_is_string(url) && strstr(json_string_value(url), id) != NULL);
    json_auto_t *gone = ask_for(&mine, "delete", id);
    assert_true(json_is_true(gone) && !is_error);
    json_auto_t *again = ask_for(&mine, "delete", id);
    assert_true(is_error);
    assert_string_equal(get(again, "code"), "not_found");
}

static void anothers_file_is_not_there(void **state)
{
    char id[FILES_ID_ROOM];
    struct files_owner sibling = mine; // another plugin of the same project
    snprintf(sibling.plugin_id, sizeof sibling.plugin_id, "%s", theirs.plugin_id);
    put(&theirs, "a.txt", id);
    const char *const ops[] = {"get", "getUrl", "delete"};
    for (size_t i = 0; i != 3; ++i) {
        json_auto_t *v = ask_for(&mine, ops[i], id);
        assert_true(is_error);
        assert_string_equal(get(v, "code"), "not_found");
    }
    put(&mine, "b.txt", id);
    for (size_t i = 0; i != 3; ++i) {
        json_auto_t *v = ask_for(&sibling, ops[i], id);
        assert_true(is_error);
        assert_string_equal(get(v, "code"), "not_found");
    }
    json_auto_t *still = ask_for(&mine, "get", id);
    assert_string_equal(get(still, "id"), id);
}

static void bad_questions_are_errors(void **state)
{
    refused("upload", "[]", "invalid_file");
    refused("upload", "[\"a\",\"b\",5]", "invalid_file");
    refused("upload", "[\"a\",\"b\",\"\"]", "invalid_file");
    refused("upload", "[\"a\",\"b\",\"a\"]", "invalid_file");
    refused("upload", "[\"a\",\"b\",\"%%%%\"]", "invalid_file");
    refused("upload", "{}", "invalid_file");
    refused("upload", "[\"a\",\"b\",\"Q1JBU0g=\"]", "busy"); // the cage crashed
    refused("get", "[]", "not_found");
    refused("get", "[5]", "not_found");
    refused("get", "[\"a\\u0000b\"]", "not_found");
    refused("get", "[\"file_made_up_made_up_made_up_made_up_made_up\"]", "not_found");
    refused("made-up", "[]", "invalid_file");
    assert_int_equal(ground_count(&mine, ""), 0);
}

static char *large_args(size_t bytes)
{
    struct buf b;
    size_t n = (bytes + 2) / 3 * 4;
    buf_init(&b, 32 << 20);
    buf_add(&b, STR("[\"a.txt\",\"text/plain\",\""));
    memset(buf_reserve(&b, n), 'A', n);
    b.n += n;
    buf_add(&b, STR("\"]"));
    return buf_take(&b);
}

static void size_and_quota_are_told(void **state)
{
    AUTOFREE char *most = large_args(FILES_FILE_MAX - 1), *over = large_args(FILES_FILE_MAX + 2);
    refused("upload", over, "file_too_large");
    for (int i = 0; i != 4; ++i)
        json_decref(ask(&mine, "upload", most));
    json_auto_t *v = ask(&mine, "upload", most);
    assert_true(is_error);
    assert_string_equal(get(v, "code"), "quota_exceeded");
    assert_non_null(strstr(get(v, "message"), "quota"));
}

// --- cancelling ---

static _Atomic int answers;

static void on_answer(struct files_question *q, bool error, str json)
{
    atomic_fetch_add(&answers, 1);
}

static void ask_and_cancel(struct loop *loop, void *arg)
{
    for (int i = 0; i != 20; ++i) {
        struct files_question *q = calloc(1, sizeof *q);
        q->owner = mine;
        q->on_answer = on_answer;
        files_ask(q, STR("upload"), STR("[\"a.txt\",\"text/plain\",\"aGVsbG8=\"]"));
        files_cancel(q);
        free(q);
    }
}

static void nothing_is_heard_of_a_cancelled_question(void **state)
{
    ground_on_loop(ask_and_cancel, NULL);
    for (int i = 0; ground_count(&mine, "") != 20; ++i) { // what was done stays done
        assert_true(i < 500);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    assert_int_equal(atomic_load(&answers), 0);
}

static void base64_is_atobs(void **state)
{
    static const struct {
        const char *text, *bytes;
    } rows[] = {{"", ""},           {"YQ==", "a"},        {"YWI=", "ab"},  {"YWJj", "abc"},
                {"YWJjZA", "abcd"}, {" Y W\nI = ", "ab"}, {"YQ", "a"},     {"YQ=", "a"},
                {"YR==", "a"},      {"Y", NULL},          {"YQ===", NULL}, {"Y=Q=", NULL},
                {"YW-_", NULL},     {"YWJj\xc3", NULL},   {"=", ""},       {"data:,", NULL}};
    for (size_t i = 0; i != sizeof rows / sizeof rows[0]; ++i) {
        char to[32];
        size_t n = 0;
        bool is_good = files_base64_decode(str_from(rows[i].text), to, &n);
        if (is_good != (rows[i].bytes != NULL) ||
            (is_good && !str_eq(str_of(to, n), str_from(rows[i].bytes))))
            fail_msg("%s", rows[i].text);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, begin)
    const struct CMUnitTest tests[] = {
        TEST(an_upload_is_described),     TEST(any_type_may_be_made),
        TEST(lists_are_the_plugins_own),  TEST(one_file_is_got_linked_and_deleted),
        TEST(anothers_file_is_not_there), TEST(bad_questions_are_errors),
        TEST(size_and_quota_are_told),    TEST(nothing_is_heard_of_a_cancelled_question),
        cmocka_unit_test(base64_is_atobs)};
    return cmocka_run_group_tests(tests, ground_begin, ground_end);
}
