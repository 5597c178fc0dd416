// What a manifest declares of secrets and fields. It was checked at deploy time; a member that is of
// another type all the same declares nothing.
#include <stdio.h>
#include "public-actions/owner_settings/internal.h"

const json_t *owner_declared(const json_t *front, const char *kind)
{
    const json_t *member = json_object_get(json_object_get(front, "manifest"), kind);
    return json_is_object(member) ? member : NULL;
}

const json_t *owner_declared_one(const json_t *declared, str name)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)declared, key, value)
    {
        if (str_eq(str_from(key), name))
            return value;
    }
    return NULL;
}

const char *owner_names(const json_t *declared, char *to, size_t room)
{
    const char *key;
    json_t *value;
    size_t left = json_object_size(declared);
    int n = snprintf(to, room, "%s", left == 0 ? "none" : "");
    json_object_foreach((json_t *)declared, key, value)
    {
        const char *behind = left > 2 ? ", " : left == 2 ? " and " : "";
        if ((size_t)n + strlen(key) + 8 >= room) {
            snprintf(to + n, room - (size_t)n, "…");
            break;
        }
        n += snprintf(to + n, room - (size_t)n, "%s%s", key, behind);
        --left;
    }
    return to;
}
