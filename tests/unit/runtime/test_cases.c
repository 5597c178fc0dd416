// What a handler meets, case by case: each file of cases/ is a handler whose first lines say what is
// given to it and what must come of it (cases/README.md). Run in the real program.
#include <assert.h>
#include <dirent.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include "tests/unit/runtime/player.h"
// cmocka last: it redefines words
#include <cmocka.h>

enum { TIMERS = 256, LINES = 64, RUN = 5 };

struct wanted {
    const char *kind, *input, *export, *data, *meta, *error, *code, *load_error;
    long line, column, first;
    bool is_stuck, is_fresh, is_optional;
    const char *logs[LINES], *calls[LINES];
    size_t log_count, call_count;
};

struct play {
    struct player player;
    const struct wanted *wanted;
    size_t logs, calls;
    struct {
        uint32_t call;
        double due;
    } timers[TIMERS];
    size_t timer_count;
    double now;
};

// --- what a case says of itself ---
static bool take(char *line, const char *key, const char **ret)
{
    size_t n = strlen(key);
    if (strncmp(line, "// ", 3) != 0 || strncmp(line + 3, key, n) != 0 || line[3 + n] != ':')
        return false;
    *ret = line + 3 + n + 1 + (line[3 + n + 1] == ' ');
    return true;
}

static void take_line(struct wanted *w, char *line)
{
    const char *text;
    if (take(line, "log", &text)) {
        assert(w->log_count != LINES);
        w->logs[w->log_count++] = text;
    } else if (take(line, "bridge", &text)) {
        assert(w->call_count != LINES);
        w->calls[w->call_count++] = text;
    } else if (take(line, "line", &text)) {
        w->line = strtol(text, NULL, 10);
    } else if (take(line, "first", &text)) {
        w->first = strtol(text, NULL, 10);
    } else if (take(line, "column", &text)) {
        w->column = strtol(text, NULL, 10);
    } else if (strcmp(line, "// stuck") == 0) {
        w->is_stuck = true;
    } else if (strcmp(line, "// fresh") == 0) {
        w->is_fresh = true;
    } else if (strcmp(line, "// optional") == 0) {
        w->is_optional = true;
    } else {
        (void)(take(line, "kind", &w->kind) || take(line, "input", &w->input) ||
               take(line, "export", &w->export) || take(line, "data", &w->data) ||
               take(line, "meta", &w->meta) || take(line, "error", &w->error) ||
               take(line, "code", &w->code) || take(line, "load-error", &w->load_error));
    }
}

// Cuts `head`, a copy of the code, into its lines.
static void read_wanted(struct wanted *w, char *head)
{
    *w = (struct wanted){.kind = "public", .input = "{}", .export = "handler"};
    for (char *line = head; strncmp(line, "//", 2) == 0;) {
        char *end = strchr(line, '\n');
        assert(end != NULL);
        *end = '\0';
        take_line(w, line);
        line = end + 1;
    }
}

// --- comparing ---
static json_t *parse(const char *text)
{
    json_error_t error;
    json_t *value = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (value == NULL)
        fail_msg("not JSON (%s): %s", error.text, text);
    return value;
}

static void same(const char *what, const char *got, const char *wanted)
{
    if (strcmp(wanted, "undefined") == 0) {
        assert_string_equal(got, "");
        return;
    }
    json_auto_t *a = parse(got), *b = parse(wanted);
    if (!json_equal(a, b))
        fail_msg("%s is\n  %s\nand not\n  %s", what, got, wanted);
}

// Each member of `wanted` is in `got`, which may have more; null: it is absent.
static void has(json_t *got, const char *wanted_text)
{
    json_auto_t *wanted = parse(wanted_text);
    const char *key;
    json_t *value;
    json_object_foreach(wanted, key, value)
    {
        json_t *there = json_object_get(got, key);
        bool is_right = json_is_null(value) ? there == NULL : json_equal(there, value);
        if (!is_right) {
            char *text = there != NULL ? json_dumps(there, JSON_ENCODE_ANY) : NULL;
            fail_msg("meta.%s is %s", key, text != NULL ? text : "absent");
        }
    }
}

static void is_error(json_t *error, const char *wanted, const struct wanted *w)
{
    char text[8192];
    snprintf(text, sizeof text, "%s: %s", json_string_value(json_object_get(error, "name")),
             json_string_value(json_object_get(error, "message")));
    if (strncmp(text, wanted, strlen(wanted)) != 0)
        fail_msg("the error is\n  %s\nand not\n  %s", text, wanted);
    if (w->code != NULL)
        assert_string_equal(json_string_value(json_object_get(error, "code")), w->code);
    if (w->line != 0)
        assert_int_equal(json_integer_value(json_object_get(error, "line")), w->line);
    if (w->column != 0)
        assert_int_equal(json_integer_value(json_object_get(error, "column")), w->column);
}

// --- playing the server ---
static void on_log(struct play *p)
{
    assert_in_range(p->logs + 1, 1, p->wanted->log_count);
    same("log", p->player.body, p->wanted->logs[p->logs++]);
}

// A timer waits until nothing else happens; anything else is answered by what was asked, or, when
// that begins with "fail", by an error.
static void on_call(struct play *p)
{
    uint32_t call = p->player.head.id, run = p->player.head.ref;
    json_auto_t *body = parse(p->player.body);
    const char *op = json_string_value(json_array_get(body, 0));
    assert_non_null(op);
    if (strcmp(op, "timer") == 0) {
        assert(p->timer_count != TIMERS);
        p->timers[p->timer_count].call = call;
        p->timers[p->timer_count++].due = p->now + json_number_value(json_array_get(body, 1));
        return;
    }
    if (p->wanted->call_count != 0) {
        assert_in_range(p->calls + 1, 1, p->wanted->call_count);
        same("bridge", p->player.body, p->wanted->calls[p->calls++]);
    }
    if (p->player.head.flags & WORKER_ONE_WAY)
        return;
    const char *argument = json_string_value(json_array_get(body, 1));
    if (argument != NULL && strncmp(argument, "fail", 4) == 0)
        player_send(&p->player, WORKER_REPLY, WORKER_FAILED, call, run,
                    STR("{\"message\":\"the server says no\",\"code\":\"refused\"}"));
    else if (argument != NULL && strcmp(argument, "nothing") == 0)
        player_send(&p->player, WORKER_REPLY, 0, call, run, STR(""));
    else
        player_send(&p->player, WORKER_REPLY, 0, call, run, str_from(p->player.body));
    player_send(&p->player, WORKER_PING, 0, 0, 0, STR(""));
}

static bool fire_timer(struct play *p)
{
    size_t first = 0;
    if (p->timer_count == 0)
        return false;
    for (size_t i = 1; i != p->timer_count; ++i)
        if (p->timers[i].due < p->timers[first].due)
            first = i;
    p->now = p->timers[first].due;
    uint32_t call = p->timers[first].call;
    memmove(p->timers + first, p->timers + first + 1,
            (--p->timer_count - first) * sizeof *p->timers);
    player_send(&p->player, WORKER_REPLY, 0, call, RUN, STR(""));
    player_send(&p->player, WORKER_PING, 0, 0, 0, STR(""));
    return true;
}

static void on_result(struct play *p)
{
    const struct wanted *w = p->wanted;
    struct player *r = &p->player;
    json_auto_t *meta = json_loadb(r->body, r->head.ref, 0, NULL);
    assert_true(json_is_object(meta));
    assert_int_equal(r->head.id, RUN);
    if (player_has_failed(r) && w->error == NULL)
        fail_msg("it failed: %s", r->body);
    if (w->meta != NULL)
        has(meta, w->meta);
    if (w->error != NULL) {
        if (!player_has_failed(r))
            fail_msg("it did not fail: %s", r->body);
        is_error(json_object_get(meta, "error"), w->error, w);
    } else if (w->data != NULL) {
        same("data", r->body + r->head.ref, w->data);
    }
}

static void play_run(struct play *p)
{
    const struct wanted *w = p->wanted;
    struct buf b;
    buf_init(&b, WORKER_TO_MAX);
    const char *app =
        strcmp(w->kind, "public") == 0
            ? "{\"instanceId\":\"i-1\",\"visitorIp\":\"192.0.2.1\"}"
            : "{\"instanceId\":\"i-1\",\"instanceSlug\":\"app-1\",\"pluginSlug\":\"app\","
              "\"baseUrl\":\"https://apps.example\"}";
    buf_addf(&b,
             "{\"export\":\"%s\",\"isOptional\":%s,\"input\":%s,\"context\":{\"kind\":\"%s\","
             "\"user\":{\"id\":\"u-1\","
             "\"displayName\":\"Uma\"},\"secrets\":{\"KEY\":\"s3cret\"},\"userConfig\":{\"topics\":"
             "[\"tech\"]},\"publicApp\":%s}}",
             w->export, w->is_optional ? "true" : "false", w->input, w->kind, app);
    player_send(&p->player, WORKER_CALL, 0, RUN, 0, buf_str(&b));
    buf_fini(&b);
    player_send(&p->player, WORKER_PING, 0, 0, 0, STR(""));
    player_expect(&p->player, WORKER_STARTED);
    // as many PONGs are under way as there were PINGs; only the last one means that it waits
    for (unsigned pings = 1;;) {
        switch (player_read(&p->player)) {
        case WORKER_LOG:
            on_log(p);
            break;
        case WORKER_BRIDGE: {
            json_auto_t *body = parse(p->player.body);
            bool is_timer = strcmp(json_string_value(json_array_get(body, 0)), "timer") == 0;
            pings += !is_timer && !(p->player.head.flags & WORKER_ONE_WAY);
            on_call(p);
            break;
        }
        case WORKER_PONG:
            if (--pings != 0)
                break;
            if (fire_timer(p)) {
                ++pings;
                break;
            }
            if (!w->is_stuck)
                fail_msg("it waits for nothing");
            return;
        case WORKER_RESULT:
            assert_false(w->is_stuck);
            on_result(p);
            return;
        default:
            fail_msg("the worker died");
        }
    }
}

static void play_load(struct play *p, str code)
{
    const struct wanted *w = p->wanted;
    player_send(&p->player, WORKER_LOAD, w->is_fresh ? WORKER_FRESH : 0, (uint32_t)w->first, 0,
                code);
    player_read(&p->player);
    while (p->player.head.type == WORKER_LOG) {
        on_log(p);
        player_read(&p->player);
    }
    assert_int_equal(p->player.head.type, WORKER_LOADED);
    if (player_has_failed(&p->player) && w->load_error == NULL)
        fail_msg("not loaded: %s", p->player.body);
    if (w->load_error == NULL)
        return;
    if (!player_has_failed(&p->player))
        fail_msg("it was loaded");
    json_auto_t *error = parse(p->player.body);
    is_error(error, w->load_error, w);
}

static char *read_file(const char *path, size_t *ret_n)
{
    FILE *f = fopen(path, "rb");
    assert(f != NULL);
    assert(fseek(f, 0, SEEK_END) == 0);
    *ret_n = (size_t)ftell(f);
    rewind(f);
    char *text = calloc(1, *ret_n + 1);
    assert(text != NULL && fread(text, 1, *ret_n, f) == *ret_n);
    fclose(f);
    return text;
}

static void play_case(void **state)
{
    size_t n;
    char *code = read_file(*state, &n), *head = strdup(code);
    struct wanted wanted;
    struct play play = {.wanted = &wanted};
    read_wanted(&wanted, head);
    player_start(&play.player);
    play_load(&play, str_of(code, n));
    if (wanted.load_error == NULL)
        play_run(&play);
    assert_int_equal(play.logs, wanted.log_count);
    assert_int_equal(play.calls, wanted.call_count);
    player_stop(&play.player, true);
    free(code);
    free(head);
}

static int is_case(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);
    return n > 3 && strcmp(entry->d_name + n - 3, ".js") == 0;
}

// test_cases [PROGRAM [CASE]]
int main(int argc, char **argv)
{
    struct dirent **files;
    int count = scandir(CASES, &files, is_case, alphasort);
    assert(count > 0);
    if (argc > 1)
        player_program = argv[1];
    struct CMUnitTest *tests = calloc((size_t)count, sizeof *tests);
    size_t kept = 0;
    for (int i = 0; i != count; ++i) {
        char *path;
        if (argc > 2 && strstr(files[i]->d_name, argv[2]) == NULL)
            continue;
        assert(asprintf(&path, "%s/%s", CASES, files[i]->d_name) > 0);
        tests[kept++] = (struct CMUnitTest){
            .name = files[i]->d_name, .test_func = play_case, .initial_state = path};
    }
    int failed = _cmocka_run_group_tests("cases", tests, kept, NULL, NULL);
    for (size_t i = 0; i != kept; ++i)
        free(tests[i].initial_state);
    for (int i = 0; i != count; ++i)
        free(files[i]);
    free(files);
    free(tests);
    return failed;
}
