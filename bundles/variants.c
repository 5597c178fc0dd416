// Levels: br 5, zstd 9, gzip 6 (libdeflate): 0.3 s for 2 MiB of JavaScript. br 11 would save another 12 % for thirty times the time, and a deploy must be
// live within a second (docs/decisions.md).
#include "bundles/variants.h"
#include <brotli/encode.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <zstd.h>
#include "bundles/content_type.h"
#include "edge/store/blob.h"

enum { BR_LEVEL = 5, ZSTD_LEVEL = 9, GZIP_LEVEL = 6, WORTHWHILE_FROM = 200 };

// Each returns the compressed size, or 0 when it does not fit into `room`.
static size_t compress_br(str from, uint8_t *to, size_t room)
{
    return BrotliEncoderCompress(BR_LEVEL, BROTLI_DEFAULT_WINDOW, BROTLI_MODE_TEXT, from.n,
                                 (const uint8_t *)from.p, &room, to)
               ? room
               : 0;
}

static size_t compress_zstd(str from, uint8_t *to, size_t room)
{
    size_t n = ZSTD_compress(to, room, from.p, from.n, ZSTD_LEVEL);
    return ZSTD_isError(n) ? 0 : n;
}

static size_t compress_gzip(str from, uint8_t *to, size_t room)
{
    struct libdeflate_compressor *c = libdeflate_alloc_compressor(GZIP_LEVEL);
    if (c == NULL)
        abort();
    size_t n = libdeflate_gzip_compress(c, from.p, from.n, to, room);
    libdeflate_free_compressor(c);
    return n;
}

static enum fail make_one(struct declared_file *file, enum encoding e, uint8_t *room,
                          size_t room_size, struct fault *fault)
{
    static size_t (*const compress[ENCODINGS])(str from, uint8_t * to,
                                               size_t room) = {[ENCODING_BR] = compress_br,
                                                               [ENCODING_ZSTD] = compress_zstd,
                                                               [ENCODING_GZIP] = compress_gzip};
    size_t n = compress[e](file->content, room, room_size);
    if (n == 0) // saves less than five per cent
        return FAIL_NONE;
    enum fail fail = blob_put(str_of(room, n), &file->row.sha256[e], fault);
    file->row.has[e] = fail == FAIL_NONE;
    file->row.size[e] = n;
    return fail;
}

enum fail variants_make(struct declared_file *file, struct fault *fault)
{
    enum fail fail = blob_put(file->content, &file->row.sha256[ENCODING_IDENTITY], fault);
    if (fail != FAIL_NONE || file->content.n < WORTHWHILE_FROM ||
        !content_type_is_compressible(file->row.content_type))
        return fail;
    size_t room_size = file->content.n - file->content.n / 20;
    uint8_t *room = malloc(room_size);
    if (room == NULL)
        abort();
    for (enum encoding e = ENCODING_BR; fail == FAIL_NONE && e != ENCODINGS; ++e)
        fail = make_one(file, e, room, room_size, fault);
    free(room);
    return fail;
}
