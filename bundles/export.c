// The tar is written by libarchive into a buffer that is handed on whenever the client has taken
// the last one; one file is in memory at a time.
#include "bundles/export.h"
#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <stdlib.h>
#include <unistd.h>
#include "edge/base/jsonx.h"
#include "edge/base/log.h"
#include "edge/store/blob.h"

enum { PENDING_MAX = 1 << 30 }; // one file and its head

struct tar_stream {
    struct stream super;
    struct deployment_row files;
    size_t next;
    int64_t mtime;
    char *config; // YAML is JSON's superset: written as JSON
    struct archive *archive;
    struct buf pending; // made, not yet handed on
    size_t sent;        // of pending
    bool is_done;
};

static la_ssize_t on_write(struct archive *a, void *arg, const void *bytes, size_t n)
{
    struct tar_stream *t = arg;
    buf_add(&t->pending, str_of(bytes, n));
    return t->pending.full ? -1 : (la_ssize_t)n;
}

static bool add_entry(struct tar_stream *t, const char *path, str content)
{
    struct archive_entry *e = archive_entry_new();
    // libarchive's writer asks for the path in the thread's character set, and does not survive a
    // name that this cannot say: the C locale's can say ASCII only.
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (utf8 == (locale_t)0)
        abort();
    locale_t before = uselocale(utf8);
    archive_entry_set_pathname_utf8(e, path);
    archive_entry_set_filetype(e, AE_IFREG);
    archive_entry_set_perm(e, 0644);
    archive_entry_set_size(e, (la_int64_t)content.n);
    archive_entry_set_mtime(e, t->mtime, 0);
    bool ok = archive_write_header(t->archive, e) == ARCHIVE_OK &&
              (content.n == 0 ||
               archive_write_data(t->archive, content.p, content.n) == (la_ssize_t)content.n);
    archive_entry_free(e);
    uselocale(before);
    freelocale(utf8);
    return ok;
}

static enum fail make_next(struct tar_stream *t)
{
    if (t->config != NULL) {
        bool ok = add_entry(t, "public-config.yaml", str_from(t->config));
        free(t->config);
        t->config = NULL;
        return ok ? FAIL_NONE : FAIL_INTERNAL;
    }
    if (t->next == t->files.file_count) {
        t->is_done = true;
        return archive_write_close(t->archive) == ARCHIVE_OK ? FAIL_NONE : FAIL_INTERNAL;
    }
    const struct bundle_file *f = &t->files.files[t->next++];
    char *bytes = NULL;
    size_t n = 0;
    struct fault fault = {0};
    enum fail fail =
        blob_get(&f->sha256[ENCODING_IDENTITY], f->size[ENCODING_IDENTITY], &bytes, &n, &fault);
    if (fail != FAIL_NONE) {
        log_error("a blob of an export is missing", "reason=%s", LOG_STR(str_from(fault.log_text)));
        return fail;
    }
    AUTOFREE char *path = str_dup(f->path);
    bool ok = add_entry(t, path, str_of(bytes, n));
    free(bytes);
    return ok ? FAIL_NONE : FAIL_INTERNAL;
}

static enum fail tar_pull(struct stream *s, char *to, size_t room, size_t *ret_n)
{
    struct tar_stream *t = (struct tar_stream *)s;
    while (t->sent == t->pending.n && !t->is_done) {
        buf_clear(&t->pending);
        t->sent = 0;
        enum fail fail = make_next(t);
        if (fail != FAIL_NONE)
            return fail;
    }
    size_t n = t->pending.n - t->sent < room ? t->pending.n - t->sent : room;
    if (n != 0)
        memcpy(to, t->pending.p + t->sent, n);
    t->sent += n;
    *ret_n = n;
    return FAIL_NONE;
}

static void tar_close(struct stream *s)
{
    struct tar_stream *t = (struct tar_stream *)s;
    archive_write_free(t->archive);
    deployment_row_fini(&t->files);
    buf_fini(&t->pending);
    free(t->config);
    free(t);
}

struct stream *export_archive(struct deployment_row *files, const json_t *public_config,
                              int64_t mtime)
{
    struct tar_stream *t = calloc(1, sizeof *t);
    if (t == NULL)
        abort();
    t->super = (struct stream){tar_pull, tar_close};
    t->files = *files;
    *files = (struct deployment_row){0};
    t->mtime = mtime;
    t->config = public_config != NULL ? jsonx_dump(public_config, NULL) : NULL;
    buf_init(&t->pending, PENDING_MAX);
    t->archive = archive_write_new();
    archive_write_set_format_pax_restricted(
        t->archive); // plain ustar but for names that do not fit it
    archive_write_set_bytes_per_block(t->archive, 0);
    archive_write_open(t->archive, t, NULL, on_write, NULL);
    return &t->super;
}

// --- one blob ---

struct blob_stream {
    struct stream super;
    int fd;
};

static enum fail blob_pull(struct stream *s, char *to, size_t room, size_t *ret_n)
{
    ssize_t n = read(((struct blob_stream *)s)->fd, to, room);
    if (n < 0)
        return FAIL_INTERNAL;
    *ret_n = (size_t)n;
    return FAIL_NONE;
}

static void blob_close(struct stream *s)
{
    close(((struct blob_stream *)s)->fd);
    free(s);
}

enum fail export_blob(const struct digest *d, struct stream **ret, int64_t *ret_size,
                      struct fault *fault)
{
    int fd;
    size_t n;
    enum fail fail = blob_open_read(d, &fd, &n, fault);
    if (fail != FAIL_NONE)
        return fail;
    struct blob_stream *b = calloc(1, sizeof *b);
    if (b == NULL)
        abort();
    b->super = (struct stream){blob_pull, blob_close};
    b->fd = fd;
    *ret = &b->super;
    *ret_size = (int64_t)n;
    return FAIL_NONE;
}
