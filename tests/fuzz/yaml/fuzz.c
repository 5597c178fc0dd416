// YAML: what is accepted can be written as JSON and read again as the same value, and its marks lie
// within the document.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "edge/base/jsonx.h"
#include "edge/base/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_marks(const struct yaml_marks *marks, const json_t *value, unsigned lines)
{
    unsigned line, column;
    yaml_place(marks, value, &line, &column);
    check(line <= lines);
    const char *key;
    json_t *member;
    json_object_foreach((json_t *)value, key, member)
    {
        check(yaml_member_line(marks, value, key) >= 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 65536)
        return 0;
    struct problems problems;
    problems_init(&problems);
    struct yaml_marks *marks = NULL;
    json_t *value = yaml_load(str_of(data, size), 1, "fuzz", &problems, &marks);
    check(value != NULL || problems.count != 0);
    for (size_t i = 0; value != NULL && i != problems.count; ++i)
        check(strstr(problems.list[i].message, "stands here twice") != NULL);
    if (value != NULL) {
        check_marks(marks, value, (unsigned)size + 2);
        if (json_is_object(value) || json_is_array(value)) {
            size_t n;
            char *text = jsonx_dump(value, &n);
            json_t *again = jsonx_parse(str_of(text, n), NULL);
            check(again != NULL && json_equal(value, again));
            json_decref(again);
            free(text);
        }
        json_decref(value);
    }
    yaml_marks_destroy(marks);
    json_t *list = problems_json(&problems);
    for (size_t i = 0; i != problems.count; ++i)
        check(json_object_get(json_array_get(list, i), "message") != NULL);
    json_decref(list);
    problems_fini(&problems);
    return 0;
}
