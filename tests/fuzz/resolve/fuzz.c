// A path of a stranger against sites of each kind. Whatever comes in, a redirect stays on the site, a
// file is one the rules allow, and the short way never knows better than the long one.
#include <assert.h>
#include <stdlib.h>
#include "bundles/resolve.h"
#include "made_site.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct site *sites[3];

static void make_sites(void)
{
    sites[0] = made_site("demo/plain", "{\"entry\":\"index.html\",\"routes\":[]}",
                         (const char *[]){"*index.html", "about.html", "docs/index.html",
                                          "docs/a/b.txt", "404.html", "docs/404.html", ".env",
                                          "docs/.git/config", ".well-known/x",
                                          ".well-known/acme-challenge/x", "caf\xc3\xa9.txt", NULL});
    sites[1] =
        made_site("demo/app",
                  "{\"entry\":\"dist/index.html\",\"routes\":[{\"path\":\"/admin/old\",\"spa\":"
                  "false},{\"path\":\"/\",\"spa\":true}]}",
                  (const char *[]){"dist/index.html", "dist/app.js", "dist/a/b/c.js", NULL});
    sites[2] = made_site("demo/one", "{\"entry\":\"index.html\",\"routes\":[]}",
                         (const char *[]){"index.html", NULL});
}

static void check_location(str to)
{
    assert(to.n > 0 && to.p[0] == '/');
    assert(to.n == 1 || to.p[1] != '/');
    for (size_t i = 0; i < to.n; i++)
        assert(to.p[i] > 0x20 && to.p[i] < 0x7f && to.p[i] != '\\' && to.p[i] != '?' &&
               to.p[i] != '#');
    assert(str_find_str(to, STR("//")) == SIZE_MAX);
}

static void check_file(const struct site *site, const struct resolution *r)
{
    str path = site->files[r->file].path;
    assert(str_find_str(path, STR("/.")) == SIZE_MAX);
    assert(path.p[0] != '.' || (str_starts(path, STR(".well-known/")) &&
                                !str_starts(path, STR(".well-known/acme-challenge/"))));
}

static void check(const struct site *site, str raw, str dest)
{
    char *room = malloc(resolve_room(site, raw));
    struct resolution r = resolve(site, raw, dest, room);
    uint32_t plain = resolve_plain(site, raw);
    if (r.file != SITE_NO_FILE)
        check_file(site, &r);
    if (r.kind == RESOLVED_REDIRECT || r.kind == RESOLVED_ELSEWHERE) {
        check_location(r.path);
        char *again = malloc(resolve_room(site, r.path));
        struct resolution there = resolve(site, r.path, dest, again);
        assert(there.kind != RESOLVED_MALFORMED);
        if (r.kind == RESOLVED_ELSEWHERE)
            assert(there.kind == RESOLVED_FILE);
        free(again);
    }
    if (plain != SITE_NO_FILE)
        assert(r.kind == RESOLVED_FILE && r.file == plain);
    free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (sites[0] == NULL)
        make_sites();
    if (size < 1 || size > 9000)
        return 0;
    char *raw = malloc(size); // '/' in front, as every path has
    raw[0] = '/';
    memcpy(raw + 1, data + 1, size - 1);
    str dest = data[0] % 2 != 0 ? STR("script") : (str){0};
    for (size_t i = 0; i < sizeof sites / sizeof sites[0]; i++)
        check(sites[i], str_of(raw, size), dest);
    free(raw);
    return 0;
}
