// Paths, one a line: an accepted one can be joined to a folder without leaving it, and clashes
// found by sorting are those found by comparing each with each.
#include <stdint.h>
#include <stdlib.h>
#include "bundles/paths.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_PATHS = 12 };

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_accepted(str path)
{
    check(path.n != 0 && path.n <= 1024 && path.p[0] != '/' && str_is_utf8(path));
    check(str_find(path, '\0') == SIZE_MAX && str_find(path, '\\') == SIZE_MAX);
    for (bool more = true; more;) {
        more = str_find(path, '/') != SIZE_MAX;
        str segment = str_cut(&path, '/');
        check(segment.n != 0 && segment.n <= 255);
        check(!str_eq(segment, STR(".")) && !str_eq(segment, STR("..")));
    }
}

static void on_clash(void *ctx, enum path_clash clash, size_t first, size_t second)
{
    bool *clashing = ctx;
    check(first < second);
    clashing[first] = clashing[second] = true;
    char text[300];
    check(path_clash_text(text, sizeof text, clash, STR("a"), STR("b"))[0] != '\0');
}

static bool inside(str path, str folder)
{
    return path.n > folder.n && path.p[folder.n] == '/' && str_starts(path, folder);
}

static void check_clashes(const str *paths, size_t n)
{
    bool found[MAX_PATHS] = {0}, wanted = false;
    str folded[MAX_PATHS];
    for (size_t i = 0; i != n; ++i)
        folded[i].p = path_fold(paths[i], &folded[i].n);
    for (size_t i = 0; i != n; ++i)
        for (size_t j = 0; j != i; ++j)
            wanted = wanted || str_eq(folded[i], folded[j]) || inside(folded[i], folded[j]) ||
                     inside(folded[j], folded[i]);
    size_t count = paths_clashes(paths, n, on_clash, found);
    check((count != 0) == wanted && count <= n);
    for (size_t i = 0; i != n; ++i)
        free((char *)folded[i].p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str rest = str_of(data, size), paths[MAX_PATHS];
    size_t n = 0;
    while (rest.n != 0 && n != MAX_PATHS) {
        str path = str_cut(&rest, '\n');
        if (path_refusal(path) != NULL)
            continue;
        check_accepted(path);
        paths[n++] = path;
    }
    check_clashes(paths, n);
    return 0;
}
