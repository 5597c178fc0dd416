// Reading and writing public-config.
#include "bundles/config.h"
#include "bundles/paths.h"
#include "edge/base/jsonx.h"
#include "edge/base/yaml.h"
#include <stdlib.h>

static void *zeroed(size_t n, size_t size)
{
    void *p = calloc(n != 0 ? n : 1, size);
    if (p == NULL)
        abort();
    return p;
}

static struct config *config_create(str entry, size_t room)
{
    struct config *c = zeroed(1, sizeof *c);
    c->entry = str_dup(entry);
    c->routes = zeroed(room, sizeof *c->routes);
    return c;
}

void config_destroy(struct config *config)
{
    if (config == NULL)
        return;
    for (size_t i = 0; i != config->route_count; ++i)
        free(config->routes[i].path);
    free(config->routes);
    free(config->entry);
    free(config);
}

static bool has_file(const struct config_files *files, str path)
{
    for (size_t i = 0; i != files->n; ++i)
        if (str_eq(files->paths[i], path))
            return true;
    return false;
}

// What one load is about.
struct load {
    const char *section;
    unsigned first_line;
    const struct yaml_marks *marks; // NULL without a text
    struct problems *problems, *warnings;
};

static unsigned member_line(const struct load *l, const json_t *object, const char *key)
{
    unsigned line = l->marks != NULL ? yaml_member_line(l->marks, object, key) : 0;
    return line != 0 ? line : l->first_line;
}

static unsigned value_line(const struct load *l, const json_t *value)
{
    unsigned line, column;
    yaml_place(l->marks, value, &line, &column);
    return line != 0 ? line : l->first_line;
}

static void warn_of_unknown(const struct load *l, const json_t *object, str first, str second)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        if (!str_eq(str_from(key), first) && !str_eq(str_from(key), second))
            problems_add(l->warnings, member_line(l, object, key), 0, l->section,
                         "The key %s is not known and has no effect.", QUOTED(str_from(key)));
    }
}

// "admin", "/admin" and "/admin/" are one route.
static str without_outer_slashes(str s)
{
    if (s.n != 0 && s.p[0] == '/')
        s = str_skip(s, 1);
    if (s.n != 0 && s.p[s.n - 1] == '/')
        --s.n;
    return s;
}

// The normalised path, to be freed; NULL when it is not a route's, with `*ret_why` a phrase as of
// path_refusal.
static char *route_path(str given, const char **ret_why)
{
    str inner = without_outer_slashes(given);
    *ret_why = given.n == 0 ? "must not be empty" : inner.n == 0 ? NULL : path_refusal(inner);
    if (*ret_why != NULL)
        return NULL;
    struct buf b;
    buf_init(&b, PATH_MAX_BYTES + 2);
    buf_addc(&b, '/');
    buf_add(&b, inner);
    return buf_take(&b);
}

static struct config_route *find_route(const struct config *c, const char *path)
{
    for (size_t i = 0; i != c->route_count; ++i)
        if (strcmp(c->routes[i].path, path) == 0)
            return &c->routes[i];
    return NULL;
}

// Takes `path`.
static void add_route(const struct load *l, struct config *c, char *path, bool spa, unsigned line)
{
    const struct config_route *same = find_route(c, path);
    if (same == NULL) {
        c->routes[c->route_count++] = (struct config_route){path, spa};
        return;
    }
    if (same->spa != spa)
        problems_add(l->problems, line, 0, l->section,
                     "The route %s stands here twice, with and without 'spa'.",
                     QUOTED(str_from(path)));
    else
        problems_add(l->warnings, line, 0, l->section, "The route %s stands here twice.",
                     QUOTED(str_from(path)));
    free(path);
}

static void read_route(const struct load *l, struct config *c, const json_t *route)
{
    if (!json_is_object(route)) {
        problems_add(l->problems, value_line(l, route), 0, l->section,
                     "Each route must be a mapping with 'path' and, if you like, 'spa'.");
        return;
    }
    warn_of_unknown(l, route, STR("path"), STR("spa"));
    const json_t *path = json_object_get(route, "path"), *spa = json_object_get(route, "spa");
    if (spa != NULL && !json_is_boolean(spa))
        problems_add(l->problems, member_line(l, route, "spa"), 0, l->section,
                     "'spa' must be true or false.");
    if (!json_is_string(path)) {
        problems_add(l->problems, member_line(l, route, "path"), 0, l->section,
                     path == NULL ? "This route has no 'path'." : "A route's 'path' must be text.");
        return;
    }
    const char *why;
    char *normal = route_path(jsonx_str(route, "path"), &why);
    unsigned line = member_line(l, route, "path");
    if (normal == NULL)
        problems_add(l->problems, line, 0, l->section, "The route %s %s.",
                     QUOTED(jsonx_str(route, "path")), why);
    else
        add_route(l, c, normal, json_is_true(spa), line);
}

static int longest_first(const void *a, const void *b)
{
    const struct config_route *x = a, *y = b;
    size_t n = strlen(x->path), m = strlen(y->path);
    return n != m ? (n < m ? 1 : -1) : strcmp(x->path, y->path);
}

static void sort_routes(struct config *c)
{
    qsort(c->routes, c->route_count, sizeof *c->routes, longest_first);
}

static void read_routes(const struct load *l, struct config *c, const json_t *root)
{
    const json_t *routes = json_object_get(root, "routes");
    if (routes == NULL || json_is_null(routes))
        return;
    if (!json_is_array(routes)) {
        problems_add(l->problems, member_line(l, root, "routes"), 0, l->section,
                     "'routes' must be a list.");
        return;
    }
    if (json_array_size(routes) > CONFIG_ROUTES_MAX) {
        problems_add(l->problems, member_line(l, root, "routes"), 0, l->section,
                     "There are %zu routes; at most %d are allowed.", json_array_size(routes),
                     CONFIG_ROUTES_MAX);
        return;
    }
    free(c->routes);
    c->routes = zeroed(json_array_size(routes), sizeof *c->routes);
    size_t i;
    json_t *route;
    json_array_foreach((json_t *)routes, i, route) read_route(l, c, route);
    sort_routes(c);
}

static void warn_of_entry_type(const struct load *l, str entry, unsigned line)
{
    str tail = entry.n > 5 ? str_skip(entry, entry.n - 5) : entry;
    if (!str_caseeq(tail, STR(".html")) &&
        !(tail.n > 4 && str_caseeq(str_skip(tail, tail.n - 4), STR(".htm"))))
        problems_add(l->warnings, line, 0, l->section,
                     "The entry %s is not an .html file; browsers may not show it as a page.",
                     QUOTED(entry));
}

// An absent view when there is none that stands; a problem is then added.
static str read_entry(const struct load *l, const json_t *root, const struct config_files *files)
{
    const json_t *value = json_object_get(root, "entry");
    unsigned line = member_line(l, root, "entry");
    if (value == NULL) {
        if (has_file(files, STR("index.html")))
            return STR("index.html");
        problems_add(l->problems, line, 0, l->section,
                     "There is no index.html: name the page to open first as 'entry' in "
                     "public-config.");
        return (str){0};
    }
    str entry = jsonx_str(root, "entry");
    const char *why = json_is_string(value) ? path_refusal(entry) : "must be text";
    if (why != NULL) {
        problems_add(l->problems, line, 0, l->section, "The entry %s %s.",
                     json_is_string(value) ? QUOTED(entry) : "of public-config", why);
        return (str){0};
    }
    if (!has_file(files, entry)) {
        problems_add(l->problems, line, 0, l->section,
                     files->n != 0 ? "The entry %s is not among the public files."
                                   : "The entry %s does not exist: there are no public files.",
                     QUOTED(entry));
        return (str){0};
    }
    warn_of_entry_type(l, entry, line);
    return entry;
}

static struct config *read_config(const struct load *l, const json_t *root,
                                  const struct config_files *files)
{
    if (l->marks != NULL)
        warn_of_unknown(l, root, STR("entry"), STR("routes"));
    struct config *c = config_create(read_entry(l, root, files), 0);
    read_routes(l, c, root);
    return c;
}

struct config *config_load(str text, unsigned first_line, const char *section,
                           const struct config_files *files, struct problems *problems,
                           struct problems *warnings)
{
    struct load l = {section, first_line, NULL, problems, warnings};
    if (text.n > CONFIG_TEXT_MAX) {
        problems_add(problems, first_line, 0, section,
                     "public-config is longer than 64 KiB (%zu bytes).", text.n);
        return NULL;
    }
    size_t before = problems->count + problems->left_out;
    struct yaml_marks *marks = NULL;
    json_t *root =
        text.p == NULL ? json_null() : yaml_load(text, first_line, section, problems, &marks);
    l.marks = marks;
    if (json_is_null(root)) // nothing in it but comments
        root = json_object();
    struct config *c = NULL;
    if (root != NULL && !json_is_object(root))
        problems_add(problems, first_line, 0, section,
                     "public-config must be a mapping with 'entry' and 'routes'.");
    else if (root != NULL)
        c = read_config(&l, root, files);
    json_decref(root);
    yaml_marks_destroy(marks);
    if (problems->count + problems->left_out == before)
        return c;
    config_destroy(c);
    return NULL;
}

json_t *config_json(const struct config *config)
{
    json_t *routes = json_array();
    for (size_t i = 0; i != config->route_count; ++i)
        json_array_append_new(routes, json_pack("{s:s, s:b}", "path", config->routes[i].path, "spa",
                                                (int)config->routes[i].spa));
    return json_pack("{s:s, s:o}", "entry", config->entry, "routes", routes);
}

struct config *config_from_json(const json_t *value)
{
    str entry = jsonx_str(value, "entry");
    const json_t *routes = json_object_get(value, "routes"), *route;
    if (entry.n == 0 || !json_is_array(routes))
        return NULL;
    struct config *c = config_create(entry, json_array_size(routes));
    size_t i;
    json_array_foreach((json_t *)routes, i, route)
    {
        str path = jsonx_str(route, "path");
        if (path.n == 0 || path.p[0] != '/') {
            config_destroy(c);
            return NULL;
        }
        c->routes[c->route_count++] =
            (struct config_route){str_dup(path), json_is_true(json_object_get(route, "spa"))};
    }
    sort_routes(c);
    return c;
}

bool config_is_spa(const struct config *config, str path)
{
    for (size_t i = 0; i != config->route_count; ++i) {
        str route = str_from(config->routes[i].path);
        if (route.n == 1 ||
            (str_starts(path, route) && (path.n == route.n || path.p[route.n] == '/')))
            return config->routes[i].spa;
    }
    return false;
}
