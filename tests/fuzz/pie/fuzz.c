// .pie files: whatever the bytes, every part lies within them, a refused file has a problem with a
// sentence, and an accepted one reads the same again.
#include <stdint.h>
#include <stdlib.h>
#include "bundles/pie.h"
#include "bundles/paths.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static bool is_within(str part, str file)
{
    return part.p == NULL || (part.p >= file.p && part.p + part.n <= file.p + file.n);
}

static void check_pie(const struct pie *pie, str file)
{
    check(is_within(pie->handler, file) && is_within(pie->body, file) &&
          is_within(pie->widget, file));
    check(pie->name.n != 0 && pie->display_name.n != 0 && pie->version.n != 0);
    check((pie->config == NULL) == (pie->file_count == 0));
    check(pie->file_count <= pie_limits_default.public_files);
    size_t total = 0;
    bool has_entry = pie->config == NULL;
    for (size_t i = 0; i != pie->file_count; ++i) {
        check(is_within(pie->files[i].content, file) && is_within(pie->files[i].path, file));
        check(path_refusal(pie->files[i].path) == NULL);
        total += pie->files[i].content.n;
        if (pie->config != NULL && str_eq(pie->files[i].path, str_from(pie->config->entry)))
            has_entry = true;
    }
    check(has_entry && total == pie->public_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str file = str_of(data, size);
    struct pie pie;
    struct problems problems, warnings;
    problems_init(&problems);
    problems_init(&warnings);
    enum fail fail = pie_parse(file, NULL, &pie, &problems, &warnings);
    check((fail == FAIL_NONE) == (problems.count == 0));
    if (fail == FAIL_NONE) {
        check_pie(&pie, file);
        pie_fini(&pie);
    }
    json_t *json = problems_json(&problems), *sentences = pie_warnings_json(&warnings);
    for (size_t i = 0; i != problems.count; ++i) {
        const json_t *one = json_array_get(json, i);
        check(json_string_length(json_object_get(one, "message")) > 5);
        check(json_object_get(one, "section") != NULL);
        check(i == 0 || problems.list[i - 1].line <= problems.list[i].line);
    }
    check(json_array_size(sentences) >= warnings.count);
    json_decref(json);
    json_decref(sentences);
    problems_fini(&problems);
    problems_fini(&warnings);
    return 0;
}
