// The functions that the prelude is given: sending frames, random bytes, and what web.h has. Handler
// code never gets hold of them: the prelude keeps them in its closures, and checks arguments before
// it calls. A wrong argument here gives undefined.
#include <stdlib.h>
#include <sys/random.h>
#include "edge/base/jsonx.h"
#include "public-actions/runtime/engine_jsc.h"
#include "public-actions/runtime/web.h"
#include "public-actions/runtime/web_domain.h"

enum { SLOT_KEEP = 1024 * 1024 };

static engine_send send_frame;

// --- strings out ---
static struct {
    char *p;
    size_t room;
} slots[ENGINE_SLOTS];

static char *slot_room(enum engine_slot slot, size_t room)
{
    if (slots[slot].room < room) {
        free(slots[slot].p);
        slots[slot].p = malloc(room);
        if (slots[slot].p == NULL)
            abort();
        slots[slot].room = room;
    }
    return slots[slot].p;
}

void engine_jsc_trim_slots(void)
{
    for (size_t i = 0; i != ENGINE_SLOTS; ++i) {
        if (slots[i].room > SLOT_KEEP) {
            free(slots[i].p);
            slots[i].p = NULL;
            slots[i].room = 0;
        }
    }
}

str engine_jsc_utf8(enum engine_slot slot, JSStringRef s, size_t max)
{
    size_t units = JSStringGetLength(s);
    if (units > max)
        return (str){0};
    size_t room = JSStringGetMaximumUTF8CStringSize(s);
    char *p = slot_room(slot, room);
    size_t n = JSStringGetUTF8CString(s, p, room);
    n -= n != 0;
    // the engine stops silently at a lone surrogate
    if (web_utf16_length(str_of(p, n)) != units)
        n = web_utf8_from_utf16(JSStringGetCharactersPtr(s), units, p);
    return n <= max ? str_of(p, n) : (str){0};
}

JSValueRef engine_jsc_property(JSContextRef ctx, JSObjectRef o, const char *name)
{
    JSStringRef key = engine_jsc_literal(name);
    JSValueRef value = JSObjectGetProperty(ctx, o, key, NULL);
    JSStringRelease(key);
    return value;
}

// --- frames ---
static size_t body_max(enum worker_frame type, bool is_second)
{
    if (type != WORKER_RESULT)
        return WORKER_FROM_MAX;
    return is_second ? WORKER_RESULT_MAX : WORKER_META_MAX;
}

// JSON text of the prelude's; absent when it is too long.
static str json_text(JSContextRef ctx, enum engine_slot slot, JSValueRef value, size_t max)
{
    JSStringRef s = JSValueToStringCopy(ctx, value, NULL);
    if (s == NULL)
        return (str){0};
    str text = engine_jsc_utf8(slot, s, max);
    JSStringRelease(s);
    if (text.p != NULL)
        web_json_mend((char *)text.p, text.n);
    return text;
}

// Why nothing was sent.
enum { FIRST_TOO_LONG = 1, SECOND_TOO_LONG = 2, TOO_DEEP = 3 };

// send(type, flags, id, ref, json[, data]): 0, or why nothing was sent: runs.js knows the numbers.
// With data, ref is the length of the first.
static JSValueRef host_send(JSContextRef ctx, JSObjectRef function, JSObjectRef self, size_t n,
                            const JSValueRef arguments[], JSValueRef *exception)
{
    if (n < 5)
        return JSValueMakeUndefined(ctx);
    uint32_t numbers[4];
    for (size_t i = 0; i != 4; ++i)
        numbers[i] = (uint32_t)JSValueToNumber(ctx, arguments[i], NULL);
    enum worker_frame type = (enum worker_frame)numbers[0];
    str a = json_text(ctx, ENGINE_SLOT_A, arguments[4], body_max(type, false)), b = {0};
    if (a.p == NULL)
        return JSValueMakeNumber(ctx, FIRST_TOO_LONG);
    if (n > 5) {
        b = json_text(ctx, ENGINE_SLOT_B, arguments[5], body_max(type, true));
        if (b.p == NULL)
            return JSValueMakeNumber(ctx, SECOND_TOO_LONG);
        numbers[3] = (uint32_t)a.n;
    }
    if (web_json_depth(a) > JSONX_DEPTH_MAX || web_json_depth(b) > JSONX_DEPTH_MAX)
        return JSValueMakeNumber(ctx, TOO_DEEP); // for the server that is no JSON
    send_frame(type, (uint8_t)numbers[1], numbers[2], numbers[3], a, b);
    return JSValueMakeNumber(ctx, 0);
}

// --- bytes ---
// The bytes of a Uint8Array; valid until the engine is entered again.
static bool take_bytes(JSContextRef ctx, JSValueRef value, str *ret)
{
    if (JSValueGetTypedArrayType(ctx, value, NULL) != kJSTypedArrayTypeUint8Array)
        return false;
    JSObjectRef array = (JSObjectRef)value;
    size_t n = JSObjectGetTypedArrayByteLength(ctx, array, NULL);
    char *p = JSObjectGetTypedArrayBytesPtr(ctx, array, NULL);
    if (n != 0 && p == NULL)
        return false;
    *ret = n != 0 ? str_of(p + JSObjectGetTypedArrayByteOffset(ctx, array, NULL), n) : STR("");
    return true;
}

// A new Uint8Array of n bytes, to be filled through *ret_p. NULL with an exception set when there
// is no room for it.
static JSObjectRef make_bytes(JSContextRef ctx, size_t n, char **ret_p, JSValueRef *exception)
{
    JSObjectRef array = JSObjectMakeTypedArray(ctx, kJSTypedArrayTypeUint8Array, n, exception);
    if (array == NULL || *exception != NULL)
        return NULL;
    *ret_p = n != 0 ? JSObjectGetTypedArrayBytesPtr(ctx, array, NULL) : NULL;
    return array;
}

static JSValueRef copy_bytes(JSContextRef ctx, str bytes, JSValueRef *exception)
{
    char *p;
    JSObjectRef array = make_bytes(ctx, bytes.n, &p, exception);
    if (array == NULL)
        return JSValueMakeUndefined(ctx);
    if (bytes.n != 0)
        memcpy(p, bytes.p, bytes.n);
    return array;
}

static void *get_memory(size_t n)
{
    void *p = malloc(n != 0 ? n : 1);
    if (p == NULL)
        abort();
    return p;
}

// random(bytes): fills them.
static JSValueRef host_random(JSContextRef ctx, JSObjectRef function, JSObjectRef self, size_t n,
                              const JSValueRef arguments[], JSValueRef *exception)
{
    str bytes;
    if (n < 1 || !take_bytes(ctx, arguments[0], &bytes))
        return JSValueMakeUndefined(ctx);
    for (size_t done = 0; done != bytes.n;) {
        ssize_t got = getrandom((char *)bytes.p + done, bytes.n - done, 0);
        if (got < 0)
            abort();
        done += (size_t)got;
    }
    return arguments[0];
}

// digest(bits, bytes): a new Uint8Array.
static JSValueRef host_digest(JSContextRef ctx, JSObjectRef function, JSObjectRef self, size_t n,
                              const JSValueRef arguments[], JSValueRef *exception)
{
    str bytes;
    uint8_t digest[WEB_DIGEST_MAX];
    if (n < 2 || !take_bytes(ctx, arguments[1], &bytes))
        return JSValueMakeUndefined(ctx);
    unsigned bits = (unsigned)JSValueToNumber(ctx, arguments[0], NULL);
    return copy_bytes(ctx, str_of(digest, web_digest(bits, bytes, digest)), exception);
}

// --- text ---
// The units of a string, valid until *ret is released.
static const uint16_t *take_units(JSContextRef ctx, JSValueRef value, JSStringRef *ret,
                                  size_t *ret_n)
{
    *ret = JSValueToStringCopy(ctx, value, NULL);
    if (*ret == NULL)
        return NULL;
    *ret_n = JSStringGetLength(*ret);
    static const uint16_t none[1];
    return *ret_n != 0 ? JSStringGetCharactersPtr(*ret) : none;
}

// Takes the string.
static JSValueRef string_value(JSContextRef ctx, JSStringRef s)
{
    JSValueRef value = JSValueMakeString(ctx, s);
    JSStringRelease(s);
    return value;
}

// encode(text): its UTF-8, a new Uint8Array.
static JSValueRef host_encode(JSContextRef ctx, JSObjectRef function, JSObjectRef self, size_t n,
                              const JSValueRef arguments[], JSValueRef *exception)
{
    JSStringRef s;
    size_t units;
    const uint16_t *p = n != 0 ? take_units(ctx, arguments[0], &s, &units) : NULL;
    if (p == NULL)
        return JSValueMakeUndefined(ctx);
    AUTOFREE char *utf8 = get_memory(3 * units);
    size_t size = web_utf8_from_utf16(p, units, utf8);
    JSStringRelease(s);
    return copy_bytes(ctx, str_of(utf8, size), exception);
}

JSValueRef engine_jsc_text(JSContextRef ctx, str bytes)
{
    AUTOFREE uint16_t *units = get_memory(2 * bytes.n);
    size_t size = web_utf16_from_utf8(bytes, false, units);
    return string_value(ctx, JSStringCreateWithCharacters(units, size));
}

// decode(bytes, isFatal): text; undefined when it is fatal.
static JSValueRef host_decode(JSContextRef ctx, JSObjectRef function, JSObjectRef self, size_t n,
                              const JSValueRef arguments[], JSValueRef *exception)
{
    str bytes;
    if (n < 2 || !take_bytes(ctx, arguments[0], &bytes))
        return JSValueMakeUndefined(ctx);
    AUTOFREE uint16_t *units = get_memory(2 * bytes.n);
    size_t size = web_utf16_from_utf8(bytes, JSValueToBoolean(ctx, arguments[1]), units);
    if (size == SIZE_MAX)
        return JSValueMakeUndefined(ctx);
    return string_value(ctx, JSStringCreateWithCharacters(units, size));
}

// incomplete(bytes): how many bytes at their end begin a sequence.
static JSValueRef host_incomplete(JSContextRef ctx, JSObjectRef function, JSObjectRef self,
                                  size_t n, const JSValueRef arguments[], JSValueRef *exception)
{
    str bytes;
    if (n < 1 || !take_bytes(ctx, arguments[0], &bytes))
        return JSValueMakeUndefined(ctx);
    return JSValueMakeNumber(ctx, (double)web_utf8_incomplete(bytes));
}

// The base64 of the bytes.
static JSValueRef base64_value(JSContextRef ctx, str bytes)
{
    AUTOFREE char *to = get_memory((bytes.n + 2) / 3 * 4 + 1);
    to[web_base64_encode(bytes, to)] = '\0';
    return string_value(ctx, JSStringCreateWithUTF8CString(to));
}

// Units below 256 as bytes; false when there are others.
static bool narrow(const uint16_t *units, size_t n, char *to)
{
    uint16_t all = 0;
    for (size_t i = 0; i != n; ++i) {
        all |= units[i];
        to[i] = (char)units[i];
    }
    return all < 256;
}

// toBase64(text of bytes): text; undefined when a character is none of a byte.
static JSValueRef host_to_base64(JSContextRef ctx, JSObjectRef function, JSObjectRef self, size_t n,
                                 const JSValueRef arguments[], JSValueRef *exception)
{
    JSStringRef s;
    size_t size;
    const uint16_t *units = n != 0 ? take_units(ctx, arguments[0], &s, &size) : NULL;
    if (units == NULL)
        return JSValueMakeUndefined(ctx);
    AUTOFREE char *bytes = get_memory(size);
    bool is_narrow = narrow(units, size, bytes);
    JSStringRelease(s);
    return is_narrow ? base64_value(ctx, str_of(bytes, size)) : JSValueMakeUndefined(ctx);
}

// fromBase64(text): text of bytes; undefined when it is no base64.
static JSValueRef host_from_base64(JSContextRef ctx, JSObjectRef function, JSObjectRef self,
                                   size_t n, const JSValueRef arguments[], JSValueRef *exception)
{
    JSStringRef s = n != 0 ? JSValueToStringCopy(ctx, arguments[0], NULL) : NULL;
    if (s == NULL)
        return JSValueMakeUndefined(ctx);
    str text = engine_jsc_utf8(ENGINE_SLOT_A, s, SIZE_MAX);
    JSStringRelease(s);
    char *bytes = (char *)text.p; // what is decoded never overtakes what is read
    size_t size = web_base64_decode(text, bytes);
    if (size == SIZE_MAX)
        return JSValueMakeUndefined(ctx);
    AUTOFREE uint16_t *units = get_memory(2 * size);
    for (size_t i = 0; i != size; ++i)
        units[i] = (uint8_t)bytes[i];
    return string_value(ctx, JSStringCreateWithCharacters(units, size));
}

// bytesToBase64(bytes): text.
static JSValueRef host_bytes_to_base64(JSContextRef ctx, JSObjectRef function, JSObjectRef self,
                                       size_t n, const JSValueRef arguments[],
                                       JSValueRef *exception)
{
    str bytes;
    if (n < 1 || !take_bytes(ctx, arguments[0], &bytes))
        return JSValueMakeUndefined(ctx);
    return base64_value(ctx, bytes);
}

// domainToAscii(text): text; undefined when it is no domain.
static JSValueRef host_domain_to_ascii(JSContextRef ctx, JSObjectRef function, JSObjectRef self,
                                       size_t n, const JSValueRef arguments[],
                                       JSValueRef *exception)
{
    JSStringRef s;
    size_t units, size;
    char ascii[WEB_DOMAIN_MAX + 1];
    const uint16_t *p = n != 0 ? take_units(ctx, arguments[0], &s, &units) : NULL;
    if (p == NULL)
        return JSValueMakeUndefined(ctx);
    bool is_domain = web_domain_to_ascii(p, units, ascii, &size);
    JSStringRelease(s);
    if (!is_domain)
        return JSValueMakeUndefined(ctx);
    ascii[size] = '\0';
    return string_value(ctx, JSStringCreateWithUTF8CString(ascii));
}

JSObjectRef engine_jsc_host(JSContextRef ctx, engine_send send)
{
    static const struct {
        const char *name;
        JSObjectCallAsFunctionCallback function;
    } functions[] = {
        {"send", host_send},
        {"random", host_random},
        {"digest", host_digest},
        {"encode", host_encode},
        {"decode", host_decode},
        {"incomplete", host_incomplete},
        {"toBase64", host_to_base64},
        {"fromBase64", host_from_base64},
        {"bytesToBase64", host_bytes_to_base64},
        {"domainToAscii", host_domain_to_ascii},
    };
    send_frame = send;
    JSObjectRef host = JSObjectMake(ctx, NULL, NULL);
    for (size_t i = 0; i != sizeof functions / sizeof *functions; ++i) {
        JSStringRef name = engine_jsc_literal(functions[i].name);
        JSObjectRef f = JSObjectMakeFunctionWithCallback(ctx, name, functions[i].function);
        JSObjectSetProperty(ctx, host, name, f, kJSPropertyAttributeNone, NULL);
        JSStringRelease(name);
    }
    return host;
}
