#include "made_site.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include "bundles/content_type.h"

static void fill_file(struct bundle_file *f, const char *name)
{
    bool has_all = name[0] == '*';
    str path = str_from(has_all ? name + 1 : name);
    *f = (struct bundle_file){.path = path,
                              .content_type = content_type_for_path(path),
                              .is_immutable = path_has_content_hash(path)};
    for (enum encoding e = 0; e < ENCODINGS; e++) {
        char text[256];
        int n = snprintf(text, sizeof text, "%.*s %d", STR_FMT(path), e);
        f->has[e] = e == ENCODING_IDENTITY || has_all;
        f->sha256[e] = digest_sha256(str_of(text, (size_t)n));
        f->size[e] = 100 - (uint64_t)e * 10;
    }
}

void made_row(struct deployment_row *row, const char *config, const char *const *names)
{
    *row = (struct deployment_row){.id = "0123456789abcdefghjkmnpqrs",
                                   .plugin_id = "plg_one",
                                   .instance_id = "ins_one",
                                   .plugin_slug = "demo",
                                   .instance_slug = "demo-0123abcd",
                                   .shown_since = 1790000000};
    row->config = json_loads(config, 0, NULL);
    assert(row->config != NULL);
    while (names[row->file_count] != NULL)
        row->file_count++;
    row->files = calloc(row->file_count + 1, sizeof *row->files);
    assert(row->files != NULL);
    for (size_t i = 0; i < row->file_count; i++)
        fill_file(&row->files[i], names[i]);
}

void made_row_fini(struct deployment_row *row)
{
    json_decref(row->config);
    free(row->files);
}

struct site *made_site(const char *key, const char *config, const char *const *names)
{
    struct deployment_row row;
    struct site *site = NULL;
    struct fault fault = {0};
    made_row(&row, config, names);
    enum fail fail = site_create(str_from(key), strchr(key, '@') != NULL, &row, &site, &fault);
    made_row_fini(&row);
    assert(fail == FAIL_NONE);
    (void)fail;
    return site;
}
