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

// In order: what is found at the end of a line stays so behind it.
enum verdict { RIGHT_SO_FAR, OPEN_TEXT, WRONG };

static enum verdict verdict_of(str said)
{
    static const char *const ends[] = {"Unexpected end of script", "Unterminated regular",
                                       "comment was not closed", "newline after 'throw'"};
    for (size_t i = 0; i != sizeof ends / sizeof *ends; ++i)
        if (str_find_str(said, str_from(ends[i])) != SIZE_MAX)
            return RIGHT_SO_FAR;
    return str_find_str(said, STR("Unexpected EOF")) != SIZE_MAX ? OPEN_TEXT : WRONG;
}

// Parses the first n bytes of the code, as the body of a function that is not closed but by
// `behind`.
static enum verdict judge_with(JSContextRef ctx, str code, size_t n, str behind)
{
    struct buf b;
    buf_init(&b, n + sizeof ENGINE_BEFORE + behind.n);
    buf_add(&b, STR(ENGINE_BEFORE));
    buf_add(&b, str_of(code.p, n));
    buf_add(&b, behind);
    char *text = buf_take(&b);
    JSStringRef source = JSStringCreateWithUTF8CString(text);
    str_autofree(&text);
    JSValueRef exception = NULL;
    JSCheckScriptSyntax(ctx, source, NULL, 1, &exception);
    JSStringRelease(source);
    JSStringRef message = exception != NULL ? JSValueToStringCopy(ctx, exception, NULL) : NULL;
    if (message == NULL)
        return RIGHT_SO_FAR;
    enum verdict verdict = verdict_of(engine_jsc_utf8(ENGINE_SLOT_A, message, 4096));
    JSStringRelease(message);
    return verdict;
}

static enum verdict judge(JSContextRef ctx, str code, size_t n)
{
    return judge_with(ctx, code, n, (str){0});
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
    struct engine_place place = {.line = 1, .message = "Unexpected end of the code"};
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
    while (at != 0 && line.p[at - 1] == ' ')
        --at;
    while (at != 0 && !is_border(line, --at))
        ;
    return at;
}

// A border between the two, near the middle; `low` when there is none.
static size_t border_between(str line, size_t low, size_t high)
{
    size_t middle = low + (high - low) / 2, at = middle;
    while (at < high && (at == low || !is_border(line, at)))
        ++at;
    if (at < high)
        return at;
    for (at = middle; at > low && !is_border(line, at);)
        --at;
    return at;
}

// The first border of the line behind which the verdict is `found`.
static size_t find_border(JSContextRef ctx, str code, size_t start, str line, enum verdict found)
{
    size_t right = 0, wrong = line.n;
    for (size_t at; (at = border_between(line, right, wrong)) != right;) {
        if (judge(ctx, code, start + at) >= found)
            wrong = at;
        else
            right = at;
    }
    return wrong;
}

// Whether it is the code's own brace that closed the function, and where that is.
static bool is_closed_early(JSContextRef ctx, str code, size_t *at)
{
    while (*at != 0 && code.p[*at - 1] != '}')
        --*at;
    return *at != 0 && judge_with(ctx, code, *at, STR(")")) == RIGHT_SO_FAR &&
           judge_with(ctx, code, --*at, STR("})")) == RIGHT_SO_FAR;
}

static struct engine_place place_at(str code, size_t at, const char *message)
{
    struct engine_place place = {.line = 1, .column = 1, .message = message};
    for (size_t i = 0; i != at; ++i) {
        place.column = code.p[i] == '\n' ? 1 : place.column + 1;
        place.line += code.p[i] == '\n';
    }
    return place;
}

struct engine_place engine_jsc_find_error(JSContextRef ctx, str code, unsigned line)
{
    size_t start = line != 0 ? line_start(code, line) : SIZE_MAX;
    if (judge(ctx, code, code.n) == RIGHT_SO_FAR)
        return end_of(code);
    if (start == SIZE_MAX)
        return (struct engine_place){.line = line};
    str text = line_at(code, start);
    enum verdict found = judge(ctx, code, start + text.n);
    if (found == RIGHT_SO_FAR)
        return (struct engine_place){.line = line, .column = 1};
    size_t at = start + token_start(text, find_border(ctx, code, start, text, found));
    if (found == OPEN_TEXT)
        return place_at(code, at, "Unterminated string");
    size_t brace = at;
    if (is_closed_early(ctx, code, &brace))
        return place_at(code, brace, "Unexpected token '}'");
    return place_at(code, at, NULL);
}
