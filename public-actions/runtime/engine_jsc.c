// Contexts ("realms") and what is called in them. All realms share one virtual machine, so that the
// prelude and the handler's code are compiled once however often they are run.
#include "public-actions/runtime/engine_jsc.h"
#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

enum { LARGE = 1024 * 1024 }; // of a text: with a few more like it memory may be short

// One JavaScript global object with the prelude in it.
struct realm {
    struct realm *next;
    JSGlobalContextRef ctx;
    JSObjectRef load, call, reply, drop, describe; // protected
    uint32_t run;                                  // whose it is, when each run has its own
    bool is_over;                                  // its run has ended: to be freed
};

static JSContextGroupRef machine;
static JSGlobalContextRef plain; // without a prelude; lives as long as the machine
static JSObjectRef nothing;      // a function of it that does nothing
static engine_send send_frame;
static JSStringRef handler_source, handler_url; // once loaded
static unsigned handler_line = 1;               // of the code's first line
static bool is_fresh_each;
static struct realm *shared_realm; // of all runs
static struct realm *fresh_realms; // … or one for each run
static struct realm *spare_realm;

// --- realms ---
static struct realm *realm_of(uint32_t run)
{
    struct realm *r = fresh_realms;
    if (!is_fresh_each)
        return shared_realm;
    while (r != NULL && r->run != run)
        r = r->next;
    return r;
}

// Everything that the prelude sends passes here: the end of a run is the end of its own realm.
static void on_frame(enum worker_frame type, uint8_t flags, uint32_t id, uint32_t ref, str a, str b)
{
    send_frame(type, flags, id, ref, a, b);
    if (type == WORKER_RESULT && is_fresh_each) {
        struct realm *r = realm_of(id);
        if (r != NULL)
            r->is_over = true;
    }
}

static void must_not_throw(JSContextRef ctx, JSValueRef exception)
{
    if (exception == NULL)
        return;
    JSStringRef s = JSValueToStringCopy(ctx, exception, NULL);
    str text = s != NULL ? engine_jsc_utf8(ENGINE_SLOT_A, s, 1024) : (str){0};
    if (write(STDERR_FILENO, text.p, text.n) < 0)
        abort();
    abort(); // the prelude is ours
}

static JSObjectRef take_function(struct realm *r, JSObjectRef own, const char *name)
{
    JSObjectRef f = (JSObjectRef)engine_jsc_property(r->ctx, own, name);
    assert(JSValueIsObject(r->ctx, f) && JSObjectIsFunction(r->ctx, f));
    JSValueProtect(r->ctx, f);
    return f;
}

// The scripts' texts as the engine's own strings, made once: it knows a source again by its string.
static JSStringRef prelude_source(size_t i)
{
    static JSStringRef sources[32];
    assert(i < sizeof sources / sizeof *sources);
    if (sources[i] == NULL)
        sources[i] = JSStringCreateWithUTF8CString(engine_scripts[i].text);
    return sources[i];
}

static void run_prelude(struct realm *r, JSObjectRef own)
{
    for (size_t i = 0; i != engine_script_count; ++i) {
        JSValueRef exception = NULL, argument = own;
        JSStringRef url = engine_jsc_literal(engine_scripts[i].name);
        JSValueRef f = JSEvaluateScript(r->ctx, prelude_source(i), NULL, url, 1, &exception);
        JSStringRelease(url);
        must_not_throw(r->ctx, exception);
        JSObjectCallAsFunction(r->ctx, (JSObjectRef)f, NULL, 1, &argument, &exception);
        must_not_throw(r->ctx, exception);
    }
}

static void forbid_eval(JSGlobalContextRef ctx)
{
    JSStringRef why = engine_jsc_literal("Code from strings (eval, new Function) is not offered.");
    JSGlobalContextSetEvalEnabled(ctx, false, why);
    JSStringRelease(why);
}

static void set_property(JSContextRef ctx, JSObjectRef o, const char *name, JSValueRef value)
{
    JSStringRef key = engine_jsc_literal(name);
    JSObjectSetProperty(ctx, o, key, value, kJSPropertyAttributeNone, NULL);
    JSStringRelease(key);
}

static struct realm *realm_create(void)
{
    struct realm *r = calloc(1, sizeof *r);
    if (r == NULL)
        abort();
    r->ctx = JSGlobalContextCreateInGroup(machine, NULL);
    forbid_eval(r->ctx);
    JSObjectRef own = JSObjectMake(r->ctx, NULL, NULL);
    JSValueProtect(r->ctx, own);
    set_property(r->ctx, own, "host", engine_jsc_host(r->ctx, on_frame));
    set_property(r->ctx, own, "columnsBefore",
                 JSValueMakeNumber(r->ctx, (double)(sizeof ENGINE_BEFORE - 1)));
    run_prelude(r, own);
    r->load = take_function(r, own, "load");
    r->call = take_function(r, own, "call");
    r->reply = take_function(r, own, "reply");
    r->drop = take_function(r, own, "drop");
    r->describe = take_function(r, own, "describe");
    JSObjectRef on_rejection = (JSObjectRef)engine_jsc_property(r->ctx, own, "onRejection");
    JSGlobalContextSetUnhandledRejectionCallback(r->ctx, on_rejection, NULL);
    JSValueUnprotect(r->ctx, own);
    return r;
}

static void realm_destroy(struct realm *r)
{
    // the engine holds on to this callback, and so to its whole context, until there is another
    JSGlobalContextSetUnhandledRejectionCallback(r->ctx, nothing, NULL);
    JSObjectRef functions[] = {r->load, r->call, r->reply, r->drop, r->describe};
    for (size_t i = 0; i != sizeof functions / sizeof *functions; ++i)
        JSValueUnprotect(r->ctx, functions[i]);
    JSGlobalContextRelease(r->ctx);
    free(r);
}

static void sweep_realms(void)
{
    for (struct realm **at = &fresh_realms; *at != NULL;) {
        struct realm *r = *at;
        if (r->is_over) {
            *at = r->next;
            realm_destroy(r);
        } else {
            at = &r->next;
        }
    }
}

// --- calling in ---
// The prelude catches what handlers throw. What comes through all the same (the stack was used up
// while it caught) is dropped: the run then ends by its deadline.
static JSValueRef enter(struct realm *r, JSObjectRef function, size_t n,
                        const JSValueRef *arguments, JSValueRef *ret_exception)
{
    JSValueRef exception = NULL;
    JSValueRef value = JSObjectCallAsFunction(r->ctx, function, NULL, n, arguments, &exception);
    *ret_exception = exception;
    return exception == NULL ? value : NULL;
}

static JSValueRef text_value(JSContextRef ctx, str body)
{
    char *end = (char *)body.p + body.n, was = *end;
    *end = '\0';
    JSStringRef s = JSStringCreateWithUTF8CString(body.p);
    *end = was;
    JSValueRef value = JSValueMakeString(ctx, s);
    JSStringRelease(s);
    return value;
}

// Most bytes are ASCII: one for each character, then, in the engine too.
static JSValueRef bytes_value(JSContextRef ctx, str bytes)
{
    size_t n = 0;
    while (n != bytes.n && bytes.p[n] != 0 && (unsigned char)bytes.p[n] < 0x80)
        ++n;
    return n == bytes.n ? text_value(ctx, bytes) : engine_jsc_text(ctx, bytes);
}

// --- loading ---
static void send_loaded(JSContextRef ctx, uint8_t flags, JSValueRef json)
{
    JSStringRef s = JSValueToStringCopy(ctx, json, NULL);
    str body = engine_jsc_utf8(ENGINE_SLOT_A, s, WORKER_META_MAX);
    send_frame(WORKER_LOADED, flags, 0, 0, body, (str){0});
    JSStringRelease(s);
}

static void send_not_loaded(struct realm *r, JSValueRef exception, const struct engine_place *place)
{
    JSStringRef message = engine_jsc_literal(place->message != NULL ? place->message : "");
    JSValueRef arguments[] = {
        exception,
        JSValueMakeNumber(r->ctx, place->line),
        JSValueMakeNumber(r->ctx, place->column),
        JSValueMakeString(r->ctx, message),
    };
    JSStringRelease(message);
    JSValueRef ignored;
    JSValueRef json = enter(r, r->describe, 4, arguments, &ignored);
    if (json != NULL)
        send_loaded(r->ctx, WORKER_FAILED, json);
    else
        send_frame(WORKER_LOADED, WORKER_FAILED, 0, 0,
                   STR("{\"name\":\"Error\",\"message\":\"The code cannot be loaded.\"}"),
                   (str){0});
}

static unsigned line_of(JSContextRef ctx, JSValueRef error)
{
    if (!JSValueIsObject(ctx, error))
        return 0;
    double line = JSValueToNumber(ctx, engine_jsc_property(ctx, (JSObjectRef)error, "line"), NULL);
    return line >= 1 && line < 1e9 ? (unsigned)line : 0;
}

// Runs the handler's code once. NULL: it failed, and *ret_exception and *ret_place say how.
static JSValueRef load_handler(struct realm *r, JSValueRef *ret_exception, bool *ret_is_syntax)
{
    JSValueRef exception = NULL;
    JSValueRef wrapper =
        JSEvaluateScript(r->ctx, handler_source, NULL, handler_url, (int)handler_line, &exception);
    JSValueRef arguments[] = {wrapper, JSValueMakeNumber(r->ctx, handler_line)};
    *ret_is_syntax = exception != NULL;
    if (exception == NULL)
        return enter(r, r->load, 2, arguments, ret_exception);
    *ret_exception = exception;
    return NULL;
}

static void set_source(str code)
{
    struct buf b;
    buf_init(&b, code.n + sizeof ENGINE_BEFORE + sizeof ENGINE_BEHIND);
    buf_add(&b, STR(ENGINE_BEFORE));
    buf_add(&b, code);
    buf_add(&b, STR(ENGINE_BEHIND));
    char *text = buf_take(&b);
    handler_source = JSStringCreateWithUTF8CString(text);
    handler_url = engine_jsc_literal(ENGINE_HANDLER_URL);
    free(text);
}

static bool is_loadable_text(str code)
{
    size_t bad = str_utf8_prefix(code), nul = str_find(code, '\0');
    if (bad == code.n && nul == SIZE_MAX)
        return true;
    if (nul < bad)
        bad = nul;
    struct buf b;
    buf_init(&b, 256);
    unsigned line = handler_line, column = 1;
    for (size_t i = 0; i != bad; ++i) {
        column = code.p[i] == '\n' ? 1 : column + 1;
        line += code.p[i] == '\n';
    }
    buf_addf(&b,
             "{\"name\":\"SyntaxError\",\"message\":\"The code is not text in UTF-8.\","
             "\"line\":%u,\"column\":%u,\"stack\":\"\"}",
             line, column);
    send_frame(WORKER_LOADED, WORKER_FAILED, 0, 0, buf_str(&b), (str){0});
    buf_fini(&b);
    return false;
}

// The parser's errors are looked for in the code alone.
static struct engine_place find_syntax_error(JSContextRef ctx, str code, JSValueRef exception)
{
    unsigned line = line_of(ctx, exception), before = handler_line - 1;
    struct engine_place place = engine_jsc_find_error(ctx, code, line > before ? line - before : 0);
    if (place.line != 0)
        place.line += before;
    return place;
}

void engine_load(str code, unsigned first_line, bool is_fresh)
{
    if (handler_source != NULL)
        return;
    handler_line = first_line != 0 && first_line < 1000000 ? first_line : 1;
    if (!is_loadable_text(code))
        return;
    set_source(code);
    struct realm *r = spare_realm != NULL ? spare_realm : realm_create();
    spare_realm = NULL;
    JSValueRef exception = NULL;
    bool is_syntax;
    JSValueRef exports = load_handler(r, &exception, &is_syntax);
    if (exports == NULL) {
        struct engine_place place = {0};
        if (is_syntax)
            place = find_syntax_error(r->ctx, code, exception);
        send_not_loaded(r, exception, &place);
    } else {
        send_loaded(r->ctx, 0, exports);
    }
    is_fresh_each = is_fresh;
    if (is_fresh)
        realm_destroy(r);
    else
        shared_realm = r;
}

// --- runs ---
static struct realm *fresh_realm(uint32_t run)
{
    struct realm *r = spare_realm != NULL ? spare_realm : realm_create();
    spare_realm = NULL;
    r->run = run;
    r->next = fresh_realms;
    fresh_realms = r;
    JSValueRef exception;
    bool is_syntax;
    // when it throws now, though it did not before, calling says that there is no handler
    load_handler(r, &exception, &is_syntax);
    return r;
}

void engine_call(uint32_t run, str body)
{
    struct realm *r = is_fresh_each ? fresh_realm(run) : shared_realm;
    if (r == NULL)
        return; // the server calls what it has loaded
    JSValueRef arguments[] = {JSValueMakeNumber(r->ctx, run), text_value(r->ctx, body)};
    JSValueRef exception;
    enter(r, r->call, 2, arguments, &exception);
    sweep_realms();
    engine_jsc_trim_slots();
}

void engine_reply(uint32_t call, uint32_t run, bool has_failed, str body, str text)
{
    struct realm *r = realm_of(run);
    if (r == NULL)
        return;
    if (text.n > LARGE)
        engine_collect(); // by itself the engine begins with that too late for our little memory
    JSValueRef arguments[] = {
        JSValueMakeNumber(r->ctx, call),
        JSValueMakeNumber(r->ctx, run),
        JSValueMakeBoolean(r->ctx, has_failed),
        text_value(r->ctx, body),
        text.p != NULL ? bytes_value(r->ctx, text) : JSValueMakeUndefined(r->ctx),
    };
    JSValueRef exception;
    enter(r, r->reply, 5, arguments, &exception);
    sweep_realms();
    engine_jsc_trim_slots();
}

void engine_drop(uint32_t run)
{
    struct realm *r = realm_of(run);
    if (r == NULL)
        return;
    JSValueRef argument = JSValueMakeNumber(r->ctx, run), exception;
    enter(r, r->drop, 1, &argument, &exception);
    r->is_over = is_fresh_each;
    sweep_realms();
}

void engine_idle(void)
{
    bool has_use = handler_source == NULL || is_fresh_each;
    if (has_use && spare_realm == NULL)
        spare_realm = realm_create();
}

// --- memory ---
void engine_collect(void)
{
    JSSynchronousGarbageCollectForDebugging(plain);
}

static uint64_t number_of(JSContextRef ctx, JSObjectRef o, const char *name)
{
    double n = JSValueToNumber(ctx, engine_jsc_property(ctx, o, name), NULL);
    return n >= 0 && n < 1e15 ? (uint64_t)n : 0;
}

void engine_measure(struct engine_stats *ret)
{
    JSContextRef ctx = plain;
    JSObjectRef all = JSGetMemoryUsageStatistics(ctx);
    *ret = (struct engine_stats){.heap_size = number_of(ctx, all, "heapSize"),
                                 .heap_capacity = number_of(ctx, all, "heapCapacity")};
}

// --- the start ---
// Decided before the first instruction of the engine's libraries, so it is the starter's to set
// (edge/cage/spawn.c). One thread for good: a helper thread that must be started again later would
// be killed by the filter. The compilers, which need memory that is both written and run, are off.
static bool has_environment(void)
{
    static const char *const wanted[][2] = {
        {"JSC_useJIT", "0"},
        {"JSC_useWasm", "0"},
        {"JSC_useConcurrentGC", "0"},
        {"JSC_numberOfGCMarkers", "1"},
        {"JSC_useSharedArrayBuffer", "0"},
        {"GIGACAGE_ENABLED", "no"},
        {"Malloc", "1"},
        {"TZ", "UTC"},
    };
    for (size_t i = 0; i != sizeof wanted / sizeof *wanted; ++i) {
        const char *value = getenv(wanted[i][0]);
        if (value == NULL || strcmp(value, wanted[i][1]) != 0)
            return false;
    }
    return true;
}

// Runs `text`, which is ours and gives a boolean.
static bool warm_up(struct realm *r, const char *text)
{
    JSStringRef source = engine_jsc_literal(text);
    JSValueRef exception = NULL;
    JSValueRef value = JSEvaluateScript(r->ctx, source, NULL, NULL, 1, &exception);
    JSStringRelease(source);
    must_not_throw(r->ctx, exception);
    return JSValueIsBoolean(r->ctx, value) && JSValueToBoolean(r->ctx, value);
}

static JSValueRef do_nothing(JSContextRef ctx, JSObjectRef function, JSObjectRef self, size_t n,
                             const JSValueRef arguments[], JSValueRef *exception)
{
    return JSValueMakeUndefined(ctx);
}

bool engine_start(engine_send send)
{
    if (!has_environment())
        return false;
    send_frame = send;
    machine = JSContextGroupCreate();
    plain = JSGlobalContextCreateInGroup(machine, NULL);
    nothing = JSObjectMakeFunctionWithCallback(plain, NULL, do_nothing);
    JSValueProtect(plain, nothing);
    struct realm *r = realm_create();
    // an option's name changes with the engine's version, and an unknown one is only complained of
    bool is_obeyed = warm_up(r, "typeof WebAssembly === 'undefined' &&"
                                "typeof SharedArrayBuffer === 'undefined'");
    bool is_warm = warm_up(
        r,
        "new Date(2024, 1, 29).toString(); new Date().toLocaleString();"
        "new Intl.DateTimeFormat('en-GB', {timeZone: 'Europe/Paris'}).format(0);"
        "new Date(0).toLocaleDateString('de', {timeZone: 'America/New_York', weekday: 'long'});"
        "new Intl.NumberFormat('en', {style: 'currency', currency: 'EUR'}).format(1);"
        "new Intl.PluralRules('en').select(1); new Intl.Collator('sv').compare('a', 'b');"
        "new Intl.RelativeTimeFormat('en').format(1, 'day'); new Intl.ListFormat('en');"
        "new Intl.Segmenter('en').segment('a b'); new Intl.DisplayNames('en', {type: 'region'});"
        "'A\\u0300'.normalize('NFC'); 'A'.normalize('NFKD'); 'a'.localeCompare('b');"
        "'I'.toLocaleLowerCase('tr'); 'x'.toUpperCase(); (1.5).toLocaleString('de');"
        "/(a+)+b/iu.test('aaaa'); /\\p{L}/u.test('a'); /(?<=a)b/.test('ab'); Math.random();"
        "BigInt('12345678901234567890').toString(); new WeakRef({}); new "
        "FinalizationRegistry(() => 1);"
        "JSON.parse('{}'); (async () => { await 0; })(); try { null.x; } catch (e) { e.stack; }"
        "structuredClone({a: [1]}); crypto.randomUUID(); new URL('https://b\\u00fccher.de/?a=b');"
        "new TextDecoder().decode(new TextEncoder().encode('a')); btoa('a'); console.assert(1);"
        "crypto.subtle.digest('SHA-256', new Uint8Array(1)); true");
    JSSynchronousGarbageCollectForDebugging(r->ctx);
    realm_destroy(r);
    return is_obeyed && is_warm;
}
