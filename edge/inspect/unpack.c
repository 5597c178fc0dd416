// libarchive over strangers' bytes. Formats and filters are enabled one by one, by name: never
// _all, never a filter that is a program. The archive is in memory, so that a zip file is read by
// its central directory: only there does it say which entries are links.
//
// What zlib packed is unpacked here and not by libarchive, which does not look at a member's checksum.
//
// Nothing an archive declares is believed. Content is counted as it comes out, also of entries that
// are refused, whose content a tar reader would otherwise unpack silently to get behind it.
#include "edge/inspect/unpack.h"
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <iconv.h>
#include <limits.h>
#include <locale.h>
#include <stdlib.h>
#include <time.h>
#define ZLIB_CONST // its input is const
#include <zlib.h>
#include "edge/inspect/zip.h"

enum {
    RATIO_MAX = 200,          // bytes out for one byte in …
    RATIO_FREE = 1024 * 1024, // … beyond the first MiB: small archives of empty files are fine
    GZIP_PIECE = 64 * 1024,
    GZIP_OWN = 15 + 16, // zlib's words for: any window, and a header and checksums of gzip's kind
};

struct unpack {
    struct unpack_io *io;
    struct inspect_request limits;
    struct archive *archive;
    uint64_t at;       // where libarchive, or zlib for it, reads next
    uint64_t unpacked; // bytes that came out, sent or not
    struct inspect_end end;
    bool deaf; // the server is gone
    struct {
        bool is_on, has_ended;
        const char *damage; // what is wrong with it
        bool lacks_memory;
        z_stream z;
        char plain[GZIP_PIECE]; // what libarchive was given last
    } gzip;
    char piece[FRAME_BODY_MAX];
};

static void send_frame(struct unpack *u, enum inspect_frame type, str a, str b)
{
    if (!u->deaf)
        u->deaf = !u->io->send(u->io, type, a, b);
}

static void send_problem(struct unpack *u, enum inspect_problem problem, const char *detail)
{
    char number = (char)problem;
    str words = str_from(detail != NULL ? detail : "");
    if (words.n > INSPECT_DETAIL_MAX)
        words.n = INSPECT_DETAIL_MAX;
    send_frame(u, INSPECT_PROBLEM, str_of(&number, 1), words);
}

// --- what libarchive reads from ---

static bool have_until(struct unpack *u, uint64_t offset)
{
    while (u->io->have < offset)
        if (!u->io->pull(u->io))
            return false;
    return true;
}

static la_ssize_t on_read(struct archive *a, void *ctx, const void **ret)
{
    struct unpack *u = ctx;
    if (u->at >= u->io->bytes)
        return 0;
    if (!have_until(u, u->at + 1)) {
        archive_set_error(a, EPIPE, "the sender is gone");
        u->deaf = true;
        return ARCHIVE_FATAL;
    }
    uint64_t n = u->io->have - u->at;
    *ret = u->io->base + u->at;
    u->at += n;
    return (la_ssize_t)n;
}

static la_int64_t on_skip(struct archive *a, void *ctx, la_int64_t n)
{
    struct unpack *u = ctx;
    uint64_t left = u->io->bytes - u->at, step = n < 0 ? 0 : (uint64_t)n;
    step = step < left ? step : left;
    u->at += step;
    return (la_int64_t)step;
}

static la_int64_t on_seek(struct archive *a, void *ctx, la_int64_t offset, int whence)
{
    struct unpack *u = ctx;
    int64_t base = whence == SEEK_SET   ? 0
                   : whence == SEEK_CUR ? (int64_t)u->at
                                        : (int64_t)u->io->bytes;
    int64_t to;
    if (__builtin_add_overflow(base, offset, &to) || to < 0 || (uint64_t)to > u->io->bytes)
        return ARCHIVE_FATAL;
    u->at = (uint64_t)to;
    return to;
}

// --- gzip (RFC 1952) ---

static bool is_member(struct unpack *u)
{
    return u->io->bytes - u->at >= 3 && have_until(u, u->at + 3) &&
           memcmp(u->io->base + u->at, "\x1f\x8b\x08", 3) == 0;
}

static void gzip_begin(struct unpack *u)
{
    u->gzip.is_on = true;
    if (inflateInit2(&u->gzip.z, GZIP_OWN) != Z_OK)
        abort();
}

// Behind a member stands another one, or what is none of its archive, as libarchive and gzip have it.
static void end_member(struct unpack *u)
{
    u->gzip.has_ended = !is_member(u) || inflateReset(&u->gzip.z) != Z_OK;
}

static bool gzip_fails(struct unpack *u, int status)
{
    u->gzip.lacks_memory = status == Z_MEM_ERROR;
    u->gzip.damage = status == Z_BUF_ERROR   ? "the gzip stream is cut short"
                     : u->gzip.z.msg != NULL ? u->gzip.z.msg
                                             : "the gzip stream is damaged";
    return false;
}

// One step of zlib with what is there of the input. False when no more comes of it.
static bool gzip_step(struct unpack *u)
{
    z_stream *z = &u->gzip.z;
    if (u->at < u->io->bytes && !have_until(u, u->at + 1)) {
        u->deaf = true;
        return false;
    }
    uint64_t there = u->io->have - u->at;
    z->next_in = (const Bytef *)u->io->base + u->at;
    z->avail_in = there < UINT_MAX ? (uInt)there : UINT_MAX;
    uInt before = z->avail_in;
    int status = inflate(z, Z_NO_FLUSH);
    u->at += before - z->avail_in;
    if (status == Z_STREAM_END)
        end_member(u);
    else if (status != Z_OK && (status != Z_BUF_ERROR || u->at == u->io->bytes))
        return gzip_fails(u, status);
    return true;
}

// The next bytes that were packed, in u->gzip.plain; 0 at the end, -1 when there are none to be had.
// Those before damage come first: they tell whose content it is in.
static la_ssize_t gzip_read(struct unpack *u)
{
    z_stream *z = &u->gzip.z;
    z->next_out = (Bytef *)u->gzip.plain;
    z->avail_out = GZIP_PIECE;
    while (!u->gzip.has_ended && z->avail_out == GZIP_PIECE)
        if (u->gzip.damage != NULL || !gzip_step(u))
            break;
    bool has_failed = !u->gzip.has_ended && z->avail_out == GZIP_PIECE;
    return has_failed ? -1 : GZIP_PIECE - (la_ssize_t)z->avail_out;
}

static la_ssize_t on_read_gzip(struct archive *a, void *ctx, const void **ret)
{
    struct unpack *u = ctx;
    *ret = u->gzip.plain;
    la_ssize_t n = gzip_read(u);
    if (n >= 0)
        return n;
    archive_set_error(a, u->gzip.lacks_memory ? ENOMEM : EINVAL, "%s",
                      u->gzip.damage != NULL ? u->gzip.damage : "the sender is gone");
    return ARCHIVE_FATAL;
}

// --- opening ---

// A filter around a filter is not unpacked; gzip counts, whoever does it.
static bool has_filters(struct unpack *u)
{
    return archive_filter_count(u->archive) + u->gzip.is_on > 2; // one of them is none
}

static void set_callbacks(struct unpack *u, struct archive *a)
{
    archive_read_set_callback_data(a, u);
    if (u->gzip.is_on) {
        archive_read_set_read_callback(a, on_read_gzip);
        return;
    }
    archive_read_set_read_callback(a, on_read);
    archive_read_set_skip_callback(a, on_skip);
    archive_read_set_seek_callback(a, on_seek);
}

// NULL when this libarchive would need a program for one of the filters.
static struct archive *open_reader(struct unpack *u, int *ret_status)
{
    struct archive *a = archive_read_new();
    if (a == NULL)
        abort();
    bool ok = archive_read_support_format_tar(a) == ARCHIVE_OK &&
              archive_read_support_format_zip_seekable(a) == ARCHIVE_OK &&
              archive_read_support_filter_gzip(a) == ARCHIVE_OK &&
              archive_read_support_filter_xz(a) == ARCHIVE_OK &&
              archive_read_support_filter_zstd(a) == ARCHIVE_OK;
    if (!ok) {
        archive_read_free(a);
        return NULL;
    }
    set_callbacks(u, a);
    *ret_status = archive_read_open1(a);
    return a;
}

// --- entries ---

static enum inspect_kind kind_of(struct archive_entry *e)
{
    if (archive_entry_hardlink(e) != NULL)
        return INSPECT_HARDLINK;
    switch (archive_entry_filetype(e)) {
    case AE_IFREG:
        return archive_entry_is_encrypted(e) ? INSPECT_ENCRYPTED : INSPECT_FILE;
    case AE_IFDIR:
        return INSPECT_DIRECTORY;
    case AE_IFLNK:
        return INSPECT_SYMLINK;
    case AE_IFCHR:
    case AE_IFBLK:
        return INSPECT_DEVICE;
    case AE_IFIFO:
        return INSPECT_FIFO;
    case AE_IFSOCK:
        return INSPECT_SOCKET;
    default:
        return INSPECT_OTHER;
    }
}

static bool send_entry(struct unpack *u, struct archive_entry *e, enum inspect_kind kind)
{
    const char *path = archive_entry_pathname(e);
    str name = str_from(path != NULL ? path : "");
    if (name.n == 0) {
        send_problem(u, INSPECT_BAD_NAME, archive_error_string(u->archive));
        return false;
    }
    if (name.n > INSPECT_PATH_MAX)
        name.n = INSPECT_PATH_MAX;
    char number = (char)kind;
    send_frame(u, INSPECT_ENTRY, str_of(&number, 1), name);
    ++u->end.entries;
    return true;
}

// Whether the archive as a whole has given too much; then says so.
static bool is_over(struct unpack *u)
{
    if (u->unpacked > u->limits.total_bytes)
        send_problem(u, INSPECT_TOTAL_TOO_LARGE, NULL);
    else if (u->unpacked > RATIO_FREE && (u->unpacked - RATIO_FREE) / RATIO_MAX > u->io->bytes)
        send_problem(u, INSPECT_RATIO, NULL);
    else
        return false;
    return true;
}

static void send_content(struct unpack *u, size_t n, uint64_t *sent, bool *too_large)
{
    size_t room = u->limits.file_bytes - *sent < n ? (size_t)(u->limits.file_bytes - *sent) : n;
    if (room != 0)
        send_frame(u, INSPECT_CONTENT, str_of(u->piece, room), (str){0});
    *sent += room;
    u->end.bytes += room;
    if (room != n && !*too_large) {
        *too_large = true;
        send_problem(u, INSPECT_FILE_TOO_LARGE, NULL);
    }
}

// The entry's content, sent when it is a file's, counted in any case. False: the archive has ended
// here.
static bool unpack_content(struct unpack *u, enum inspect_kind kind)
{
    uint64_t sent = 0;
    bool too_large = false;
    while (!u->deaf) {
        la_ssize_t n = archive_read_data(u->archive, u->piece, sizeof u->piece);
        if (n == 0)
            return true;
        if (n < 0) {
            const char *words = archive_error_string(u->archive);
            if (archive_errno(u->archive) == ENOMEM)
                send_problem(u, INSPECT_MEMORY, words);
            else
                send_problem(u, n == ARCHIVE_FATAL ? INSPECT_DAMAGED : INSPECT_ENTRY_DAMAGED,
                             words);
            return n != ARCHIVE_FATAL;
        }
        u->unpacked += (uint64_t)n;
        if (is_over(u))
            return false;
        if (kind == INSPECT_FILE)
            send_content(u, (size_t)n, &sent, &too_large);
    }
    return false;
}

// --- the whole archive ---

// Why libarchive knows no format in this: for zip files it says only that.
static enum inspect_problem unknown_format(struct unpack *u)
{
    if (has_filters(u))
        return INSPECT_TOO_MANY_FILTERS;
    if (!have_until(u, u->io->bytes))
        return INSPECT_DAMAGED;
    str all = str_of(u->io->base, u->io->bytes);
    return !zip_is_zip(all)    ? INSPECT_NOT_AN_ARCHIVE
           : zip_is_split(all) ? INSPECT_SPLIT
                               : INSPECT_DAMAGED;
}

static void send_failure(struct unpack *u)
{
    const char *words = archive_error_string(u->archive);
    if (archive_errno(u->archive) == ENOMEM)
        send_problem(u, INSPECT_MEMORY, words);
    else if (u->gzip.damage != NULL)
        send_problem(u, INSPECT_DAMAGED, u->gzip.damage);
    else if (archive_format(u->archive) == 0)
        send_problem(u, unknown_format(u), NULL);
    else
        send_problem(u, INSPECT_DAMAGED, words);
}

// Before the first entry: what is wrong with all of them.
static bool check_whole(struct unpack *u)
{
    if (has_filters(u)) {
        send_problem(u, INSPECT_TOO_MANY_FILTERS, NULL);
        return false;
    }
    bool is_zip = (archive_format(u->archive) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_ZIP;
    if (is_zip && have_until(u, u->io->bytes) &&
        zip_has_nul_in_name(str_of(u->io->base, u->io->bytes))) {
        send_problem(u, INSPECT_BAD_NAME, NULL);
        return false;
    }
    return true;
}

// What stands behind the tar's end: its padding, and the checksum of all.
static void read_to_end(struct unpack *u)
{
    la_ssize_t n = 0;
    while (u->gzip.is_on && !u->deaf && (n = gzip_read(u)) > 0) {
        u->unpacked += (uint64_t)n;
        if (is_over(u))
            return;
    }
    if (n < 0 && !u->deaf)
        send_problem(u, u->gzip.lacks_memory ? INSPECT_MEMORY : INSPECT_DAMAGED, u->gzip.damage);
}

// False: this was the last one, or the last that could be read.
static bool unpack_entry(struct unpack *u)
{
    struct archive_entry *e;
    int status = archive_read_next_header(u->archive, &e);
    if (status == ARCHIVE_EOF) {
        read_to_end(u);
        return false;
    }
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN) {
        send_failure(u);
        return false;
    }
    if (u->end.entries == 0 && !check_whole(u))
        return false;
    if (u->end.entries == u->limits.entries) {
        send_problem(u, INSPECT_TOO_MANY_ENTRIES, NULL);
        return false;
    }
    enum inspect_kind kind = kind_of(e);
    if (!send_entry(u, e, kind))
        return false;
    if (status == ARCHIVE_WARN) // a name that was converted with losses, for one
        send_problem(u, INSPECT_ENTRY_DAMAGED, archive_error_string(u->archive));
    return kind == INSPECT_ENCRYPTED || unpack_content(u, kind);
}

bool unpack_archive(struct unpack_io *io, const struct inspect_request *request)
{
    struct unpack *u = calloc(1, sizeof *u);
    if (u == NULL)
        abort();
    u->io = io;
    u->limits = *request;
    int status = ARCHIVE_FATAL;
    if (is_member(u))
        gzip_begin(u);
    u->archive = open_reader(u, &status);
    if (u->archive == NULL)
        abort();
    if (status != ARCHIVE_OK)
        send_failure(u);
    else
        while (!u->deaf && unpack_entry(u))
            ;
    send_frame(u, INSPECT_END, str_of(&u->end, sizeof u->end), (str){0});
    archive_read_free(u->archive);
    if (u->gzip.is_on)
        inflateEnd(&u->gzip.z);
    bool heard = !u->deaf;
    free(u);
    return heard;
}

// The character tables, the converters and the time zone come from files, and so does what they
// load on first use.
bool unpack_warm_up(void)
{
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
        return false;
    tzset();
    iconv_t converter = iconv_open("UTF-8", "UTF-8");
    if (converter != (iconv_t)-1)
        iconv_close(converter);
    wchar_t wide;
    mbtowc(&wide, "\xc3\xa9", 2);
    struct archive *a = archive_read_new();
    bool ok = a != NULL && archive_read_support_format_tar(a) == ARCHIVE_OK;
    archive_read_free(a);
    return ok;
}
