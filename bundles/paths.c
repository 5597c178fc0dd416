// Path rules. Clashes are found by sorting the folded paths with '/' below every other byte: a
// file's own folder entries then follow it directly, so one pass over neighbours sees them all, and
// memory is bounded by the paths themselves.
#include "bundles/paths.h"
#include "edge/base/problem.h"
#include <stdio.h>
#include <stdlib.h>
#include <unicase.h>
#include <uninorm.h>

static const char *segment_refusal(str segment)
{
    if (segment.n == 0)
        return "must not have an empty segment ('//', or '/' at the end)";
    if (str_eq(segment, STR(".")) || str_eq(segment, STR("..")))
        return "must not have '.' or '..' segments";
    if (segment.n > PATH_SEGMENT_MAX_BYTES)
        return "must not have a segment of more than 255 bytes";
    return NULL;
}

static bool has_control(str s)
{
    for (size_t i = 0; i != s.n; ++i) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x20 || c == 0x7f)
            return true;
        if (c == 0xc2 && i + 1 != s.n && (unsigned char)s.p[i + 1] < 0xa0) // U+0080 to U+009F
            return true;
    }
    return false;
}

// The server answers these from its challenge table alone (security-rules.md 14).
static bool is_challenge_path(str path)
{
    static const str folders[] = {{".well-known/acme-challenge", 26},
                                  {".well-known/pki-validation", 26}};
    for (size_t i = 0; i != 2; ++i)
        if (path.n >= folders[i].n && str_caseeq(str_of(path.p, folders[i].n), folders[i]) &&
            (path.n == folders[i].n || path.p[folders[i].n] == '/'))
            return true;
    return false;
}

const char *path_refusal(str path)
{
    if (path.n == 0)
        return "must not be empty";
    if (path.n > PATH_MAX_BYTES)
        return "must not be longer than 1,024 bytes";
    if (!str_is_utf8(path))
        return "must be valid UTF-8";
    if (has_control(path))
        return "must not hold control characters";
    if (str_find(path, '\\') != SIZE_MAX)
        return "must not hold a backslash; '/' separates folders";
    if (path.p[0] == '/')
        return "must not start with '/'";
    for (size_t from = 0, to; from <= path.n; from = to + 1) {
        const char *slash = from != path.n ? memchr(path.p + from, '/', path.n - from) : NULL;
        to = slash != NULL ? (size_t)(slash - path.p) : path.n;
        const char *why = segment_refusal(str_of(path.p + from, to - from));
        if (why != NULL)
            return why;
    }
    if (is_challenge_path(path))
        return "must not lie in .well-known/acme-challenge/ or .well-known/pki-validation/, which "
               "the server answers itself";
    return NULL;
}

char *path_fold(str path, size_t *ret_n)
{
    // The language-neutral folding: NULL is no locale, so no Turkish i.
    uint8_t *folded = u8_casefold((const uint8_t *)path.p, path.n, NULL, UNINORM_NFD, NULL, ret_n);
    if (folded == NULL)
        abort();
    return (char *)folded;
}

bool path_is_config(str path)
{
    size_t slash = str_find(path, '/'), n;
    char *folded = path_fold(str_of(path.p, slash != SIZE_MAX ? slash : path.n), &n);
    bool is_config = str_eq(str_of(folded, n), STR("public-config.yaml"));
    free(folded);
    return is_config;
}

struct folded {
    str key;
    size_t index;
};

static int compare_bytes(char a, char b)
{
    unsigned char x = (unsigned char)a, y = (unsigned char)b;
    return x == y ? 0 : x == '/' ? -1 : y == '/' ? 1 : x < y ? -1 : 1;
}

static int compare_folded(const void *left, const void *right)
{
    const struct folded *a = left, *b = right;
    for (size_t i = 0; i != a->key.n && i != b->key.n; ++i) {
        int c = compare_bytes(a->key.p[i], b->key.p[i]);
        if (c != 0)
            return c;
    }
    if (a->key.n != b->key.n)
        return a->key.n < b->key.n ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index; // the first of a list stays first
}

static bool is_inside(str path, str folder)
{
    return path.n > folder.n && path.p[folder.n] == '/' && str_starts(path, folder);
}

static size_t report_neighbours(const struct folded *list, const str *paths, size_t n,
                                path_on_clash *on_clash, void *ctx)
{
    size_t found = 0, file = 0; // `file`: the last one that is not inside another
    for (size_t i = 1; i < n; ++i) {
        size_t a = list[file].index, b = list[i].index, low = a < b ? a : b, high = a < b ? b : a;
        if (str_eq(list[i].key, list[file].key)) {
            on_clash(ctx, str_eq(paths[a], paths[b]) ? PATH_SAME : PATH_SAME_CASE, low, high);
        } else if (is_inside(list[i].key, list[file].key)) {
            on_clash(ctx, PATH_FOLDER, low, high);
        } else {
            file = i;
            continue;
        }
        ++found;
    }
    return found;
}

size_t paths_clashes(const str *paths, size_t n, path_on_clash *on_clash, void *ctx)
{
    if (n < 2)
        return 0;
    struct folded *list = calloc(n, sizeof *list);
    if (list == NULL)
        abort();
    for (size_t i = 0; i != n; ++i) {
        list[i].key.p = path_fold(paths[i], &list[i].key.n);
        list[i].index = i;
    }
    qsort(list, n, sizeof *list, compare_folded);
    size_t found = report_neighbours(list, paths, n, on_clash, ctx);
    for (size_t i = 0; i != n; ++i)
        free((char *)list[i].key.p);
    free(list);
    return found;
}

const char *path_clash_text(char *to, size_t room, enum path_clash clash, str first, str second)
{
    switch (clash) {
    case PATH_SAME:
        snprintf(to, room, "The path %s stands here twice.", QUOTED(second));
        break;
    case PATH_SAME_CASE:
        snprintf(to, room, "The paths %s and %s differ in upper and lower case only.",
                 QUOTED(first), QUOTED(second));
        break;
    case PATH_FOLDER:
        snprintf(to, room, "%s cannot be both a file and a folder: see %s.",
                 QUOTED(first.n < second.n ? first : second),
                 QUOTED(first.n < second.n ? second : first));
        break;
    }
    return to;
}
