// Declarations, and the digest by which the same again is recognised.
#include "bundles/declaration.h"
#include <assert.h>
#include <stdlib.h>
#include "bundles/content_type.h"
#include "bundles/deployments.h"
#include "edge/base/jsonx.h"

static int by_path(const void *a, const void *b)
{
    return str_cmp(((const struct declared_file *)a)->path,
                   ((const struct declared_file *)b)->path);
}

static void allot(struct declaration *d, size_t count)
{
    d->files = calloc(count != 0 ? count : 1, sizeof *d->files);
    if (d->files == NULL)
        abort();
    d->file_count = count;
}

static void set_file(struct declaration *d, size_t i, str path, str content)
{
    struct declared_file *f = &d->files[i];
    f->path = f->row.path = path;
    f->content = content;
    f->row.content_type = content_type_for_path(path);
    f->row.has[ENCODING_IDENTITY] = true;
    f->row.size[ENCODING_IDENTITY] = content.n;
    f->row.sha256[ENCODING_IDENTITY] = digest_sha256(content);
    d->total_bytes += content.n;
}

static void add_json(struct digest_stream *s, const json_t *value)
{
    char *text =
        value != NULL ? json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY) : NULL;
    digest_update(s, str_of(text != NULL ? text : "", text != NULL ? strlen(text) + 1 : 1));
    free(text);
}

static void add_digest(struct digest_stream *s, const struct digest *d)
{
    digest_update(s, str_of(d->b, sizeof d->b));
}

static struct digest code_digest(const struct declaration *d)
{
    return d->inherits_code    ? d->inherited_code
           : d->code.p != NULL ? digest_sha256(d->code)
                               : (struct digest){0};
}

static struct digest widget_digest(const struct declaration *d)
{
    return d->inherits_widget    ? d->inherited_widget
           : d->widget.p != NULL ? digest_sha256(d->widget)
                                 : (struct digest){0};
}

static void finish(struct declaration *d)
{
    qsort(d->files, d->file_count, sizeof *d->files, by_path);
    struct digest_stream *s = digest_begin();
    struct digest source = d->source.p != NULL ? digest_sha256(d->source) : (struct digest){0},
                  code = code_digest(d), widget = widget_digest(d);
    add_digest(s, &source);
    add_digest(s, &code);
    add_digest(s, &widget);
    add_json(s, d->front);
    add_json(s, d->config);
    for (size_t i = 0; i != d->file_count; ++i) {
        uint64_t n =
            d->files[i].path.n; // lengths in between, so that no two lists of files read the same
        digest_update(s, str_of(&n, sizeof n));
        digest_update(s, d->files[i].path);
        add_digest(s, &d->files[i].row.sha256[ENCODING_IDENTITY]);
    }
    d->content = digest_end(s);
}

void declaration_of_pie(struct declaration *ret, const struct pie *pie, str source)
{
    *ret = (struct declaration){.front = json_incref(pie->front),
                                .name = pie->name,
                                .display_name = pie->display_name,
                                .version = pie->version,
                                .tier = pie->tier,
                                .source = source,
                                .code = pie->is_skill ? pie->body : pie->handler,
                                .code_line = pie->is_skill ? pie->body_line : pie->handler_line,
                                .widget = pie->widget};
    ret->config = pie->config != NULL ? config_json(pie->config) : NULL;
    allot(ret, pie->file_count);
    for (size_t i = 0; i != pie->file_count; ++i)
        set_file(ret, i, pie->files[i].path, pie->files[i].content);
    finish(ret);
}

void declaration_of_archive(struct declaration *ret, const struct bundle_archive *archive,
                            const struct config *config, const struct plugin *plugin)
{
    *ret = (struct declaration){
        .is_archive = true, .config = config_json(config), .name = str_from(plugin->slug)};
    allot(ret, archive->count);
    for (size_t i = 0; i != archive->count; ++i)
        set_file(ret, i, archive->files[i].path, archive->files[i].content);
}

void declaration_inherit(struct declaration *d, const struct plugin *plugin,
                         const struct deployment_head *before)
{
    json_decref(d->front);
    d->front = json_incref(before->front);
    d->display_name = str_from(plugin->display_name);
    d->version = str_from(plugin->version);
    d->tier = str_from(plugin->tier);
    d->inherits_code = before->has_code;
    d->inherited_code = before->code;
    d->code_line = before->code_line;
    d->inherits_widget = before->has_widget;
    d->inherited_widget = before->widget;
    finish(d);
}

void declaration_fini(struct declaration *d)
{
    json_decref(d->front);
    json_decref(d->config);
    free(d->files);
    *d = (struct declaration){0};
}
