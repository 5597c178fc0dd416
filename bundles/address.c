#include "bundles/address.h"
#include "bundles/manifest.h"

enum { INSTANCE_SLUG_MAX = 63, DEPLOYMENT_ID_LENGTH = DEPLOYMENT_ID_ROOM - 1 };

static bool address_of_host(const struct request *r, struct address *ret, char *room)
{
    bool is_preview = r->site == SITE_PREVIEW;
    if (r->site_name.n > INSTANCE_SLUG_MAX)
        return false;
    room[0] = '@';
    memcpy(room + 1, r->site_name.p, r->site_name.n);
    *ret = (struct address){.key = is_preview ? str_of(room, r->site_name.n + 1) : r->site_name,
                            .base = STR(""),
                            .rest = r->path};
    return true;
}

bool address_of(const struct request *r, struct address *ret, char room[static SITE_KEY_ROOM])
{
    if (r->site != SITE_APPS)
        return address_of_host(r, ret, room);
    str below = str_skip(r->path, APPS_PREFIX);
    size_t plugin = str_find(below, '/');
    if (plugin == SIZE_MAX)
        return false;
    size_t end = str_find(str_skip(below, plugin + 1), '/');
    end = end == SIZE_MAX ? below.n : plugin + 1 + end;
    if (end > SITE_KEY_ROOM)
        return false;
    *ret = (struct address){.key = str_of(below.p, end),
                            .base = str_of(r->path.p, APPS_PREFIX + end),
                            .rest = str_skip(below, end)};
    return true;
}

struct address_parts address_parts(str key)
{
    struct address_parts parts = {0};
    size_t at = str_find(key, '@');
    str names = key;
    if (at != SIZE_MAX) {
        names.n = at;
        parts.deployment = str_skip(key, at + 1);
    }
    size_t slash = str_find(names, '/');
    if (slash != SIZE_MAX) {
        parts.plugin = str_of(names.p, slash);
        names = str_skip(names, slash + 1);
    }
    parts.instance = names;
    return parts;
}

static bool is_slug(str s, size_t max)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-')
            return false;
    }
    return s.n > 0 && s.n <= max;
}

static bool is_deployment_id(str s)
{
    return s.n == DEPLOYMENT_ID_LENGTH && str_find(s, '-') == SIZE_MAX && is_slug(s, s.n);
}

bool address_is_plausible(str key)
{
    struct address_parts parts = address_parts(key);
    bool has_plugin = str_find(key, '/') != SIZE_MAX, has_deployment = parts.deployment.p != NULL;
    if (has_plugin && !is_slug(parts.plugin, MANIFEST_NAME_MAX))
        return false;
    if (has_deployment && !is_deployment_id(parts.deployment))
        return false;
    if (has_deployment && !has_plugin)
        return parts.instance.n == 0;
    return is_slug(parts.instance, INSTANCE_SLUG_MAX);
}
