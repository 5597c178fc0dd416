// Where a syntax error is. The engine gives its line; the column is found by parsing the code cut
// off behind one token of that line after the other: what is right so far complains of the end of
// the code, what is wrong complains of something else. Halving, so a line of 500 KB takes some
// twenty parses.
#include <ctype.h>
#include "public-actions/runtime/engine_jsc.h"

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

static bool is_operator(char c)
{
    return c != '\0' && strchr("=<>!&|+-*/%^~?:.", c) != NULL;
}

// Whether a token may end before `at`: never inside a word, nor inside a run of operators.
static bool is_border(str line, size_t at)
{
    if (at == 0 || at >= line.n)
        return true;
    char before = line.p[at - 1], behind = line.p[at];
    return !(is_word(before) && is_word(behind)) && !(is_operator(before) && is_operator(behind));
}

enum verdict { RIGHT_SO_FAR, WRONG };

// Parses the first n bytes of the code, as the body of a function that is never closed.
static enum verdict judge(JSContextRef ctx, str code, size_t n)
{
    struct buf b;
    buf_init(&b, n + sizeof ENGINE_BEFORE);
    buf_add(&b, STR(ENGINE_BEFORE));
    buf_add(&b, str_of(code.p, n));
    char *text = buf_take(&b);
    JSStringRef source = JSStringCreateWithUTF8CString(text);
    str_autofree(&text);
    JSValueRef exception = NULL;
    JSCheckScriptSyntax(ctx, source, NULL, 1, &exception);
    JSStringRelease(source);
    JSStringRef message = exception != NULL ? JSValueToStringCopy(ctx, exception, NULL) : NULL;
    if (message == NULL)
        return WRONG; // it was closed, by what is the code's own
    str said = engine_jsc_utf8(ENGINE_SLOT_A, message, 4096);
    JSStringRelease(message);
    bool is_end = str_find_str(said, STR("Unexpected EOF")) != SIZE_MAX ||
                  str_find_str(said, STR("missing /")) != SIZE_MAX;
    return is_end ? RIGHT_SO_FAR : WRONG;
}

// The offset of a line counted from 1, or SIZE_MAX.
static size_t line_start(str code, unsigned line)
{
    size_t at = 0;
    while (--line != 0) {
        size_t newline = str_find(str_skip(code, at), '\n');
        if (newline == SIZE_MAX)
            return SIZE_MAX;
        at += newline + 1;
    }
    return at;
}

static str line_at(str code, size_t start)
{
    str rest = str_skip(code, start);
    return str_cut(&rest, '\n');
}

static struct engine_place end_of(str code)
{
    struct engine_place place = {.line = 1, .is_at_end = true};
    while (code.n != 0 && isspace((unsigned char)code.p[code.n - 1]))
        --code.n;
    for (size_t i = 0; i != code.n; ++i)
        place.line += code.p[i] == '\n';
    str line = line_at(code, line_start(code, place.line));
    place.column = (unsigned)line.n + 1;
    return place;
}

static size_t token_start(str line, size_t end)
{
    size_t at = end;
    do
        --at;
    while (at != 0 && !is_border(line, at));
    return at;
}

// The first border of the line behind which the code is wrong.
static size_t find_border(JSContextRef ctx, str code, size_t start, str line)
{
    size_t right = 0, wrong = line.n;
    while (right != wrong) {
        size_t middle = right + (wrong - right) / 2;
        while (middle != wrong && !is_border(line, middle))
            ++middle;
        if (middle == wrong) { // one token is left, or its border is before the middle
            middle = right + (wrong - right) / 2;
            while (middle != right && !is_border(line, middle))
                --middle;
            if (middle == right)
                return wrong;
        }
        if (judge(ctx, code, start + middle) == WRONG)
            wrong = middle;
        else
            right = middle;
    }
    return wrong;
}

struct engine_place engine_jsc_find_error(JSContextRef ctx, str code, unsigned line)
{
    if (judge(ctx, code, code.n) == RIGHT_SO_FAR)
        return end_of(code);
    struct engine_place place = {.line = line};
    size_t start = line != 0 ? line_start(code, line) : SIZE_MAX;
    if (start == SIZE_MAX)
        return place;
    str text = line_at(code, start);
    size_t border = text.n != 0 ? find_border(ctx, code, start, text) : 0;
    place.column = border != 0 ? (unsigned)token_start(text, border) + 1 : 1;
    return place;
}
