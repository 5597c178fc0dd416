// The worker as the server sees it: frames, ends of runs, memory, and how it dies.
#include <assert.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/unit/runtime/player.h"
// cmocka last: it redefines words
#include <cmocka.h>

static bool is_shipped = true; // with the filter and the memory limit

static const char *const echo = "module.exports={handler:async(i)=>i}";

static void expect_data(struct player *p, uint32_t run, const char *data)
{
    player_skip_to(p, WORKER_RESULT);
    assert_int_equal(p->head.id, run);
    assert_string_equal(player_data(p), data);
}

static void ready_says_its_layers(void **state)
{
    struct player p;
    player_start(&p);
    unsigned layers = 0;
    assert_int_equal(sscanf(p.body, "{\"layers\":%u}", &layers), 1);
    if (is_shipped) {
        assert_true(layers & 16); // CAGE_FILTER
        assert_int_equal(player_threads(&p), 1);
    }
    assert_int_equal(player_stop(&p, false), 0);
}

static void refuses_to_run_without_its_environment(void **state)
{
    pid_t pid = fork();
    if (pid == 0) {
        char *argv[] = {"stoa-handler", NULL};
        char *env[] = {"TZ=UTC", "ASAN_OPTIONS=detect_leaks=0", NULL};
        execve(player_program, argv, env);
        _exit(127);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 97);
}

static void runs_interleave(void **state)
{
    struct player p;
    player_start(&p);
    player_load(&p,
                "module.exports={handler:async(i,c)=>{const r=await c.files.get(i.id);"
                "console.log(i.id);return [i.id,r]}}",
                false);
    player_call(&p, 1, "{\"id\":\"a\"}");
    player_skip_to(&p, WORKER_BRIDGE);
    uint32_t first = p.head.id;
    assert_int_equal(p.head.ref, 1);
    player_call(&p, 2, "{\"id\":\"b\"}");
    player_skip_to(&p, WORKER_BRIDGE);
    assert_int_equal(p.head.ref, 2);
    player_send(&p, WORKER_REPLY, 0, p.head.id, 2, STR("2"));
    player_skip_to(&p, WORKER_LOG);
    assert_int_equal(p.head.ref, 2);
    expect_data(&p, 2, "[\"b\",2]");
    player_send(&p, WORKER_REPLY, 0, first, 1, STR("1"));
    player_skip_to(&p, WORKER_LOG);
    assert_int_equal(p.head.ref, 1);
    expect_data(&p, 1, "[\"a\",1]");
    player_stop(&p, true);
}

static void replies_to_what_is_over_are_ignored(void **state)
{
    struct player p;
    player_start(&p);
    player_load(&p,
                "module.exports={handler:async(i,c)=>{try{await c.files.get('x');"
                "console.log('entered');await c.files.get('y')}finally{console.log('left')}}}",
                false);
    player_call(&p, 1, "{}");
    player_skip_to(&p, WORKER_BRIDGE);
    uint32_t call = p.head.id;
    player_send(&p, WORKER_DROP, 0, 1, 0, STR(""));
    player_send(&p, WORKER_REPLY, 0, call, 1, STR("1"));
    player_send(&p, WORKER_REPLY, 0, 99999, 1, STR("1")); // never asked
    player_send(&p, WORKER_REPLY, 0, call, 7, STR("1"));  // no such run
    player_send(&p, WORKER_DROP, 0, 7, 0, STR(""));
    player_send(&p, WORKER_PING, 0, 5, 0, STR(""));
    player_expect(&p, WORKER_PONG); // and no line in between
    assert_int_equal(p.head.id, 5);
    player_stop(&p, true);
}

static void a_run_that_is_over_cannot_ask(void **state)
{
    struct player p;
    player_start(&p);
    player_load(
        &p,
        "let old;module.exports={handler:async(i,c)=>{if(!old){old=c;return 'first'}"
        "setTimeout(()=>{},1);return [await old.fetch('https://a.example').catch(e=>e.message),"
        "await old.notify('x').catch(e=>e.message),"
        "(()=>{try{old.publicApp.respond(1)}catch(e){return e.message}})()]}}",
        false);
    player_call(&p, 1, "{}");
    expect_data(&p, 1, "\"first\"");
    player_call(&p, 2, "{}");
    expect_data(&p, 2,
                "[\"context.fetch: this run is over\",\"context.notify: this run is over\","
                "\"context.publicApp.respond: this run is over\"]");
    player_stop(&p, true);
}

static void a_result_ends_its_timers(void **state)
{
    struct player p;
    player_start(&p);
    player_load(&p,
                "module.exports={handler:()=>{setInterval(()=>console.log('tick'),5);return 1}}",
                false);
    player_call(&p, 1, "{}");
    player_skip_to(&p, WORKER_BRIDGE);
    uint32_t timer = p.head.id;
    player_expect(&p, WORKER_RESULT);
    player_send(&p, WORKER_REPLY, 0, timer, 1, STR(""));
    player_send(&p, WORKER_PING, 0, 1, 0, STR(""));
    player_expect(&p, WORKER_PONG);
    player_stop(&p, true);
}

// The code of the tests of promises that runs share: `shared` is asked for by the first of them.
#define SHARED                                                                                     \
    "let shared;const sleep=(ms)=>new Promise((d)=>setTimeout(d,ms));"                             \
    "module.exports={handler:async(i,c)=>{shared=shared||make(i,c);await shared;return go(i,c)}};"

// Takes frames until the result of `run`, answering every timer of a run that lives as it comes.
static void play_to_result(struct player *p, uint32_t run, bool others_are_over)
{
    for (;;) {
        unsigned type = player_read(p);
        assert_int_not_equal(type, 0);
        if (type == WORKER_RESULT && p->head.id == run)
            return;
        if (type == WORKER_BRIDGE && (!others_are_over || p->head.ref == run))
            player_send(p, WORKER_REPLY, 0, p->head.id, p->head.ref, STR(""));
    }
}

static void a_timer_outlives_the_run_it_was_set_in(void **state)
{
    struct player p;
    player_start(&p);
    player_load(&p,
                SHARED "const make=(i,c)=>sleep(20);"
                       "const go=(i)=>i.who;",
                false);
    player_call(&p, 1, "{\"who\":\"a\"}");
    player_skip_to(&p, WORKER_BRIDGE);
    player_call(&p, 2, "{\"who\":\"b\"}");
    player_send(&p, WORKER_DROP, 0, 1, 0, STR(""));
    play_to_result(&p, 2, true);
    assert_string_equal(player_data(&p), "\"b\"");
    player_stop(&p, true);
}

static void a_timer_set_when_its_run_is_over_is_set(void **state)
{
    struct player p;
    player_start(&p);
    player_load(&p,
                "let done;const wait=new Promise((d)=>{done=d});const sleep=(ms)=>"
                "new Promise((d)=>setTimeout(d,ms));module.exports={handler:async(i,c)=>{"
                "if(i.first){Promise.resolve().then(()=>0).then(()=>0).then(()=>0).then(()=>0)"
                ".then(()=>0).then(()=>0).then(()=>0).then(()=>0).then(()=>0).then(()=>sleep(10))"
                ".then(done);return 'a'}await wait;return 'b'}}",
                false);
    player_call(&p, 2, "{}");
    player_call(&p, 1, "{\"first\":true}");
    play_to_result(&p, 1, true);
    play_to_result(&p, 2, true);
    assert_string_equal(player_data(&p), "\"b\"");
    player_stop(&p, true);
}

// Run 1 begins what both wait for, so what run 2 does behind it counts as run 1's.
static const char throws_behind_a_promise_of_both[] =
    "let both;module.exports={handler:async(i,c)=>{both=both||c.fetch('a');await both;"
    "if(i.asks)return(await c.fetch('b'));"
    "if(i.waits)return new Promise(()=>{});"
    "return new Promise(()=>setTimeout(()=>{throw new Error('mine')},5))}}";

static void begin_two(struct player *p, const char *first, const char *second)
{
    player_start(p);
    player_load(p, throws_behind_a_promise_of_both, false);
    player_call(p, 1, first);
    player_skip_to(p, WORKER_BRIDGE);
    uint32_t shared = p->head.id;
    player_call(p, 2, second);
    player_skip_to(p, WORKER_STARTED);
    player_send(p, WORKER_REPLY, 0, shared, 1, STR("1"));
}

static void an_exception_in_anothers_timer_fails_no_run_that_waits_for_more(void **state)
{
    struct player p;
    begin_two(&p, "{\"asks\":true}", "{}");
    player_expect(&p, WORKER_BRIDGE);
    uint32_t asked = p.head.id;
    player_expect(&p, WORKER_BRIDGE);
    assert_non_null(strstr(p.body, "timer"));
    player_send(&p, WORKER_REPLY, 0, p.head.id, p.head.ref, STR(""));
    player_expect(&p, WORKER_LOG);
    assert_non_null(strstr(p.body, "mine"));
    player_send(&p, WORKER_REPLY, 0, asked, 1, STR("\"b\""));
    expect_data(&p, 1, "\"b\"");
    player_stop(&p, true);
}

static void an_exception_in_a_timer_fails_a_run_that_waits_for_nothing_else(void **state)
{
    struct player p;
    begin_two(&p, "{}", "{\"waits\":true}");
    player_expect(&p, WORKER_BRIDGE);
    player_send(&p, WORKER_REPLY, 0, p.head.id, 1, STR(""));
    player_expect(&p, WORKER_RESULT);
    assert_int_equal(p.head.id, 1);
    assert_true(player_has_failed(&p));
    player_stop(&p, true);
}

static void a_call_of_a_run_that_is_over_rejects_for_others(void **state)
{
    struct player p;
    player_start(&p);
    player_load(&p, SHARED "const make=(i,c)=>c.files.get('x');const go=(i)=>i.who;", false);
    player_call(&p, 1, "{\"who\":\"a\"}");
    player_skip_to(&p, WORKER_BRIDGE);
    player_call(&p, 2, "{\"who\":\"b\"}");
    player_send(&p, WORKER_DROP, 0, 1, 0, STR(""));
    play_to_result(&p, 2, true);
    assert_true(player_has_failed(&p));
    assert_non_null(
        strstr(player_data(&p), "context.files.get: the run that asked for it is over"));
    player_stop(&p, true);
}

// What is left fires when it is due, in order; one that repeats ends with the runs it was there with.
static void timers_left_fire_in_order_and_end(void **state)
{
    struct player p;
    player_start(&p);
    player_load(&p,
                "const seen=[];module.exports={handler:async(i,c)=>{if(i.leave){"
                "setTimeout(()=>seen.push('late'),90);setTimeout(()=>seen.push('soon'),10);"
                "setInterval(()=>seen.push('tick'),12);setTimeout(()=>{throw new Error('x')},5);"
                "return 1}"
                "await new Promise((d)=>setTimeout(d,i.ms));return "
                "[seen.length,seen[0],seen.includes('late')]}}",
                false);
    player_call(&p, 1, "{\"ms\":300}");
    player_call(&p, 2, "{\"leave\":true}");
    play_to_result(&p, 2, true);
    uint32_t clock = 0;
    for (int i = 0; i != 12; ++i) { // run 1's own is not answered: it was asked for before
        player_skip_to(&p, WORKER_BRIDGE);
        clock = p.head.id;
        assert_int_equal(p.head.ref, 1);
        player_send(&p, WORKER_REPLY, 0, clock, 1, STR(""));
    }
    player_call(&p, 3, "{\"ms\":1}");
    player_send(&p, WORKER_DROP, 0, 1, 0, STR(""));
    play_to_result(&p, 3, true);
    assert_non_null(strstr(player_data(&p), ",\"soon\",true]"));
    player_stop(&p, true);
}

static void pollution_does_not_reach_the_next_run(void **state)
{
    struct player p;
    player_start(&p);
    player_load(
        &p,
        "function merge(to,from){for(const k in from)if(from[k]&&typeof from[k]==='object')"
        "{to[k]=to[k]||{};merge(to[k],from[k])}else to[k]=from[k];return to}"
        "module.exports={handler:(i,c)=>{if(i.payload){try{merge({},i.payload)}catch{}return 1}"
        "return [c.isAdmin,c.secrets.TOKEN,c.user.role,i.admin,({}).status].map(String)}}",
        false);
    player_call(&p, 1,
                "{\"payload\":{\"__proto__\":{\"isAdmin\":true,\"TOKEN\":\"x\",\"role\":\"owner\","
                "\"admin\":1,\"status\":500,\"toJSON\":1,\"then\":1,\"value\":1,\"get\":1}}}");
    expect_data(&p, 1, "1");
    player_call(&p, 2, "{}");
    expect_data(&p, 2, "[\"undefined\",\"undefined\",\"undefined\",\"undefined\",\"undefined\"]");
    player_stop(&p, true);
}

static void state_is_kept_unless_fresh(void **state)
{
    const char *count =
        "let n=0;module.exports={handler:async()=>{globalThis.g=(globalThis.g||0)+1;"
        "Array.prototype.mine=n;return [++n,g]}}";
    struct player p;
    player_start(&p);
    player_load(&p, count, false);
    player_call(&p, 1, "{}");
    expect_data(&p, 1, "[1,1]");
    player_call(&p, 2, "{}");
    expect_data(&p, 2, "[2,2]");
    player_stop(&p, true);
    player_start(&p);
    player_load(&p, count, true);
    for (uint32_t run = 1; run != 50; ++run) {
        player_call(&p, run, "{}");
        expect_data(&p, run, "[1,1]");
    }
    player_stop(&p, true);
}

static void fresh_runs_interleave_and_are_dropped(void **state)
{
    struct player p;
    player_start(&p);
    player_load(&p, "let n=0;module.exports={handler:async(i,c)=>[await c.files.get('x'),++n]}",
                true);
    uint32_t calls[4];
    for (uint32_t run = 1; run != 4; ++run) {
        player_call(&p, run, "{}");
        player_skip_to(&p, WORKER_BRIDGE);
        calls[run] = p.head.id;
    }
    player_send(&p, WORKER_DROP, 0, 2, 0, STR(""));
    player_send(&p, WORKER_REPLY, 0, calls[2], 2, STR("2"));
    player_send(&p, WORKER_REPLY, 0, calls[3], 3, STR("3"));
    expect_data(&p, 3, "[3,1]");
    player_send(&p, WORKER_REPLY, 0, calls[1], 1, STR("1"));
    expect_data(&p, 1, "[1,1]");
    player_send(&p, WORKER_TIDY, 0, 0, 0, STR(""));
    player_expect(&p, WORKER_STATS);
    player_stop(&p, true);
}

static void bodies_of_any_size(void **state)
{
    struct player p;
    player_start(&p);
    player_load(&p,
                "module.exports={handler:(i,c)=>i.big!==undefined?i.big.length:"
                "c.files.upload('a','b',new Uint8Array(10e6)).then(r=>r.length)}",
                false);
    struct buf b;
    buf_init(&b, WORKER_TO_MAX);
    buf_add(&b, STR("{\"big\":\""));
    size_t n = 12 * 1024 * 1024;
    memset(buf_reserve(&b, n), 'x', n);
    b.n += n;
    buf_add(&b, STR("\"}"));
    buf_addc(&b, '\0');
    player_call(&p, 1, b.p);
    expect_data(&p, 1, "12582912");
    player_call(&p, 2, "{}");
    player_skip_to(&p, WORKER_BRIDGE);
    assert_int_equal(p.head.size, 13333336 + 27); // base64 of 10,000,000 bytes
    b.p[7] = '"';
    player_send(&p, WORKER_REPLY, 0, p.head.id, 2, str_of(b.p + 7, b.n - 9));
    expect_data(&p, 2, "12582912");
    buf_fini(&b);
    player_stop(&p, true);
}

static void text_of_any_bytes(void **state)
{
    static const char bytes[] =
        "{\"ok\":true,\"body\":\"\"}\0\"\\\n\0\x7f\xc3\xa4\xff\xe2\x82\xf0\x9f\x98\x80";
    static const struct {
        str given;
        const char *expected;
    } cases[] = {
        {{bytes, sizeof bytes - 1}, "[true,[34,92,10,0,127,228,65533,65533,128512]]"},
        {STR("{\"body\":\"\",\"ok\":1}\0plain"), "[1,[112,108,97,105,110]]"},
        {STR("{\"body\":\"\",\"ok\":2}\0"), "[2,[]]"},
    };
    struct player p;
    player_start(&p);
    player_load(&p,
                "module.exports={handler:(i,c)=>c.fetch('a').then(r=>"
                "[r.ok,[...r.body].map(c=>c.codePointAt(0))])}",
                false);
    for (uint32_t i = 0; i != sizeof cases / sizeof cases[0]; ++i) {
        player_call(&p, i + 1, "{}");
        player_skip_to(&p, WORKER_BRIDGE);
        player_send(&p, WORKER_REPLY, WORKER_WITH_TEXT, p.head.id, i + 1, cases[i].given);
        expect_data(&p, i + 1, cases[i].expected);
    }
    player_stop(&p, true);
}

static void too_much_for_one_call_rejects(void **state)
{
    struct player p;
    player_start(&p);
    player_load(&p,
                "module.exports={handler:(i,c)=>c.fetch('https://a.example',"
                "{method:'POST',body:'x'.repeat(17e6)}).catch(e=>e.message)}",
                false);
    player_call(&p, 1, "{}");
    expect_data(&p, 1, "\"context.fetch: the arguments are too large, or nested too deeply\"");
    player_stop(&p, true);
}

static void a_flood_of_calls_waits_in_line(void **state)
{
    struct player p;
    unsigned calls = 0, type;
    player_start(&p);
    player_load(&p,
                "module.exports={handler:(i,c)=>{for(let n=0;n<100000;++n)"
                "c.fetch('https://a.example/'+n);return 'sent'}}",
                false);
    player_call(&p, 1, "{}");
    while ((type = player_read(&p)) != WORKER_RESULT) {
        assert_int_not_equal(type, 0);
        calls += type == WORKER_BRIDGE;
    }
    assert_int_equal(calls, 64); // the others end with the run
    player_send(&p, WORKER_PING, 0, 1, 0, STR(""));
    player_expect(&p, WORKER_PONG);
    player_stop(&p, true);
}

static void a_flood_of_lines_is_cut(void **state)
{
    struct player p;
    unsigned lines = 0, type;
    size_t bytes = 0;
    player_start(&p);
    player_load(&p,
                "module.exports={handler:()=>{for(let n=0;n<100000;++n)console.log('x');"
                "return 1}}",
                false);
    player_call(&p, 1, "{}");
    while ((type = player_read(&p)) != WORKER_RESULT)
        lines += type == WORKER_LOG;
    assert_int_equal(lines, 1100);
    player_stop(&p, true);
    player_start(&p);
    player_load(&p,
                "module.exports={handler:()=>{for(let n=0;n<1000;++n)"
                "console.log('x'.repeat(1e6));return 1}}",
                false);
    player_call(&p, 1, "{}");
    while ((type = player_read(&p)) != WORKER_RESULT)
        bytes += type == WORKER_LOG ? p.head.size : 0;
    assert_in_range(bytes, 256 * 1024, 400 * 1024);
    player_stop(&p, true);
}

static void lines_arrive_before_it_hangs(void **state)
{
    struct player p;
    player_start(&p);
    player_load(&p, "module.exports={handler:()=>{console.log('before');for(;;);}}", false);
    player_call(&p, 1, "{}");
    player_expect(&p, WORKER_STARTED);
    player_expect(&p, WORKER_LOG);
    assert_true(WIFSIGNALED(player_stop(&p, true)));
}

static void nonsense_ends_it(void **state)
{
    struct player p;
    player_start(&p);
    player_send(&p, (enum worker_frame)99, 0, 0, 0, STR("x"));
    assert_int_equal(player_read(&p), 0);
    int status = player_stop(&p, false);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == WORKER_EXIT_NONSENSE);
    player_start(&p);
    struct worker_frame_head head = {.size = WORKER_TO_MAX + 1, .type = WORKER_LOAD};
    assert_int_equal(write(p.fd, &head, sizeof head), sizeof head);
    assert_int_equal(player_read(&p), 0);
    status = player_stop(&p, false);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == WORKER_EXIT_NONSENSE);
}

static void code_that_is_no_text(void **state)
{
    struct player p;
    player_start(&p);
    player_send(&p, WORKER_LOAD, 0, 0, 0, STR("let a;\nlet \xff;"));
    player_expect(&p, WORKER_LOADED);
    assert_true(player_has_failed(&p));
    assert_non_null(strstr(p.body, "\"line\":2,\"column\":5"));
    player_send(&p, WORKER_LOAD, 0, 0, 0, STR("let a\0;"));
    player_expect(&p, WORKER_LOADED);
    assert_true(player_has_failed(&p));
    player_send(&p, WORKER_LOAD, 0, 0, 0, str_from(echo)); // nothing was loaded before
    player_expect(&p, WORKER_LOADED);
    assert_false(player_has_failed(&p));
    player_stop(&p, true);
}

// --- memory ---
static void tidying_gives_memory_back(void **state)
{
    struct player p;
    player_start(&p);
    player_load(&p,
                "module.exports={handler:()=>{let a=[];for(let i=0;i<3e5;++i)a.push({i});"
                "return a.length}}",
                false);
    for (uint32_t run = 1; run != 6; ++run) {
        player_call(&p, run, "{}");
        expect_data(&p, run, "300000");
    }
    long before = player_memory(&p);
    player_send(&p, WORKER_TIDY, 0, 0, 0, STR(""));
    player_expect(&p, WORKER_STATS);
    assert_non_null(strstr(p.body, "\"heapSize\":"));
    if (is_shipped)
        assert_true(player_memory(&p) < before / 2);
    player_call(&p, 9, "{}");
    expect_data(&p, 9, "300000");
    player_stop(&p, true);
}

// How a handler that takes memory without end ends: the run by an error that it may catch, or the
// worker, saying why.
static void bomb(const char *body, const char *wanted)
{
    struct player p;
    char code[512];
    snprintf(code, sizeof code,
             "module.exports={handler:()=>{try{%s}catch(e){return e.name}return 'survived'}}",
             body);
    player_start(&p);
    player_load(&p, code, false);
    player_call(&p, 1, "{}");
    player_expect(&p, WORKER_STARTED);
    unsigned type = player_read(&p);
    if (wanted != NULL) {
        assert_int_equal(type, WORKER_RESULT);
        assert_string_equal(player_data(&p), wanted);
        player_stop(&p, true);
        return;
    }
    assert_int_equal(type, 0);
    int status = player_stop(&p, false);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == WORKER_EXIT_MEMORY);
}

static void memory_bombs(void **state)
{
    if (!is_shipped)
        skip();
    bomb("let s='x';for(;;)s+=s", "\"RangeError\"");
    bomb("let a=[];for(;;)a.push(new Uint8Array(1<<20).fill(1))", "\"RangeError\"");
    bomb("new Array(1e8).fill(1)", "\"RangeError\"");
    bomb("let m=new Map();for(let i=0;;++i)m.set(i,{i})", "\"RangeError\"");
    bomb("let a=[];for(;;)a.push({a:1,b:{c:a.length}})", NULL);
    bomb("let a=[];for(;;)a.push('x'.repeat(1000)+a.length)", NULL);
    bomb("new TextEncoder().encode('\\u00e9'.repeat(5e7))", NULL);
}

static void many_runs_do_not_grow_it(void **state)
{
    if (!is_shipped)
        skip();
    for (int is_fresh = 0; is_fresh != 2; ++is_fresh) {
        struct player p;
        player_start(&p);
        player_load(&p, "module.exports={handler:async(i,c)=>{await c.files.get('x');return {i}}}",
                    is_fresh);
        long after_first = 0;
        for (uint32_t run = 1; run != 3001; ++run) {
            player_call(&p, run, "{}");
            player_skip_to(&p, WORKER_BRIDGE);
            player_send(&p, WORKER_REPLY, 0, p.head.id, run, STR("1"));
            player_skip_to(&p, WORKER_RESULT);
            if (run % 1000 != 0)
                continue;
            player_send(&p, WORKER_TIDY, 0, 0, 0, STR(""));
            player_expect(&p, WORKER_STATS);
            long now = player_memory(&p);
            if (run == 1000)
                after_first = now;
            else
                assert_true(now < after_first + 2048);
        }
        player_stop(&p, true);
    }
}

// test_worker [PROGRAM]
int main(int argc, char **argv)
{
    if (argc > 1) {
        player_program = argv[1];
        is_shipped = false;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ready_says_its_layers),
        cmocka_unit_test(refuses_to_run_without_its_environment),
        cmocka_unit_test(runs_interleave),
        cmocka_unit_test(replies_to_what_is_over_are_ignored),
        cmocka_unit_test(a_run_that_is_over_cannot_ask),
        cmocka_unit_test(a_result_ends_its_timers),
        cmocka_unit_test(a_timer_outlives_the_run_it_was_set_in),
        cmocka_unit_test(a_timer_set_when_its_run_is_over_is_set),
        cmocka_unit_test(an_exception_in_anothers_timer_fails_no_run_that_waits_for_more),
        cmocka_unit_test(an_exception_in_a_timer_fails_a_run_that_waits_for_nothing_else),
        cmocka_unit_test(a_call_of_a_run_that_is_over_rejects_for_others),
        cmocka_unit_test(timers_left_fire_in_order_and_end),
        cmocka_unit_test(pollution_does_not_reach_the_next_run),
        cmocka_unit_test(state_is_kept_unless_fresh),
        cmocka_unit_test(fresh_runs_interleave_and_are_dropped),
        cmocka_unit_test(bodies_of_any_size),
        cmocka_unit_test(text_of_any_bytes),
        cmocka_unit_test(too_much_for_one_call_rejects),
        cmocka_unit_test(a_flood_of_calls_waits_in_line),
        cmocka_unit_test(a_flood_of_lines_is_cut),
        cmocka_unit_test(lines_arrive_before_it_hangs),
        cmocka_unit_test(nonsense_ends_it),
        cmocka_unit_test(code_that_is_no_text),
        cmocka_unit_test(tidying_gives_memory_back),
        cmocka_unit_test(memory_bombs),
        cmocka_unit_test(many_runs_do_not_grow_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
