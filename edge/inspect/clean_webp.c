// WebP by libwebpmux: the frames' bitstreams go into a new container, which holds nothing else.
#include <stdlib.h>
#include <webp/mux.h>
#include "edge/inspect/clean.h"

// libwebpmux goes through its list for every chunk it adds or looks up: 200,000 frames, which fit into
// 9 MB, would take minutes.
enum { CHUNKS_MAX = 5000, RIFF_HEAD = 8, WEBP_HEAD = 12 };

static uint32_t read_size(const char *chunk)
{
    const unsigned char *p = (const unsigned char *)chunk + 4;
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static bool has_too_many_chunks(str image)
{
    size_t n = 0;
    str left = str_skip(image, image.n < WEBP_HEAD ? image.n : WEBP_HEAD);
    for (; left.n >= RIFF_HEAD && n <= CHUNKS_MAX; ++n) {
        uint64_t size = RIFF_HEAD + (uint64_t)read_size(left.p);
        size += size & 1;
        left = str_skip(left, size < left.n ? (size_t)size : left.n);
    }
    return n > CHUNKS_MAX;
}

static bool copy_frame(const WebPMux *from, uint32_t number, bool is_animation, WebPMux *to)
{
    WebPMuxFrameInfo frame;
    if (WebPMuxGetFrame(from, number, &frame) != WEBP_MUX_OK)
        return false;
    enum WebPMuxError said =
        is_animation ? WebPMuxPushFrame(to, &frame, 1) : WebPMuxSetImage(to, &frame.bitstream, 1);
    WebPDataClear(&frame.bitstream);
    return said == WEBP_MUX_OK;
}

static bool copy_animation(const WebPMux *from, WebPMux *to)
{
    WebPMuxAnimParams params;
    int frames = 0, width, height;
    if (WebPMuxGetAnimationParams(from, &params) != WEBP_MUX_OK ||
        WebPMuxSetAnimationParams(to, &params) != WEBP_MUX_OK ||
        WebPMuxGetCanvasSize(from, &width, &height) != WEBP_MUX_OK ||
        WebPMuxNumChunks(from, WEBP_CHUNK_ANMF, &frames) != WEBP_MUX_OK)
        return false;
    for (int i = 1; i <= frames; ++i)
        if (!copy_frame(from, (uint32_t)i, true, to))
            return false;
    return frames != 0 && WebPMuxSetCanvasSize(to, width, height) == WEBP_MUX_OK;
}

static bool copy_profile(const WebPMux *from, WebPMux *to)
{
    WebPData profile;
    return WebPMuxGetChunk(from, "ICCP", &profile) != WEBP_MUX_OK ||
           WebPMuxSetChunk(to, "ICCP", &profile, 1) == WEBP_MUX_OK;
}

static bool copy_orientation(const WebPMux *from, WebPMux *to)
{
    WebPData exif;
    char block[CLEAN_EXIF_SIZE];
    if (WebPMuxGetChunk(from, "EXIF", &exif) != WEBP_MUX_OK)
        return true;
    unsigned orientation = clean_orientation(str_of(exif.bytes, exif.size));
    clean_write_exif(orientation, block);
    WebPData written = {(const uint8_t *)block, sizeof block};
    return orientation == 0 || WebPMuxSetChunk(to, "EXIF", &written, 1) == WEBP_MUX_OK;
}

static bool copy_all(const WebPMux *from, WebPMux *to)
{
    uint32_t features;
    if (WebPMuxGetFeatures(from, &features) != WEBP_MUX_OK)
        return false;
    bool ok = (features & ANIMATION_FLAG) != 0 ? copy_animation(from, to)
                                               : copy_frame(from, 1, false, to);
    return ok && copy_profile(from, to) && copy_orientation(from, to);
}

// Without what lies behind the file's own end, which libwebpmux takes for a chunk.
static str within_riff(str image)
{
    if (image.n < RIFF_HEAD)
        return image;
    uint64_t n = RIFF_HEAD + (uint64_t)read_size(image.p);
    n += n & 1;
    return n < image.n ? str_of(image.p, (size_t)n) : image;
}

enum clean_result clean_webp(str image, char **ret, size_t *ret_n)
{
    image = within_riff(image);
    if (has_too_many_chunks(image))
        return CLEAN_DAMAGED;
    WebPData in = {(const uint8_t *)image.p, image.n}, out = {0};
    WebPMux *from = WebPMuxCreate(&in, 0), *to = WebPMuxNew();
    bool ok = from != NULL && to != NULL && copy_all(from, to) &&
              WebPMuxAssemble(to, &out) == WEBP_MUX_OK;
    WebPMuxDelete(from);
    WebPMuxDelete(to);
    if (!ok)
        return CLEAN_DAMAGED;
    *ret = (char *)out.bytes; // WebPMalloc is malloc
    *ret_n = out.size;
    return CLEAN_DONE;
}
