// The order of contract §2: root, exact file, folder index, path.html, client-side route, 404.html.
#include "bundles/resolve.h"
#include "bundles/paths.h"

enum { SUFFIX_ROOM = 16 }; // "/index.html" and less

static const char encoded_hint[] = "The address is not properly percent-encoded.";

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// --- decoding ---

// Whether an empty, "." or ".." segment begins at s.
static bool is_odd_segment(str s)
{
    size_t n = str_find(s, '/');
    if (n == SIZE_MAX)
        n = s.n;
    bool is_last = n == s.n;
    return (n == 0 && !is_last) || str_eq(str_of(s.p, n), STR(".")) ||
           str_eq(str_of(s.p, n), STR(".."));
}

static bool is_canonical(str path)
{
    for (size_t i = 0; i < path.n; i++)
        if (path.p[i] == '/' && is_odd_segment(str_skip(path, i + 1)))
            return false;
    return true;
}

const char *resolve_decode(str raw, char *to, size_t *ret_n, bool *ret_canonical)
{
    size_t n = 0;
    for (size_t i = 0; i < raw.n; i++) {
        char c = raw.p[i];
        if (c == '%') {
            int high = i + 2 < raw.n ? hex_value(raw.p[i + 1]) : -1;
            int low = i + 2 < raw.n ? hex_value(raw.p[i + 2]) : -1;
            if (i + 2 >= raw.n || high < 0 || low < 0)
                return encoded_hint;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (c == '\0')
            return "The address holds a NUL byte.";
        if (c == '\\')
            return "The address holds a backslash.";
        to[n++] = c;
    }
    if (!str_is_utf8(str_of(to, n)))
        return "The address is not valid UTF-8.";
    *ret_n = n;
    *ret_canonical = is_canonical(str_of(to, n));
    return NULL;
}

bool resolve_canonicalise(char *path, size_t *n)
{
    str rest = str_of(path, *n);
    size_t kept = 0; // bytes of the result, "" or "/a/b"
    bool ends_in_slash = false;
    while (rest.n > 0) {
        rest = str_skip(rest, 1); // the slash in front
        size_t length = str_find(rest, '/');
        if (length == SIZE_MAX)
            length = rest.n;
        str segment = str_of(rest.p, length);
        rest = str_skip(rest, length);
        ends_in_slash = segment.n == 0;
        if (str_eq(segment, STR("."))) {
            ends_in_slash = true;
        } else if (str_eq(segment, STR(".."))) {
            if (kept == 0)
                return false;
            while (path[--kept] != '/')
                ;
            ends_in_slash = true;
        } else if (segment.n > 0) {
            path[kept++] = '/';
            memmove(path + kept, segment.p, segment.n);
            kept += segment.n;
        }
    }
    if (ends_in_slash || kept == 0)
        path[kept++] = '/';
    *n = kept;
    return true;
}

// --- encoding ---

// pchar and '/' of RFC 3986, without what HTML or a log would have to escape.
static bool is_path_byte(unsigned char c)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
        return true;
    return c != '\0' && strchr("/-._~!$()*+,;=:@", c) != NULL;
}

static size_t put_encoded(char *to, unsigned char c)
{
    static const char digits[] = "0123456789ABCDEF";
    to[0] = '%';
    to[1] = digits[c >> 4];
    to[2] = digits[c & 15];
    return 3;
}

size_t resolve_encode(str path, char *to)
{
    size_t n = 0;
    for (size_t i = 0; i < path.n; i++) {
        unsigned char c = (unsigned char)path.p[i];
        if (is_path_byte(c))
            to[n++] = (char)c;
        else
            n += put_encoded(to + n, c);
    }
    return n;
}

size_t resolve_encode_again(str raw, char *to)
{
    size_t n = 0;
    for (size_t i = 0; i < raw.n; i++) {
        unsigned char c = (unsigned char)raw.p[i];
        if (is_path_byte(c) || (c != '\0' && strchr("%?&'[]|", c) != NULL))
            to[n++] = (char)c;
        else
            n += put_encoded(to + n, c);
    }
    return n;
}

// --- what answers ---

struct work {
    const struct site *site;
    str path;        // decoded, canonical, '/' first
    char *candidate; // room for names to try
    char *encoded;   // room for a redirect's target
};

// Looks for the file named by two pieces, one behind the other.
static uint32_t find_joined(struct work *w, str first, str second)
{
    if (first.n + second.n > PATH_MAX_BYTES)
        return SITE_NO_FILE;
    memcpy(w->candidate, first.p, first.n);
    memcpy(w->candidate + first.n, second.p, second.n);
    return site_find(w->site, str_of(w->candidate, first.n + second.n));
}

static struct resolution redirect(struct work *w, enum resolution_kind kind, str path, str tail)
{
    size_t n = resolve_encode(path, w->encoded);
    n += resolve_encode(tail, w->encoded + n);
    return (struct resolution){.kind = kind, .file = SITE_NO_FILE, .path = str_of(w->encoded, n)};
}

static struct resolution found(uint32_t file, bool is_exact)
{
    return (struct resolution){.kind = RESOLVED_FILE, .file = file, .is_exact = is_exact};
}

// The nearest 404.html, walking up. Folders deeper than any file's are not tried.
static struct resolution missing(struct work *w)
{
    struct resolution r = {.kind = RESOLVED_MISSING, .file = SITE_NO_FILE};
    uint32_t depth = 0;
    for (size_t i = 1; i < w->path.n; i++)
        depth += w->path.p[i] == '/';
    for (size_t end = w->path.n; end > 0 && r.file == SITE_NO_FILE; end--) {
        if (w->path.p[end - 1] != '/')
            continue;
        if (depth <= w->site->depth)
            r.file = find_joined(w, str_of(w->path.p + 1, end - 1), STR("404.html"));
        depth--;
    }
    return r;
}

// The path's first byte is '/', which is no part of a name: `end` counts it, so a folder's name
// with its slash is [1, end).
static bool is_reserved(str path)
{
    static const str reserved[] = {{"/.well-known/acme-challenge", 27},
                                   {"/.well-known/pki-validation", 27}};
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
        if (str_starts(path, reserved[i]) &&
            (path.n == reserved[i].n || path.p[reserved[i].n] == '/'))
            return true;
    return false;
}

static bool is_hidden(str path)
{
    str rest = path;
    if (str_starts(path, STR("/.well-known/")))
        rest = str_skip(path, sizeof "/.well-known" - 1);
    return str_find_str(rest, STR("/.")) != SIZE_MAX;
}

static bool asks_for_asset(str dest)
{
    static const char *const assets[] = {
        "script", "style",  "image",        "font",          "manifest",     "audio",       "video",
        "track",  "worker", "sharedworker", "serviceworker", "audioworklet", "paintworklet"};
    for (size_t i = 0; i < sizeof assets / sizeof assets[0]; i++)
        if (str_eq(dest, str_from(assets[i])))
            return true;
    return false;
}

static str entry_folder(const struct site *site)
{
    str entry = site->files[site->entry].path;
    while (entry.n > 0 && entry.p[entry.n - 1] != '/')
        entry.n--;
    return entry;
}

// A page at a deep client-side route asked for "./app.js": the file with that name relative to the
// entry's folder, as many leading segments removed as it takes.
static struct resolution asset_of_route(struct work *w)
{
    str folder = entry_folder(w->site), rest = str_skip(w->path, 1);
    uint32_t depth = 0;
    for (size_t i = 0; i < rest.n; i++)
        depth += rest.p[i] == '/';
    while (rest.n > 0) {
        if (depth <= w->site->depth && find_joined(w, folder, rest) != SITE_NO_FILE) {
            struct resolution r =
                redirect(w, RESOLVED_ELSEWHERE, STR("/"), str_of(w->candidate, folder.n + rest.n));
            r.depends_on_dest = true;
            return r;
        }
        str_cut(&rest, '/');
        depth--;
    }
    struct resolution r = missing(w);
    r.depends_on_dest = true;
    return r;
}

static struct resolution route_or_missing(struct work *w, str dest)
{
    if (!config_is_spa(&w->site->config, w->path))
        return missing(w);
    if (asks_for_asset(dest))
        return asset_of_route(w);
    return (struct resolution){
        .kind = RESOLVED_ENTRY, .file = w->site->entry, .depends_on_dest = true};
}

static struct resolution resolve_canonical(struct work *w, str dest)
{
    str name = str_skip(w->path, 1);
    uint32_t file;
    if (name.n == 0)
        return found(w->site->entry, false);
    if (is_reserved(w->path))
        return (struct resolution){
            .kind = RESOLVED_MISSING, .file = SITE_NO_FILE, .is_reserved = true};
    if (is_hidden(w->path))
        return missing(w);
    if (name.p[name.n - 1] == '/') {
        file = find_joined(w, name, STR("index.html"));
        return file != SITE_NO_FILE ? found(file, false) : route_or_missing(w, dest);
    }
    if ((file = site_find(w->site, name)) != SITE_NO_FILE)
        return found(file, true);
    if (find_joined(w, name, STR("/index.html")) != SITE_NO_FILE)
        return redirect(w, RESOLVED_REDIRECT, w->path, STR("/"));
    if ((file = find_joined(w, name, STR(".html"))) != SITE_NO_FILE)
        return found(file, false);
    return route_or_missing(w, dest);
}

size_t resolve_room(const struct site *site, str raw)
{
    size_t name = raw.n + SUFFIX_ROOM + entry_folder(site).n;
    return raw.n + PATH_MAX_BYTES + 3 * name;
}

struct resolution resolve(const struct site *site, str raw, str sec_fetch_dest, char *room)
{
    struct work w = {.site = site, .candidate = room + raw.n};
    size_t n = 0;
    bool canonical = true;
    w.encoded = w.candidate + PATH_MAX_BYTES;
    const char *why = resolve_decode(raw, room, &n, &canonical);
    if (why == NULL && !canonical && !resolve_canonicalise(room, &n))
        why = "The address leads out of the app.";
    if (why != NULL)
        return (struct resolution){.kind = RESOLVED_MALFORMED, .file = SITE_NO_FILE, .why = why};
    w.path = str_of(room, n);
    if (!canonical)
        return redirect(&w, RESOLVED_REDIRECT, w.path, STR(""));
    return resolve_canonical(&w, sec_fetch_dest);
}

uint32_t resolve_plain(const struct site *site, str raw)
{
    if (raw.n == 1)
        return site->entry;
    for (size_t i = 0; i < raw.n; i++) {
        unsigned char c = (unsigned char)raw.p[i];
        if (c == '%' || c == '\\' || c >= 0x80 || c == '\0')
            return SITE_NO_FILE;
        if (c == '.' && raw.p[i - 1] == '/') // the first byte is a slash
            return SITE_NO_FILE;
    }
    return site_find(site, str_skip(raw, 1));
}
