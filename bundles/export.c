// The tar is written by libarchive into a buffer that is handed on whenever the client has taken the
// last one. A file is read in pieces, so that a stream costs two of them however large its files
// are, and a project has few streams at a time.
//
// Whether a blob's bytes are what its name says is known at its end only: then the stream ends there,
// before the tar does, and the client sees that it was cut.
#include "bundles/export.h"
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include "edge/base/jsonx.h"
#include "edge/base/log.h"
#include "edge/limits/holdings.h"
#include "edge/store/blob.h"

enum {
    PIECE = 64 * 1024,
    CONFIG_MAX = 16 * 1024 * 1024,
    PENDING_MAX = CONFIG_MAX + 2 * PIECE, // what is handed on at once, with the heads in it
    EXPORTS_MAX = 4,                      // of one project at a time
};

// --- how many there are ---

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // guards this
static struct holdings running;

static enum fail enter(const char *project_id, struct fault *fault)
{
    pthread_mutex_lock(&lock);
    bool fits = holdings_of(&running, project_id).count < EXPORTS_MAX;
    if (fits)
        holdings_add(&running, project_id, 0);
    pthread_mutex_unlock(&lock);
    return fits ? FAIL_NONE
                : fault_set(
                      fault, FAIL_BUSY, "busy",
                      "%d exports of this project are under way. Try again when one has ended.",
                      EXPORTS_MAX);
}

static void leave(const char *project_id)
{
    pthread_mutex_lock(&lock);
    holdings_remove(&running, project_id, 0);
    pthread_mutex_unlock(&lock);
}

// --- a file ---

// The one being read; fd is -1 between two.
struct reading {
    int fd;
    size_t left;
    const struct digest *name;
    struct digest_stream *digest;
};

struct tar_stream {
    struct stream super;
    char project_id[HOLDER_ROOM];
    struct deployment_row files;
    size_t next;
    struct reading reading;
    int64_t mtime;
    char *config; // YAML is JSON's superset: written as JSON
    struct archive *archive;
    struct buf pending; // made, not yet handed on
    size_t sent;        // of pending
    bool is_done;
    char piece[PIECE];
};

static la_ssize_t on_write(struct archive *a, void *arg, const void *bytes, size_t n)
{
    struct tar_stream *t = arg;
    buf_add(&t->pending, str_of(bytes, n));
    return t->pending.full ? -1 : (la_ssize_t)n;
}

static bool add_head(struct tar_stream *t, const char *path, size_t size)
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
    archive_entry_set_size(e, (la_int64_t)size);
    archive_entry_set_mtime(e, t->mtime, 0);
    bool ok = archive_write_header(t->archive, e) == ARCHIVE_OK;
    archive_entry_free(e);
    uselocale(before);
    freelocale(utf8);
    return ok;
}

static bool add_content(struct tar_stream *t, str bytes)
{
    return bytes.n == 0 || archive_write_data(t->archive, bytes.p, bytes.n) == (la_ssize_t)bytes.n;
}

static enum fail add_config(struct tar_stream *t)
{
    str text = str_from(t->config);
    bool ok = add_head(t, "public-config.yaml", text.n) && add_content(t, text);
    free(t->config);
    t->config = NULL;
    return ok ? FAIL_NONE : FAIL_INTERNAL;
}

static enum fail damaged(const char *what)
{
    log_error("a blob of an export is damaged", "reason=%s", what);
    return FAIL_INTERNAL;
}

static enum fail begin_file(struct tar_stream *t, const struct bundle_file *f)
{
    struct reading *r = &t->reading;
    struct fault fault = {0};
    size_t n;
    r->name = &f->sha256[ENCODING_IDENTITY];
    enum fail fail = blob_open_read(r->name, &r->fd, &n, &fault);
    if (fail != FAIL_NONE) {
        r->fd = -1;
        log_error("a blob of an export is missing", "reason=%s", LOG_STR(str_from(fault.log_text)));
        return fail;
    }
    r->left = n;
    r->digest = digest_begin();
    if (n != f->size[ENCODING_IDENTITY])
        return damaged("its size is another one");
    AUTOFREE char *path = str_dup(f->path);
    return add_head(t, path, n) ? FAIL_NONE : FAIL_INTERNAL;
}

static struct digest end_reading(struct reading *r)
{
    close(r->fd);
    r->fd = -1;
    return digest_end(r->digest);
}

static ssize_t read_piece(int fd, char *to, size_t room)
{
    ssize_t n;
    do
        n = read(fd, to, room);
    while (n < 0 && errno == EINTR);
    return n;
}

static enum fail go_on_with_file(struct tar_stream *t)
{
    struct reading *r = &t->reading;
    if (r->left == 0) {
        struct digest digest = end_reading(r);
        return digest_eq(&digest, r->name) ? FAIL_NONE : damaged("its bytes are others");
    }
    ssize_t n = read_piece(r->fd, t->piece, r->left < PIECE ? r->left : PIECE);
    if (n <= 0)
        return damaged("it cannot be read to its end");
    str bytes = str_of(t->piece, (size_t)n);
    r->left -= bytes.n;
    digest_update(r->digest, bytes);
    return add_content(t, bytes) ? FAIL_NONE : FAIL_INTERNAL;
}

// --- the stream ---

static enum fail make_more(struct tar_stream *t)
{
    if (t->reading.fd != -1)
        return go_on_with_file(t);
    if (t->config != NULL)
        return add_config(t);
    if (t->next != t->files.file_count)
        return begin_file(t, &t->files.files[t->next++]);
    t->is_done = true;
    return archive_write_close(t->archive) == ARCHIVE_OK ? FAIL_NONE : FAIL_INTERNAL;
}

static enum fail tar_pull(struct stream *s, char *to, size_t room, size_t *ret_n)
{
    struct tar_stream *t = (struct tar_stream *)s;
    if (t->sent == t->pending.n) {
        buf_clear(&t->pending);
        t->sent = 0;
    }
    while (t->pending.n < PIECE && !t->is_done) {
        enum fail fail = make_more(t);
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
    if (t->reading.fd != -1)
        end_reading(&t->reading);
    archive_write_free(t->archive);
    deployment_row_fini(&t->files);
    buf_fini(&t->pending);
    free(t->config);
    leave(t->project_id);
    free(t);
}

enum fail export_archive(const char *project_id, struct deployment_row *files,
                         const json_t *public_config, int64_t mtime, struct stream **ret,
                         struct fault *fault)
{
    enum fail fail = enter(project_id, fault);
    if (fail != FAIL_NONE)
        return fail;
    struct tar_stream *t = calloc(1, sizeof *t);
    if (t == NULL)
        abort();
    t->super = (struct stream){tar_pull, tar_close};
    snprintf(t->project_id, sizeof t->project_id, "%s", project_id);
    t->files = *files;
    *files = (struct deployment_row){0};
    t->reading.fd = -1;
    t->mtime = mtime;
    t->config = public_config != NULL ? jsonx_dump(public_config, NULL) : NULL;
    buf_init(&t->pending, PENDING_MAX);
    t->archive = archive_write_new();
    archive_write_set_format_pax_restricted(
        t->archive); // plain ustar but for names that do not fit it
    archive_write_set_bytes_per_block(t->archive, 0);
    archive_write_open(t->archive, t, NULL, on_write, NULL);
    *ret = &t->super;
    return FAIL_NONE;
}

// --- one blob ---

struct blob_stream {
    struct stream super;
    char project_id[HOLDER_ROOM];
    int fd;
};

static enum fail blob_pull(struct stream *s, char *to, size_t room, size_t *ret_n)
{
    ssize_t n = read_piece(((struct blob_stream *)s)->fd, to, room);
    if (n < 0)
        return FAIL_INTERNAL;
    *ret_n = (size_t)n;
    return FAIL_NONE;
}

static void blob_close(struct stream *s)
{
    struct blob_stream *b = (struct blob_stream *)s;
    close(b->fd);
    leave(b->project_id);
    free(b);
}

enum fail export_blob(const char *project_id, const struct digest *d, struct stream **ret,
                      int64_t *ret_size, struct fault *fault)
{
    int fd;
    size_t n;
    enum fail fail = enter(project_id, fault);
    if (fail != FAIL_NONE)
        return fail;
    fail = blob_open_read(d, &fd, &n, fault);
    if (fail != FAIL_NONE) {
        leave(project_id);
        return fail;
    }
    struct blob_stream *b = calloc(1, sizeof *b);
    if (b == NULL)
        abort();
    b->super = (struct stream){blob_pull, blob_close};
    snprintf(b->project_id, sizeof b->project_id, "%s", project_id);
    b->fd = fd;
    *ret = &b->super;
    *ret_size = (int64_t)n;
    return FAIL_NONE;
}
