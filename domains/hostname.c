// From what was typed to a name or a reason. First what people paste by mistake (addresses of pages,
// of machines, of mailboxes), then IDNA, then whose name it is; each refusal says what to write instead.
#include "domains/hostname.h"
#include <assert.h>
#include <idn2.h>
#include <libpsl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unicode/uspoof.h>

enum {
    TYPED_MAX = 1000,
    OWN_MAX = 8,
    // `_stoa-challenge.` stands before it in a name of 253.
    NAME_MAX_PROVABLE = 253 - (sizeof "_stoa-challenge." - 1),
    SKELETON_ROOM = 2048,
};

#define REFUSE(...) fault_set(fault, FAIL_REFUSED, "invalid_hostname", __VA_ARGS__)

// A name as two people would confuse it: UTS 39 §4.
struct skeleton {
    char text[SKELETON_ROOM];
    size_t n; // 0: none
};

struct own_host {
    char ascii[HOSTNAME_ROOM], registrable[HOSTNAME_ROOM];
    struct skeleton skeleton, registrable_skeleton;
};

// Written by hostname_init, at process start, and only read after it.
static psl_ctx_t *suffixes;
static USpoofChecker *spoof;
static struct own_host own[OWN_MAX];
static size_t own_count;
static char *reserved_names;

// --- IDNA
// Non-transitional UTS 46, as browsers do. Not IDN2_USE_STD3_ASCII_RULES: this libidn2 drops what it
// forbids instead of refusing it ("a_b" becomes "ab"), so check_ascii looks at the result.
static int to_ascii(const char *text, char ret[static HOSTNAME_ROOM])
{
    uint8_t *out = NULL;
    int r = idn2_lookup_u8((const uint8_t *)text, &out, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT);
    size_t n = r == IDN2_OK ? strlen((char *)out) : 0;
    if (n != 0 && out[n - 1] == '.')
        --n;
    if (n >= HOSTNAME_ROOM)
        r = IDN2_TOO_BIG_DOMAIN;
    if (r == IDN2_OK) {
        memcpy(ret, out, n);
        ret[n] = '\0';
    }
    idn2_free(out);
    return r;
}

// False when what it would be has no room, or is no name.
static bool to_unicode(const char *ascii, char ret[static HOSTNAME_UNICODE_ROOM])
{
    char *out = NULL;
    int r = idn2_to_unicode_8z8z(ascii, &out, 0);
    bool fits = r == IDN2_OK && strlen(out) < HOSTNAME_UNICODE_ROOM;
    if (fits)
        memcpy(ret, out, strlen(out) + 1);
    idn2_free(out);
    return fits;
}

// Fills in the Unicode form. libidn2 takes xn-- spellings of signs that it would not spell so itself.
static bool is_spelt_so(struct hostname *h)
{
    char again[HOSTNAME_ROOM];
    return to_unicode(h->ascii, h->unicode) && to_ascii(h->unicode, again) == IDN2_OK &&
           strcmp(again, h->ascii) == 0;
}

static const struct {
    int code;
    const char *reason;
} idna_reasons[] = {
    {IDN2_TOO_BIG_DOMAIN, "It is longer than 253 bytes as DNS writes it."},
    {IDN2_TOO_BIG_LABEL, "A part between two dots is longer than 63 bytes as DNS writes it."},
    {IDN2_PUNYCODE_BIG_OUTPUT, "A part between two dots is longer than 63 bytes as DNS writes it."},
    {IDN2_HYPHEN_STARTEND,
     "A part between two dots begins or ends with a hyphen, which host names cannot."},
    {IDN2_2HYPHEN,
     "A part has hyphens in its third and fourth place, which only the xn-- spelling of "
     "letters beyond ASCII may (RFC 5891 §4.2.3.1)."},
    {IDN2_PUNYCODE_BAD_INPUT, "A part that begins with xn-- spells no letters (RFC 3492)."},
    {IDN2_PUNYCODE_OVERFLOW, "A part that begins with xn-- spells no letters (RFC 3492)."},
    {IDN2_INVALID_ALABEL, "A part that begins with xn-- spells no letters (RFC 3492)."},
    {IDN2_ALABEL_ROUNDTRIP_FAILED,
     "A part that begins with xn-- is not how its letters are spelt (RFC 5891 §5.3)."},
    {IDN2_BIDI, "It mixes letters written from the right with others in a way that cannot be shown "
                "(RFC 5893)."},
    {IDN2_LEADING_COMBINING,
     "A part begins with an accent that has no letter before it (RFC 5891)."},
};

static enum fail refuse_idna(int code, struct fault *fault)
{
    for (size_t i = 0; i != sizeof idna_reasons / sizeof idna_reasons[0]; ++i)
        if (idna_reasons[i].code == code)
            return REFUSE("%s", idna_reasons[i].reason);
    return REFUSE("It has a sign that names cannot have: letters, digits and hyphens can stand in "
                  "them, pictures and symbols cannot (IDNA, RFC 5892).");
}

// --- what was typed
static bool has_any(str s, const char *signs)
{
    for (size_t i = 0; i != s.n; ++i)
        if (s.p[i] != '\0' && strchr(signs, s.p[i]) != NULL)
            return true;
    return false;
}

static str trim_space(str s)
{
    while (s.n != 0 && strchr(" \t\r\n", s.p[0]) != NULL && s.p[0] != '\0')
        s = str_skip(s, 1);
    while (s.n != 0 && strchr(" \t\r\n", s.p[s.n - 1]) != NULL && s.p[s.n - 1] != '\0')
        --s.n;
    return s;
}

static bool all_of(str s, const char *signs)
{
    for (size_t i = 0; i != s.n; ++i)
        if (s.p[i] == '\0' || strchr(signs, s.p[i]) == NULL)
            return false;
    return true;
}

// WHATWG URL, "ends in a number": browsers read such a host as an IPv4 address, in whatever spelling.
static bool ends_in_number(str name)
{
    if (str_ends(name, STR(".")))
        --name.n;
    str last = name;
    for (size_t i = 0; i != name.n; ++i)
        if (name.p[i] == '.')
            last = str_skip(name, i + 1);
    if (last.n >= 2 && last.p[0] == '0' && (last.p[1] | 0x20) == 'x')
        return all_of(str_skip(last, 2), "0123456789abcdefABCDEF");
    return last.n != 0 && all_of(last, "0123456789");
}

static enum fail refuse_address(struct fault *fault)
{
    return REFUSE("An IP address cannot be a custom domain, in any spelling. Write the name that "
                  "people will type, such as forms.example.com.");
}

static enum fail check_colon(str typed, struct fault *fault)
{
    str rest = typed, host = str_cut(&rest, ':');
    if (has_any(rest, ":") || host.n == 0 || ends_in_number(host))
        return refuse_address(fault);
    return REFUSE("Write the name without a port: a custom domain answers on 80 and 443.");
}

static enum fail check_typed(str typed, struct fault *fault)
{
    if (typed.n == 0)
        return REFUSE("Write a name, such as forms.example.com.");
    if (typed.n > TYPED_MAX)
        return REFUSE("It is longer than 253 bytes as DNS writes it.");
    if (!str_is_utf8(typed) || str_find(typed, '\0') != SIZE_MAX)
        return REFUSE("It is not text in UTF-8.");
    if (has_any(typed, "/\\?#"))
        return REFUSE("Write only the name, such as forms.example.com, without https:// before it "
                      "and without a path behind it.");
    if (has_any(typed, "@"))
        return REFUSE("A mail address is no custom domain. Write only the name, such as "
                      "forms.example.com.");
    if (has_any(typed, "*"))
        return REFUSE("A wildcard cannot be added: add each name by itself.");
    if (has_any(typed, " \t\r\n,;"))
        return REFUSE("Write one name, without spaces and commas in it.");
    if (has_any(typed, "[]"))
        return refuse_address(fault);
    if (has_any(typed, ":"))
        return check_colon(typed, fault);
    return FAIL_NONE;
}

// --- the name as DNS writes it
static enum fail check_label(str label, struct fault *fault)
{
    if (label.n == 0)
        return REFUSE("Two dots follow each other, or one stands at the start: a part is missing.");
    if (label.n > 63)
        return refuse_idna(IDN2_TOO_BIG_LABEL, fault);
    if (has_any(label, "_"))
        return REFUSE("A custom domain has no underscore: browsers and certificate authorities do "
                      "not take such names. Use a hyphen.");
    if (!all_of(label, "abcdefghijklmnopqrstuvwxyz0123456789-"))
        return refuse_idna(IDN2_DISALLOWED, fault);
    if (label.p[0] == '-' || label.p[label.n - 1] == '-')
        return refuse_idna(IDN2_HYPHEN_STARTEND, fault);
    return FAIL_NONE;
}

static enum fail check_ascii(str name, struct fault *fault)
{
    if (name.n == 0)
        return REFUSE("Write a name, such as forms.example.com.");
    // str_cut would not show an empty part at the end.
    if (str_ends(name, STR(".")))
        return check_label((str){0}, fault);
    for (str rest = name; rest.n != 0;) {
        enum fail f = check_label(str_cut(&rest, '.'), fault);
        if (f != FAIL_NONE)
            return f;
    }
    if (ends_in_number(name))
        return refuse_address(fault);
    if (name.n > NAME_MAX_PROVABLE)
        return REFUSE("It is longer than %d bytes as DNS writes it: _stoa-challenge. has to fit "
                      "before it, in 253.",
                      (int)NAME_MAX_PROVABLE);
    return FAIL_NONE;
}

// --- whose name it is
static bool is_at_or_below(str name, str above)
{
    return str_eq(name, above) ||
           (name.n > above.n && str_ends(name, above) && name.p[name.n - above.n - 1] == '.');
}

static const struct {
    const char *name, *why, *source;
} reserved[] = {
    {"test", "is for tests", "RFC 6761"},
    {"example", "is for documentation", "RFC 6761"},
    {"invalid", "is never in DNS", "RFC 6761"},
    {"localhost", "always means the visitor's own machine", "RFC 6761"},
    {"local", "is asked in the local network, not in DNS", "RFC 6762"},
    {"onion", "belongs to Tor", "RFC 7686"},
    {"alt", "is for names outside of DNS", "RFC 9476"},
    {"internal", "is for private networks", "ICANN, 2024"},
    {"home.arpa", "is for home networks", "RFC 8375"},
    {"arpa", "is for the network's own workings", "RFC 3172"},
    {"home", "is never delegated, for private networks use it", "ICANN, name collisions"},
    {"corp", "is never delegated, for private networks use it", "ICANN, name collisions"},
    {"mail", "is never delegated, for private networks use it", "ICANN, name collisions"},
};
enum { RESERVED_COUNT = sizeof reserved / sizeof reserved[0] };

// The one of reserved_names that `name` is at or below; empty when there is none.
static str find_kept(str name)
{
    for (str rest = str_from(reserved_names); rest.n != 0;) {
        str kept = str_cut(&rest, ',');
        if (kept.n != 0 && is_at_or_below(name, kept))
            return kept;
    }
    return (str){0};
}

static size_t find_reserved(str name)
{
    size_t i = 0;
    while (i != RESERVED_COUNT && !is_at_or_below(name, str_from(reserved[i].name)))
        ++i;
    return i;
}

bool hostname_is_private(str ascii)
{
    for (size_t i = 0; i != own_count; ++i)
        if (is_at_or_below(ascii, str_from(own[i].ascii)))
            return false;
    return find_reserved(ascii) != RESERVED_COUNT || find_kept(ascii).n != 0;
}

static enum fail check_public(str name, const char *text, struct fault *fault)
{
    size_t i = find_reserved(name);
    if (i != RESERVED_COUNT)
        return REFUSE("Nobody can own it: .%s %s (%s).", reserved[i].name, reserved[i].why,
                      reserved[i].source);
    if (str_find(name, '.') == SIZE_MAX)
        return REFUSE("A name has two parts at least, such as forms.example.com.");
    if (psl_is_public_suffix(suffixes, text))
        return REFUSE("%s is a public suffix: many owners have names below it. Write your own name "
                      "below it.",
                      text);
    return FAIL_NONE;
}

static enum fail check_own(str name, struct fault *fault)
{
    for (size_t i = 0; i != own_count; ++i) {
        str host = str_from(own[i].ascii);
        if (is_at_or_below(name, host))
            return REFUSE("%s and all names below it belong to this server.", host.p);
        if (is_at_or_below(host, name))
            return REFUSE("It lies above %s, which belongs to this server.", host.p);
    }
    str kept = find_kept(name);
    if (kept.n != 0)
        return REFUSE("The operator of this server keeps %.*s and all names below it.",
                      STR_FMT(kept));
    return FAIL_NONE;
}

// --- names that look like ours
static struct skeleton skeleton_of(str unicode)
{
    struct skeleton s;
    UErrorCode status = U_ZERO_ERROR;
    int32_t n = uspoof_getSkeletonUTF8(spoof, 0, unicode.p, (int32_t)unicode.n, s.text,
                                       SKELETON_ROOM, &status);
    s.n = U_SUCCESS(status) && n > 0 && n <= SKELETON_ROOM ? (size_t)n : 0;
    // The table knows 0 as a capital O; names have no capitals.
    for (size_t i = 0; i != s.n; ++i)
        if (s.text[i] >= 'A' && s.text[i] <= 'Z')
            s.text[i] |= 0x20;
    return s;
}

static bool looks_like(const struct skeleton *a, const struct skeleton *b)
{
    return a->n != 0 && a->n == b->n && memcmp(a->text, b->text, a->n) == 0;
}

// The name we own that `ascii` is mistaken for, or NULL.
static const char *find_lookalike(str ascii, const struct skeleton *seen)
{
    for (size_t i = 0; i != own_count; ++i) {
        if (looks_like(seen, &own[i].skeleton) && !str_eq(ascii, str_from(own[i].ascii)))
            return own[i].ascii;
        if (looks_like(seen, &own[i].registrable_skeleton) &&
            !str_eq(ascii, str_from(own[i].registrable)))
            return own[i].registrable;
    }
    return NULL;
}

// Any part at the end counts: who reads log-in.our-name.com.evil.org is not helped by this, who reads
// shop.0ur-name.com is.
static enum fail check_lookalike(const struct hostname *h, struct fault *fault)
{
    str ascii = str_from(h->ascii), unicode = str_from(h->unicode);
    for (; own_count != 0 && ascii.n != 0; str_cut(&ascii, '.'), str_cut(&unicode, '.')) {
        struct skeleton seen = skeleton_of(unicode);
        const char *like = find_lookalike(ascii, &seen);
        if (like != NULL)
            return REFUSE("It looks like %s, which belongs to this server.", like);
    }
    return FAIL_NONE;
}

enum fail hostname_parse(str text, struct hostname *ret, struct fault *fault)
{
    struct hostname h;
    char typed[TYPED_MAX + 1];
    assert(suffixes != NULL);
    text = trim_space(text);
    enum fail f = check_typed(text, fault);
    if (f != FAIL_NONE)
        return f;
    snprintf(typed, sizeof typed, "%.*s", STR_FMT(text));
    int r = to_ascii(typed, h.ascii);
    if (r != IDN2_OK)
        return refuse_idna(r, fault);
    str name = str_from(h.ascii);
    if ((f = check_ascii(name, fault)) != FAIL_NONE ||
        (f = check_public(name, h.ascii, fault)) != FAIL_NONE ||
        (f = check_own(name, fault)) != FAIL_NONE)
        return f;
    if (!is_spelt_so(&h))
        return refuse_idna(IDN2_ALABEL_ROUNDTRIP_FAILED, fault);
    if ((f = check_lookalike(&h, fault)) != FAIL_NONE)
        return f;
    const char *registrable = psl_registrable_domain(suffixes, h.ascii);
    snprintf(h.registrable, sizeof h.registrable, "%s",
             registrable != NULL ? registrable : h.ascii);
    *ret = h;
    return FAIL_NONE;
}

// --- start
static struct skeleton skeleton_of_ascii(const char *ascii)
{
    char unicode[HOSTNAME_UNICODE_ROOM];
    return to_unicode(ascii, unicode) ? skeleton_of(str_from(unicode)) : (struct skeleton){.n = 0};
}

static void add_own(const char *host)
{
    struct own_host *o = &own[own_count];
    *o = (struct own_host){0};
    if (to_ascii(host, o->ascii) != IDN2_OK || o->ascii[0] == '\0')
        snprintf(o->ascii, sizeof o->ascii, "%s", host);
    if (o->ascii[0] == '\0')
        return;
    ++own_count;
    const char *registrable = psl_registrable_domain(suffixes, o->ascii);
    // Addresses and `localhost` cannot be mistaken for a name that passes the other checks.
    if (registrable == NULL || ends_in_number(str_from(o->ascii)) || strchr(o->ascii, ':') != NULL)
        return;
    snprintf(o->registrable, sizeof o->registrable, "%s", registrable);
    o->skeleton = skeleton_of_ascii(o->ascii);
    o->registrable_skeleton = skeleton_of_ascii(registrable);
}

// As DNS writes them, so that a name is compared as it is stored.
static char *fold_names(const char *list)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    for (str rest = str_from(list); rest.n != 0;) {
        char ascii[HOSTNAME_ROOM], *name = str_dup(str_trim(str_cut(&rest, ',')));
        bool is_name = to_ascii(name, ascii) == IDN2_OK;
        buf_addf(&b, "%s,", is_name ? ascii : name);
        free(name);
    }
    return buf_take(&b);
}

static void open_tables(void)
{
    UErrorCode status = U_ZERO_ERROR;
    suffixes = psl_latest(NULL);
    if (suffixes == NULL)
        suffixes = (psl_ctx_t *)psl_builtin(); // never freed
    spoof = uspoof_open(&status);
    // Both are data of the packages this is linked with.
    assert(suffixes != NULL && U_SUCCESS(status));
}

void hostname_init(const struct hostname_rules *rules)
{
    if (suffixes == NULL)
        open_tables();
    assert(rules->own_count <= OWN_MAX);
    own_count = 0;
    for (size_t i = 0; i != rules->own_count; ++i)
        if (rules->own[i] != NULL)
            add_own(rules->own[i]);
    free(reserved_names);
    reserved_names = fold_names(rules->reserved != NULL ? rules->reserved : "");
}
