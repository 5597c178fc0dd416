// What the engine's own files share; the engine is JavaScriptCore, by its C API.
#ifndef STOA_RUNTIME_ENGINE_JSC_H
#define STOA_RUNTIME_ENGINE_JSC_H
#include <JavaScriptCore/JavaScript.h>
#include "public-actions/runtime/engine.h"

// Exported by the library, declared in its private headers.
void JSGlobalContextSetEvalEnabled(JSGlobalContextRef ctx, bool enabled, JSStringRef message);
void JSGlobalContextSetUnhandledRejectionCallback(JSGlobalContextRef ctx, JSObjectRef function,
                                                  JSValueRef *exception);
void JSSynchronousGarbageCollectForDebugging(JSContextRef ctx);
JSObjectRef JSGetMemoryUsageStatistics(JSContextRef ctx);

// The prelude: scripts compiled in, evaluated in this order in every new context. Each is a
// function of one object, through which they know each other.
struct engine_script {
    const char *name, *text;
};
extern const struct engine_script engine_scripts[];
extern const size_t engine_script_count;

// What stands before and behind the handler's code; all in one line before, so that lines are the
// handler's own.
#define ENGINE_BEFORE "(function (module, exports) {"
#define ENGINE_BEHIND "\n})"
#define ENGINE_HANDLER_URL "handler.js"

// --- strings ---
static inline JSStringRef engine_jsc_literal(const char *z)
{
    return JSStringCreateWithUTF8CString(z);
}
// `s` as UTF-8 in memory that is the slot's until its next use; a lone surrogate is U+FFFD. An
// absent view when it has more than `max` bytes.
enum engine_slot { ENGINE_SLOT_A, ENGINE_SLOT_B, ENGINE_SLOTS };
str engine_jsc_utf8(enum engine_slot slot, JSStringRef s, size_t max);
// The text that any bytes are, as TextDecoder has it.
JSValueRef engine_jsc_text(JSContextRef ctx, str bytes);
// Gives the memory of unusually large strings back.
void engine_jsc_trim_slots(void);
JSValueRef engine_jsc_property(JSContextRef ctx, JSObjectRef o, const char *name);

// The functions that the prelude is given: what JavaScript alone cannot do.
JSObjectRef engine_jsc_host(JSContextRef ctx, engine_send send);

// Where in `code` its syntax error is: the engine tells the line only. What cannot be told is 0.
struct engine_place {
    unsigned line, column;
    const char *message; // better than the engine's; or NULL
};
struct engine_place engine_jsc_find_error(JSContextRef ctx, str code, unsigned line);
#endif
