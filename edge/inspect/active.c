// Signatures of what runs. Where in doubt it runs: a file that is refused is a sentence on a page, a
// file that runs is someone's account.
#include "edge/inspect/active.h"
#include <ctype.h>

enum { SNIFFED = 1445 }; // WHATWG MIME Sniffing 5.1: what a browser looks at

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

// `word` is in lower case.
static bool starts_word(str s, const char *word)
{
    size_t n = strlen(word);
    if (s.n < n)
        return false;
    for (size_t i = 0; i != n; ++i)
        if (lower(s.p[i]) != word[i])
            return false;
    return true;
}

static str skip_space(str s)
{
    while (s.n != 0 && is_space(*s.p))
        s = str_skip(s, 1);
    return s;
}

static bool is_utf16(str head)
{
    return str_starts(head, STR("\xfe\xff")) || str_starts(head, STR("\xff\xfe"));
}

// What of a text is ASCII, so that one set of words does for all encodings. Returns the length.
static size_t fold(str s, char *to, size_t room)
{
    size_t n = 0;
    for (size_t i = 0; i != s.n && n != room; ++i)
        if (s.p[i] != '\0')
            to[n++] = lower(s.p[i]);
    return n;
}

// The beginning of a text without its mark.
static str begin_of(str head, char *to, size_t room)
{
    if (str_starts(head, STR("\xef\xbb\xbf")))
        head = str_skip(head, 3);
    else if (is_utf16(head))
        head = str_skip(head, 2);
    return skip_space(str_of(to, fold(head, to, room)));
}

bool active_is_text(str head)
{
    if (is_utf16(head))
        return true;
    for (size_t i = 0; i != head.n; ++i) {
        unsigned char c = (unsigned char)head.p[i];
        if (c <= 0x08 || c == 0x0b || (c >= 0x0e && c <= 0x1a) || (c >= 0x1c && c <= 0x1f))
            return false;
    }
    return true;
}

static bool ends_tag(str s, size_t at)
{
    return at >= s.n || is_space(s.p[at]) || s.p[at] == '>' || s.p[at] == '/';
}

static bool is_tag_of(str s, const char *const *tags)
{
    for (; *tags != NULL; ++tags)
        if (starts_word(s, *tags) && ends_tag(s, strlen(*tags)))
            return true;
    return false;
}

bool active_is_html(str head)
{
    static const char *const tags[] = {
        "<!doctype html", "<html",   "<head",  "<script", "<iframe", "<h1",    "<div",  "<font",
        "<table",         "<a",      "<style", "<title",  "<b",      "<body",  "<br",   "<p",
        "<!--",           "<meta",   "<link",  "<img",    "<object", "<embed", "<form", "<base",
        "<span",          "<center", NULL};
    char room[SNIFFED];
    return is_tag_of(begin_of(head, room, sizeof room), tags);
}

const char *active_script_type(str head)
{
    static const struct {
        const char *start, *type;
    } scripts[] = {{"#!", "text/x-shellscript"},
                   {"<?php", "text/x-php"},
                   {"<?=", "text/x-php"},
                   {"<%", "text/x-asp"},
                   {"@echo off", "text/x-msdos-batch"},
                   {"[internetshortcut]", "application/x-mswinurl"},
                   {"[desktop entry]", "application/x-desktop"},
                   {"windows registry editor", "text/x-ms-regedit"},
                   {"regedit4", "text/x-ms-regedit"},
                   {"%!ps", "application/postscript"}};
    char room[SNIFFED];
    str s = begin_of(head, room, sizeof room);
    for (size_t i = 0; i != sizeof scripts / sizeof *scripts; ++i)
        if (starts_word(s, scripts[i].start))
            return scripts[i].type;
    return NULL;
}

const char *active_program_type(str head)
{
    static const struct {
        str start;
        const char *type;
    } programs[] = {{STR("\x7f"
                         "ELF"),
                     "application/x-executable"},
                    {STR("MZ"), "application/x-dosexec"},
                    {STR("\xfe\xed\xfa\xce"), "application/x-mach-binary"},
                    {STR("\xfe\xed\xfa\xcf"), "application/x-mach-binary"},
                    {STR("\xce\xfa\xed\xfe"), "application/x-mach-binary"},
                    {STR("\xcf\xfa\xed\xfe"), "application/x-mach-binary"},
                    {STR("\xca\xfe\xba\xbe"), "application/java-vm"},
                    {STR("\0asm"), "application/wasm"},
                    {STR("dex\n"), "application/x-dex"},
                    {STR("L\0\0\0\x01\x14\x02\0"), "application/x-ms-shortcut"},
                    {STR("ITSF"), "application/vnd.ms-htmlhelp"},
                    {STR("FWS"), "application/x-shockwave-flash"},
                    {STR("CWS"), "application/x-shockwave-flash"},
                    {STR("ZWS"), "application/x-shockwave-flash"}};
    if (active_is_text(head))
        return NULL;
    for (size_t i = 0; i != sizeof programs / sizeof *programs; ++i)
        if (str_starts(head, programs[i].start))
            return programs[i].type;
    return NULL;
}

static bool has_tag_of(str head, const char *const *tags)
{
    if (head.n > SNIFFED)
        head.n = SNIFFED;
    for (size_t at; (at = str_find(head, '<')) != SIZE_MAX; head = str_skip(head, 1)) {
        head = str_skip(head, at);
        if (is_tag_of(head, tags))
            return true;
    }
    return false;
}

bool active_is_hidden(str head)
{
    static const char *const tags[] = {"<script", "<html", "<!doctype html",  "<svg",
                                       "<iframe", "<body", "<object",         "<embed",
                                       "<?php",   "<math", "<xsl:stylesheet", NULL};
    return has_tag_of(head, tags);
}

bool active_is_fragment(str head)
{
    static const char *const plain[] = {"<!--",    "<a",   "<b",     "<p",    "<br",
                                        "<h1",     "<div", "<table", "<font", "<span",
                                        "<center", "<img", NULL};
    static const char *const of_pages[] = {"<head", "<meta",     "<base",   "<link", "<style",
                                           "<form", "<frameset", "<applet", "<?=",   NULL};
    char room[SNIFFED];
    return !is_utf16(head) && is_tag_of(begin_of(head, room, sizeof room), plain) &&
           !active_is_hidden(head) && !has_tag_of(head, of_pages);
}

// --- markup ---

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' ||
           (unsigned char)c >= 0x80;
}

// "<x:script" is "<script" under another prefix.
static str local_name(str tag)
{
    size_t n = 0;
    while (n != tag.n && (is_name(tag.p[n]) || tag.p[n] == ':'))
        ++n;
    str name = str_of(tag.p, n);
    size_t colon = str_find(name, ':');
    return colon == SIZE_MAX ? name : str_skip(name, colon + 1);
}

// Of a document type: `<!ENTITY ns "http://…">` is what drawing programs write. Where one entity makes
// others, or letters are spelt as numbers behind one, a tag may hide.
static bool is_hiding_entity(str tag)
{
    if (!str_starts(tag, STR("!entity")))
        return false;
    str rest = skip_space(str_skip(tag, 7));
    return rest.n != 0 && *rest.p == '%';
}

static bool is_active_element(str tag)
{
    return str_eq(local_name(tag), STR("script")) || str_starts(tag, STR("?xml-stylesheet")) ||
           is_hiding_entity(tag);
}

// An address that begins with letters spelt otherwise.
static bool is_hiding_address(str s)
{
    if (!str_starts(s, STR("href")))
        return false;
    s = skip_space(str_skip(s, 4));
    if (s.n == 0 || *s.p != '=')
        return false;
    s = skip_space(str_skip(s, 1));
    if (s.n == 0 || (*s.p != '"' && *s.p != '\''))
        return false;
    s = skip_space(str_skip(s, 1));
    return s.n != 0 && *s.p == '&';
}

// onload = "…", wherever it stands: text that looks so is rare, and quotes cannot be trusted to tell
// text from tags.
static bool is_handler_attribute(str s, bool is_html)
{
    if (!str_starts(s, STR("on")))
        return false;
    size_t n = 2;
    while (n != s.n && is_name(s.p[n]))
        ++n;
    str rest = skip_space(str_skip(s, n));
    if (n < 5 || rest.n == 0 || *rest.p != '=')
        return false;
    rest = skip_space(str_skip(rest, 1));
    return is_html || (rest.n != 0 && (*rest.p == '"' || *rest.p == '\''));
}

static bool is_active_at(str s, char before, bool is_html)
{
    static const str words[] = {STR("javascript:"),      STR("vbscript:"),
                                STR("data:text/html"),   STR("http://www.w3.org/1999/xhtml"),
                                STR("encoding=\"utf-7"), STR("encoding='utf-7")};
    switch (*s.p) {
    case '<':
        return is_active_element(str_skip(s, 1));
    case 'o':
        return (is_space(before) || before == '"' || before == '\'' || before == '/') &&
               is_handler_attribute(s, is_html);
    case 'h':
        if (is_hiding_address(s))
            return true;
        break;
    case 'j':
    case 'v':
    case 'd':
    case 'e':
        break;
    default:
        return false;
    }
    for (size_t i = 0; i != sizeof words / sizeof *words; ++i)
        if (str_starts(s, words[i]))
            return true;
    return false;
}

// One space stands for many, so that what belongs together fits into what is kept. Returns the length.
static size_t squeeze(char *p, size_t from, size_t n)
{
    size_t to = from;
    for (size_t i = from; i != n; ++i)
        if (!is_space(p[i]) || to == 0 || !is_space(p[to - 1]))
            p[to++] = p[i];
    return to;
}

void active_markup_take(struct active_markup *m, str piece)
{
    enum { OVERLAP = 128, STEP = 4096 };
    _Static_assert(OVERLAP <= sizeof m->_kept, "what is kept fits");
    while (piece.n != 0 && !m->has_script) {
        char room[OVERLAP + STEP];
        size_t step = piece.n < STEP ? piece.n : STEP;
        memcpy(room, m->_kept, m->_n);
        size_t n = m->_n + fold(str_of(piece.p, step), room + m->_n, STEP);
        n = squeeze(room, m->_n, n);
        for (size_t i = 0; i != n && !m->has_script; ++i) {
            str s = str_of(room + i, n - i);
            m->_has_entity |= str_starts(s, STR("<!entity"));
            m->has_script = is_active_at(s, i != 0 ? room[i - 1] : ' ', m->is_html) ||
                            (m->_has_entity && str_starts(s, STR("&#")));
        }
        m->_n = n < OVERLAP ? n : OVERLAP;
        memcpy(m->_kept, room + n - m->_n, m->_n);
        piece = str_skip(piece, step);
    }
}

void active_root_name(str head, char ret[static 32])
{
    static char room[64 * 1024];
    char start[SNIFFED];
    str s = begin_of(head, start, sizeof start);
    ret[0] = '\0';
    if (s.n == 0 || *s.p != '<')
        return;
    s = begin_of(head, room, sizeof room);
    // declarations, comments and instructions are passed over
    while (s.n >= 2 && *s.p == '<' && (s.p[1] == '!' || s.p[1] == '?')) {
        bool is_comment = str_starts(s, STR("<!--"));
        size_t end = is_comment ? str_find_str(s, STR("-->")) : str_find(s, '>');
        // an internal subset has '>' of its own; it ends with "]>", perhaps with space between
        size_t subset = is_comment ? SIZE_MAX : str_find(s, '[');
        if (subset < end && (end = str_find(s, ']')) != SIZE_MAX)
            end +=
                str_find(str_skip(s, end), '>') == SIZE_MAX ? s.n : str_find(str_skip(s, end), '>');
        if (end >= s.n)
            return;
        s = skip_space(str_skip(s, end + (is_comment ? 3 : 1)));
    }
    if (s.n < 2 || *s.p != '<' || !isalpha((unsigned char)s.p[1]))
        return;
    str name = local_name(str_skip(s, 1));
    if (name.n < 32 && ends_tag(s, (size_t)(name.p - s.p) + name.n)) {
        memcpy(ret, name.p, name.n);
        ret[name.n] = '\0';
    }
}
