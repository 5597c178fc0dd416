// What a manifest declares of secrets and fields. It was checked at deploy time; a member that is of
// another type all the same declares nothing.
#include "edge/catalog/declared.h"
#include <stdio.h>
#include <stdlib.h>

const json_t *declared_of(const json_t *front, const char *kind)
{
    const json_t *member = json_object_get(json_object_get(front, "manifest"), kind);
    return json_is_object(member) ? member : NULL;
}

const json_t *declared_one(const json_t *declared, str name)
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

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char **declared_sorted(const json_t *object)
{
    size_t n = 0;
    const char *key, **names = calloc(json_object_size(object) + 1, sizeof *names);
    json_t *value;
    if (names == NULL)
        abort();
    json_object_foreach((json_t *)object, key, value) names[n++] = key;
    qsort(names, n, sizeof *names, by_name);
    return names;
}

const char *declared_names(const json_t *declared, char *to, size_t room)
{
    const char **names AUTOFREE = declared_sorted(declared);
    size_t left = json_object_size(declared);
    int n = snprintf(to, room, "%s", left == 0 ? "none" : "");
    for (size_t i = 0; names[i] != NULL; ++i, --left) {
        const char *behind = left > 2 ? ", " : left == 2 ? " and " : "";
        if ((size_t)n + strlen(names[i]) + 8 >= room) {
            snprintf(to + n, room - (size_t)n, "…");
            break;
        }
        n += snprintf(to + n, room - (size_t)n, "%s%s", names[i], behind);
    }
    return to;
}
