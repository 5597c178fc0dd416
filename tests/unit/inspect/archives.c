// Archives made in memory for tests.
#include "tests/unit/inspect/archives.h"
#include <archive.h>
#include <archive_entry.h>
#include <assert.h>
#include <libdeflate.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROOM = 512 << 20 };

struct made {
    struct archive *a;
    struct buf bytes;
};

static la_ssize_t on_write(struct archive *a, void *ctx, const void *p, size_t n)
{
    struct made *m = ctx;
    buf_add(&m->bytes, str_of(p, n));
    assert(!m->bytes.full);
    return (la_ssize_t)n;
}

struct made *made_begin(const char *format, const char *filter, const char *options)
{
    struct made *m = calloc(1, sizeof *m);
    assert(m != NULL);
    buf_init(&m->bytes, ROOM);
    m->a = archive_write_new();
    assert(archive_write_set_format_by_name(m->a, format) == ARCHIVE_OK);
    if (filter[0] != '\0')
        assert(archive_write_add_filter_by_name(m->a, filter) == ARCHIVE_OK);
    if (options != NULL)
        assert(archive_write_set_options(m->a, options) == ARCHIVE_OK);
    archive_write_set_passphrase(m->a, "secret");
    archive_write_set_bytes_in_last_block(m->a, 1);
    assert(archive_write_open(m->a, m, NULL, on_write, NULL) == ARCHIVE_OK);
    return m;
}

static void put(struct made *m, struct archive_entry *e, str content)
{
    archive_entry_set_mtime(e, 1700000000, 0);
    assert(archive_write_header(m->a, e) >= ARCHIVE_WARN);
    if (content.n != 0)
        assert(archive_write_data(m->a, content.p, content.n) == (la_ssize_t)content.n);
    archive_entry_free(e);
}

void made_file(struct made *m, const char *name, str content)
{
    struct archive_entry *e = archive_entry_new();
    archive_entry_set_pathname_utf8(e, name);
    archive_entry_set_mode(e, S_IFREG | 0644);
    archive_entry_set_size(e, (la_int64_t)content.n);
    put(m, e, content);
}

void made_special(struct made *m, const char *name, unsigned type, const char *target)
{
    struct archive_entry *e = archive_entry_new();
    archive_entry_set_pathname_utf8(e, name);
    archive_entry_set_mode(e, type | 0755);
    if (target != NULL && type == S_IFLNK)
        archive_entry_set_symlink(e, target);
    else if (target != NULL)
        archive_entry_set_hardlink(e, target);
    archive_entry_set_size(e, 0);
    put(m, e, (str){0});
}

struct buf made_end(struct made *m)
{
    assert(archive_write_close(m->a) == ARCHIVE_OK);
    archive_write_free(m->a);
    struct buf b = m->bytes;
    free(m);
    return b;
}

static void octal(char *to, size_t n, uint64_t v)
{
    snprintf(to, n, "%0*llo", (int)n - 1, (unsigned long long)v);
}

void tar_header(struct buf *b, str name, char type, uint64_t size, const char *link)
{
    char h[512] = {0};
    memcpy(h, name.p, name.n < 100 ? name.n : 100);
    memcpy(h + 100, "0000644", 7);
    memcpy(h + 108, "0000000", 7);
    memcpy(h + 116, "0000000", 7);
    octal(h + 124, 12, size);
    octal(h + 136, 12, 1700000000);
    memset(h + 148, ' ', 8);
    h[156] = type;
    if (link != NULL)
        snprintf(h + 157, 100, "%s", link);
    memcpy(h + 257,
           "ustar\0"
           "00",
           8);
    unsigned sum = 0;
    for (size_t i = 0; i != sizeof h; ++i)
        sum += (unsigned char)h[i];
    octal(h + 148, 7, sum);
    buf_add(b, str_of(h, sizeof h));
}

void tar_entry(struct buf *b, str name, char type, str content, const char *link)
{
    static const char zeros[512];
    tar_header(b, name, type, content.n, link);
    buf_add(b, content);
    buf_add(b, str_of(zeros, (512 - content.n % 512) % 512));
}

void tar_end(struct buf *b)
{
    static const char zeros[1024];
    buf_add(b, str_of(zeros, sizeof zeros));
}

static void le(struct buf *b, size_t n, uint64_t v)
{
    for (size_t i = 0; i != n; ++i, v >>= 8)
        buf_addc(b, (char)(v & 0xff));
}

void zip_begin(struct zip *z)
{
    *z = (struct zip){0};
    buf_init(&z->bytes, ROOM);
    buf_init(&z->central, ROOM);
}

static void zip_common(struct buf *b, const struct zip_entry *e, uint32_t size)
{
    le(b, 2, 20);
    le(b, 2, e->flags);
    le(b, 2, e->method);
    le(b, 4, 0x57000000); // a date
    le(b, 4, e->crc);
    le(b, 4, e->data.n);
    le(b, 4, size);
    le(b, 2, e->name.n);
    le(b, 2, 0);
}

void zip_add(struct zip *z, const struct zip_entry *e)
{
    uint64_t offset = e->shares ? e->offset : z->bytes.n;
    if (!e->shares) {
        buf_add(&z->bytes, STR("PK\x03\x04"));
        zip_common(&z->bytes, e, e->local_size != 0 ? e->local_size : e->size);
        buf_add(&z->bytes, e->name);
        buf_add(&z->bytes, e->data);
    }
    buf_add(&z->central, STR("PK\x01\x02"));
    le(&z->central, 2, 3 << 8 | 20); // made on Unix
    zip_common(&z->central, e, e->size);
    le(&z->central, 2, 0);
    le(&z->central, 2, z->disk);
    le(&z->central, 2, 0);
    le(&z->central, 4, (uint64_t)(e->mode != 0 ? e->mode : (S_IFREG | 0644)) << 16);
    le(&z->central, 4, offset);
    buf_add(&z->central, e->name);
    ++z->count;
}

void zip_store(struct zip *z, str name, str content)
{
    zip_add(z, &(struct zip_entry){.name = name,
                                   .data = content,
                                   .crc = crc32_of(content),
                                   .size = (uint32_t)content.n,
                                   .flags = 1 << 11});
}

struct buf zip_end(struct zip *z)
{
    uint64_t at = z->bytes.n;
    buf_add(&z->bytes, buf_str(&z->central));
    buf_add(&z->bytes, STR("PK\x05\x06"));
    le(&z->bytes, 2, z->disk);
    le(&z->bytes, 2, 0);
    le(&z->bytes, 2, z->count);
    le(&z->bytes, 2, z->count);
    le(&z->bytes, 4, z->central.n);
    le(&z->bytes, 4, at);
    le(&z->bytes, 2, 0);
    buf_fini(&z->central);
    assert(!z->bytes.full);
    return z->bytes;
}

struct buf gzipped(str s)
{
    struct buf b;
    buf_init(&b, ROOM);
    struct libdeflate_compressor *c = libdeflate_alloc_compressor(6);
    size_t room = libdeflate_gzip_compress_bound(c, s.n);
    b.n = libdeflate_gzip_compress(c, s.p, s.n, buf_reserve(&b, room), room);
    libdeflate_free_compressor(c);
    return b;
}

struct buf deflated(str s)
{
    struct buf b;
    buf_init(&b, ROOM);
    struct libdeflate_compressor *c = libdeflate_alloc_compressor(6);
    size_t room = libdeflate_deflate_compress_bound(c, s.n);
    b.n = libdeflate_deflate_compress(c, s.p, s.n, buf_reserve(&b, room), room);
    libdeflate_free_compressor(c);
    return b;
}

uint32_t crc32_of(str s)
{
    return libdeflate_crc32(0, s.p, s.n);
}
