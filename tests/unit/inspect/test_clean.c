// Images that tell of their maker and place, before and after. Whatever is to go has "Secret" or
// "SeLt" in it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <jpeglib.h>
#include <libdeflate.h>
#include <png.h>
#include <webp/decode.h>
#include <webp/encode.h>
#include <webp/mux.h>
#include "edge/inspect/protocol.h"
#include "tests/unit/inspect/workers.h"
#include <cmocka.h> // last: its fail() is a macro

enum { WIDTH = 61, HEIGHT = 47 };
static const char profile[] = "a colour profile that stays";

static unsigned char pixel(unsigned x, unsigned y, unsigned channel)
{
    return (unsigned char)(x * 3 + y * 5 * (channel + 1) + (x * y) % 7 * 9);
}

// --- EXIF by hand: TIFF 6.0, a maker, an orientation, a place ---

static void add_field(struct buf *b, unsigned tag, unsigned type, uint32_t count, uint32_t value)
{
    uint16_t head[] = {(uint16_t)tag, (uint16_t)type};
    uint32_t tail[] = {count, value};
    buf_add(b, str_of(head, sizeof head));
    buf_add(b, str_of(tail, sizeof tail));
}

static struct buf make_exif(unsigned orientation)
{
    struct buf b;
    buf_init(&b, 4096);
    buf_add(&b, STR("II*\0\x08\0\0\0\x03\0"));
    add_field(&b, 0x10f, 2, 10, 80);         // maker
    add_field(&b, 0x112, 3, 1, orientation); // a short, at the left
    add_field(&b, 0x8825, 4, 1, 90);         // GPS
    buf_add(&b, STR("\0\0\0\0"));
    while (b.n != 80)
        buf_addc(&b, 0);
    buf_add(&b, STR("SecretCam\0\x03\0"));
    add_field(&b, 1, 2, 2, 'N');
    add_field(&b, 2, 5, 3, 140);     // latitude
    add_field(&b, 0x12, 2, 12, 164); // map datum
    buf_add(&b, STR("\0\0\0\0"));
    while (b.n != 140)
        buf_addc(&b, 0);
    buf_add(&b, STR("SeLt\1\0\0\0SeLt\1\0\0\0SeLt\1\0\0\0"));
    buf_add(&b, STR("SecretPlace\0"));
    return b;
}

static struct buf prefixed(str prefix, struct buf b)
{
    struct buf all;
    buf_init(&all, 8192);
    buf_add(&all, prefix);
    buf_add(&all, buf_str(&b));
    buf_fini(&b);
    return all;
}

// --- what is asked of every clean image ---

static struct buf clean(str image, const char *mime)
{
    struct fault fault = {0};
    char *bytes = NULL;
    size_t n = 0;
    enum fail fail = inspect_clean_image(image, mime, &bytes, &n, &fault);
    if (fail != FAIL_NONE)
        fail_msg("%s: %s %s", mime, fault.public_text, fault.log_text);
    assert_non_null(bytes);
    assert_true(n <= image.n + INSPECT_CLEAN_MORE);
    struct buf b;
    buf_init(&b, 16 << 20);
    buf_add(&b, str_of(bytes, n));
    free(bytes);
    return b;
}

static bool holds(const struct buf *b, str what)
{
    return str_find_str(buf_str(b), what) != SIZE_MAX;
}

static void assert_tells_nothing(const struct buf *b)
{
    assert_false(holds(b, STR("Secret")));
    assert_false(holds(b, STR("SeLt")));
    assert_false(holds(b, STR("xmpmeta")));
}

// The orientation and nothing else: the whole block, bit by bit.
static void assert_orientation(const struct buf *b, unsigned orientation)
{
    char block[] = "MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0?\0\0\0\0\0";
    block[19] = (char)orientation;
    assert_int_equal(holds(b, str_of(block, 26)), orientation > 1);
}

static void assert_refused(str image, const char *mime)
{
    struct fault fault = {0};
    char *bytes = NULL;
    size_t n;
    assert_int_equal(inspect_clean_image(image, mime, &bytes, &n, &fault), FAIL_REFUSED);
    assert_string_equal(fault.code, "damaged_image");
    assert_null(bytes);
}

// Cut anywhere, it is refused or still tells nothing; no process fails on it.
static void assert_cut_is_safe(const struct buf *image, const char *mime)
{
    for (size_t n = 0; n < image->n; n += image->n / 40 + 1) {
        struct fault fault = {0};
        char *bytes = NULL;
        size_t size = 0;
        enum fail fail = inspect_clean_image(str_of(image->p, n), mime, &bytes, &size, &fault);
        if (fail != FAIL_REFUSED && fail != FAIL_NONE)
            fail_msg("%s cut at %zu: %s", mime, n, fault.log_text);
        assert_true(fail != FAIL_NONE ||
                    str_find_str(str_of(bytes, size), STR("Secret")) == SIZE_MAX);
        free(bytes);
    }
}

// --- JPEG ---

struct jpeg_kind {
    bool is_progressive, is_grey, has_profile;
    unsigned orientation; // 0: no EXIF at all
};

static void write_secrets(struct jpeg_compress_struct *c, const struct jpeg_kind *kind)
{
    if (kind->orientation != 0) {
        struct buf exif = prefixed(STR("Exif\0\0"), make_exif(kind->orientation));
        jpeg_write_marker(c, JPEG_APP0 + 1, (const JOCTET *)exif.p, (unsigned)exif.n);
        buf_fini(&exif);
    }
    static const char xmp[] = "http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>SecretXmp</x:xmpmeta>";
    jpeg_write_marker(c, JPEG_APP0 + 1, (const JOCTET *)xmp, sizeof xmp);
    jpeg_write_marker(c, JPEG_APP0 + 13, (const JOCTET *)"Photoshop 3.0\0SecretIptc", 24);
    jpeg_write_marker(c, JPEG_APP0 + 2, (const JOCTET *)"MPF\0SecretMpf", 13);
    jpeg_write_marker(c, JPEG_COM, (const JOCTET *)"SecretComment", 13);
    if (kind->has_profile)
        jpeg_write_icc_profile(c, (const JOCTET *)profile, sizeof profile);
}

static struct buf make_jpeg(const struct jpeg_kind *kind)
{
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL, line[WIDTH * 3];
    unsigned long n = 0;
    c.err = jpeg_std_error(&errors);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &bytes, &n);
    c.image_width = WIDTH;
    c.image_height = HEIGHT;
    c.input_components = kind->is_grey ? 1 : 3;
    c.in_color_space = kind->is_grey ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&c);
    c.restart_interval = 2;
    if (kind->is_progressive)
        jpeg_simple_progression(&c);
    jpeg_start_compress(&c, TRUE);
    write_secrets(&c, kind);
    for (unsigned y = 0; y != HEIGHT; ++y) {
        for (unsigned i = 0; i != WIDTH * 3; ++i)
            line[i] = pixel(i / 3, y, i % 3);
        JSAMPROW row = line;
        jpeg_write_scanlines(&c, &row, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    struct buf b;
    buf_init(&b, 1 << 20);
    buf_add(&b, str_of(bytes, n));
    buf_add(&b, STR("\xff\xd8\xff\xe1 SecretTail, as a second picture has it"));
    free(bytes);
    return b;
}

// The coefficients of all components, one after the other.
static struct buf coefficients(const struct buf *image)
{
    struct jpeg_decompress_struct d;
    struct jpeg_error_mgr errors;
    struct buf all;
    buf_init(&all, 8 << 20);
    d.err = jpeg_std_error(&errors);
    jpeg_create_decompress(&d);
    jpeg_mem_src(&d, (const unsigned char *)image->p, image->n);
    jpeg_read_header(&d, TRUE);
    buf_addf(&all, "%ux%u %d %d;", d.image_width, d.image_height, d.jpeg_color_space,
             d.progressive_mode);
    jvirt_barray_ptr *arrays = jpeg_read_coefficients(&d);
    for (int i = 0; i != d.num_components; ++i) {
        jpeg_component_info *c = &d.comp_info[i];
        buf_add(&all, str_of(c->quant_table->quantval, sizeof c->quant_table->quantval));
        for (JDIMENSION y = 0; y != c->height_in_blocks; ++y) {
            JBLOCKARRAY row = d.mem->access_virt_barray((j_common_ptr)&d, arrays[i], y, 1, FALSE);
            buf_add(&all, str_of(row[0], c->width_in_blocks * sizeof(JBLOCK)));
        }
    }
    jpeg_finish_decompress(&d);
    jpeg_destroy_decompress(&d);
    return all;
}

static void cleans_jpeg(void **state)
{
    static const struct jpeg_kind kinds[] = {{false, false, true, 6}, {true, false, false, 8},
                                             {false, true, true, 3},  {false, false, false, 1},
                                             {true, true, false, 0},  {false, false, false, 99}};
    for (size_t i = 0; i != sizeof kinds / sizeof *kinds; ++i) {
        struct buf image = make_jpeg(&kinds[i]), done = clean(buf_str(&image), "image/jpeg");
        assert_true(holds(&image, STR("Secret")));
        assert_tells_nothing(&done);
        assert_orientation(&done, kinds[i].orientation > 8 ? 0 : kinds[i].orientation);
        assert_int_equal(holds(&done, STR("a colour profile that stays")), kinds[i].has_profile);
        struct buf before = coefficients(&image), after = coefficients(&done);
        assert_int_equal(before.n, after.n);
        assert_memory_equal(before.p, after.p, before.n);
        buf_fini(&before);
        buf_fini(&after);
        if (i < 2)
            assert_cut_is_safe(&image, "image/jpeg");
        buf_fini(&image);
        buf_fini(&done);
    }
}

// Directories that name each other, from front to back and round again.
static struct buf make_maze_exif(void)
{
    enum { ENTRIES = 5400 };
    static const unsigned pointers[] = {0x8769, 0x8825, 0xa005};
    struct buf b;
    uint16_t n = ENTRIES;
    buf_init(&b, 65533);
    buf_add(&b, STR("Exif\0\0II*\0\x08\0\0\0"));
    buf_add(&b, str_of(&n, sizeof n));
    for (unsigned i = 0; i != ENTRIES; ++i)
        add_field(&b, pointers[i % 3], 4, 1, 8);
    return b;
}

static void cleans_a_jpeg_with_a_maze(void **state)
{
    struct buf plain = make_jpeg(&(struct jpeg_kind){.orientation = 3}), maze = make_maze_exif();
    struct buf image;
    buf_init(&image, 1 << 20);
    buf_add(&image, str_of(plain.p, 2));
    for (int i = 0; i != 4; ++i) {
        uint16_t n = __builtin_bswap16((uint16_t)(maze.n + 2));
        buf_add(&image, STR("\xff\xe1"));
        buf_add(&image, str_of(&n, sizeof n));
        buf_add(&image, buf_str(&maze));
    }
    buf_add(&image, str_skip(buf_str(&plain), 2));
    struct buf done = clean(buf_str(&image), "image/jpeg");
    assert_tells_nothing(&done);
    assert_orientation(&done, 3);
    struct buf again = clean(buf_str(&done), "image/jpeg"); // which is of the other byte order
    assert_orientation(&again, 3);
    buf_fini(&again);
    buf_fini(&plain);
    buf_fini(&maze);
    buf_fini(&image);
    buf_fini(&done);
}

// Grey, progressive, without any detail; every coefficient is said in as many scans as there may be: 883
// times the work of reading the picture, for a few bytes each.
static struct buf make_slow_jpeg(unsigned side)
{
    enum { DC_SCAN = 10, AC_RUN = 16384, LEAST_BIT = 13 };
    char frame[] = "\xff\xc2\0\x0b\x08HHWW\1\1\x11\0", scan[] = "\xff\xda\0\x08\1\1\0\0\0\0";
    size_t blocks = (size_t)((side + 7) / 8) * ((side + 7) / 8),
           runs = ((blocks + AC_RUN - 1) / AC_RUN * 15 + 7) / 8;
    struct buf b;
    buf_init(&b, 16 << 20);
    buf_add(&b, STR("\xff\xd8\xff\xdb\0\x43\0"));
    for (int i = 0; i != 64; ++i)
        buf_addc(&b, 1);
    frame[5] = frame[7] = (char)(side >> 8);
    frame[6] = frame[8] = (char)side;
    buf_add(&b, str_of(frame, sizeof frame - 1));
    // one code each, a single zero bit: no difference, and a run of 2 to the 14th empty blocks
    for (int is_ac = 0; is_ac != 2; ++is_ac) {
        buf_add(&b, STR("\xff\xc4\0\x14"));
        buf_addc(&b, is_ac ? 0x10 : 0);
        buf_add(&b, STR("\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"));
        buf_addc(&b, is_ac ? '\xe0' : 0);
    }
    buf_add(&b, str_of(scan, DC_SCAN));
    for (size_t i = 0; i != (blocks + 7) / 8; ++i)
        buf_addc(&b, 0);
    for (int at = 1; at != 64; ++at)
        for (int bit = LEAST_BIT; bit >= 0; --bit) {
            scan[7] = scan[8] = (char)at;
            scan[9] = (char)((bit == LEAST_BIT ? 0 : bit + 1) << 4 | bit);
            buf_add(&b, str_of(scan, sizeof scan - 1));
            for (size_t i = 0; i != runs; ++i)
                buf_addc(&b, 0);
        }
    buf_add(&b, STR("\xff\xd9"));
    return b;
}

static void refuses_a_jpeg_of_too_many_scans(void **state)
{
    struct buf image = make_slow_jpeg(640);
    assert_refused(buf_str(&image), "image/jpeg");
    buf_fini(&image);
}

// --- PNG ---

static void add_chunk(struct buf *b, const char *name, str content)
{
    struct buf chunk;
    buf_init(&chunk, 64 << 10);
    buf_add(&chunk, str_of(name, 4));
    buf_add(&chunk, content);
    uint32_t n = __builtin_bswap32((uint32_t)content.n),
             sum = __builtin_bswap32(libdeflate_crc32(0, chunk.p, chunk.n));
    buf_add(b, str_of(&n, 4));
    buf_add(b, buf_str(&chunk));
    buf_add(b, str_of(&sum, 4));
    buf_fini(&chunk);
}

static struct buf make_png(unsigned orientation)
{
    enum { BEFORE_CHUNKS = 8 + 25 };
    unsigned char pixels[HEIGHT][WIDTH][4];
    char bytes[64 << 10];
    size_t n = sizeof bytes;
    for (unsigned y = 0; y != HEIGHT; ++y)
        for (unsigned x = 0; x != WIDTH; ++x)
            for (unsigned i = 0; i != 4; ++i)
                pixels[y][x][i] = pixel(x, y, i);
    png_image image = {
        .version = PNG_IMAGE_VERSION, .width = WIDTH, .height = HEIGHT, .format = PNG_FORMAT_RGBA};
    assert_true(png_image_write_to_memory(&image, bytes, &n, 0, pixels, 0, NULL));
    struct buf b, exif = make_exif(orientation);
    buf_init(&b, 1 << 20);
    buf_add(&b, str_of(bytes, BEFORE_CHUNKS));
    add_chunk(&b, "tEXt", STR("Author\0SecretName"));
    add_chunk(&b, "iTXt", STR("XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta>SecretXmp</x:xmpmeta>"));
    add_chunk(&b, "tIME", STR("\x07\xe8\1\1\1\1\1"));
    add_chunk(&b, "eXIf", buf_str(&exif));
    add_chunk(&b, "prVt", STR("SecretPrivate"));
    add_chunk(&b, "pHYs", STR("\0\0\x0b\x13\0\0\x0b\x13\1"));
    buf_add(&b, str_of(bytes + BEFORE_CHUNKS, n - BEFORE_CHUNKS));
    buf_add(&b, STR("SecretTail"));
    buf_fini(&exif);
    return b;
}

static void read_png(const struct buf *b, unsigned char pixels[static HEIGHT * WIDTH * 4])
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    assert_true(png_image_begin_read_from_memory(&image, b->p, b->n));
    assert_int_equal(image.width, WIDTH);
    assert_int_equal(image.height, HEIGHT);
    image.format = PNG_FORMAT_RGBA;
    assert_true(png_image_finish_read(&image, NULL, pixels, 0, NULL));
}

static void cleans_png(void **state)
{
    static unsigned char before[HEIGHT * WIDTH * 4], after[HEIGHT * WIDTH * 4];
    for (unsigned orientation = 1; orientation <= 6; orientation += 5) {
        struct buf image = make_png(orientation), done = clean(buf_str(&image), "image/png");
        assert_tells_nothing(&done);
        assert_false(holds(&done, STR("tIME")));
        assert_false(holds(&done, STR("prVt")));
        assert_true(holds(&done, STR("pHYs")));
        assert_orientation(&done, orientation);
        read_png(&image, before);
        read_png(&done, after);
        assert_memory_equal(before, after, sizeof before);
        assert_cut_is_safe(&image, "image/png");
        image.p[image.n / 2] ^= 1; // in the pixels: a wrong check sum
        assert_refused(buf_str(&image), "image/png");
        buf_fini(&image);
        buf_fini(&done);
    }
}

// --- WebP ---

static WebPData encode_webp(void)
{
    unsigned char pixels[HEIGHT][WIDTH][4];
    uint8_t *bytes;
    for (unsigned y = 0; y != HEIGHT; ++y)
        for (unsigned x = 0; x != WIDTH; ++x)
            for (unsigned i = 0; i != 4; ++i)
                pixels[y][x][i] = pixel(x, y, i) | 1;
    size_t n = WebPEncodeLosslessRGBA(&pixels[0][0][0], WIDTH, HEIGHT, WIDTH * 4, &bytes);
    assert_true(n != 0);
    return (WebPData){bytes, n};
}

static void set_chunk(WebPMux *mux, const char *name, str s)
{
    WebPData data = {(const uint8_t *)s.p, s.n};
    assert_int_equal(WebPMuxSetChunk(mux, name, &data, 1), WEBP_MUX_OK);
}

static void add_frames(WebPMux *mux, const WebPData *picture, unsigned frames)
{
    WebPMuxAnimParams params = {.bgcolor = 0xff00ff00, .loop_count = 3};
    WebPMuxFrameInfo frame = {
        .bitstream = *picture, .duration = 70, .id = WEBP_CHUNK_ANMF, .dispose_method = 1};
    for (unsigned i = 0; i != frames; ++i)
        assert_int_equal(WebPMuxPushFrame(mux, &frame, 1), WEBP_MUX_OK);
    assert_int_equal(WebPMuxSetAnimationParams(mux, &params), WEBP_MUX_OK);
}

// One frame: a still picture.
static struct buf make_webp(unsigned frames)
{
    WebPMux *mux = WebPMuxNew();
    WebPData picture = encode_webp(), all;
    struct buf b, exif = make_exif(6);
    if (frames == 1)
        assert_int_equal(WebPMuxSetImage(mux, &picture, 1), WEBP_MUX_OK);
    else
        add_frames(mux, &picture, frames);
    set_chunk(mux, "ICCP", str_of(profile, sizeof profile));
    set_chunk(mux, "EXIF", buf_str(&exif));
    set_chunk(mux, "XMP ", STR("<x:xmpmeta>SecretXmp</x:xmpmeta>"));
    set_chunk(mux, "PRVT", STR("SecretPrivate"));
    assert_int_equal(WebPMuxAssemble(mux, &all), WEBP_MUX_OK);
    buf_init(&b, 1 << 20);
    buf_add(&b, str_of(all.bytes, all.size));
    WebPDataClear(&all);
    WebPDataClear(&picture);
    WebPMuxDelete(mux);
    buf_fini(&exif);
    return b;
}

static void assert_same_frames(const struct buf *a, const struct buf *b, unsigned frames)
{
    WebPData of_a = {(const uint8_t *)a->p, a->n}, of_b = {(const uint8_t *)b->p, b->n};
    WebPMux *x = WebPMuxCreate(&of_a, 0), *y = WebPMuxCreate(&of_b, 0);
    for (unsigned i = 1; i <= frames; ++i) {
        WebPMuxFrameInfo f, g;
        assert_int_equal(WebPMuxGetFrame(x, i, &f), WEBP_MUX_OK);
        assert_int_equal(WebPMuxGetFrame(y, i, &g), WEBP_MUX_OK);
        assert_int_equal(f.bitstream.size, g.bitstream.size);
        assert_memory_equal(f.bitstream.bytes, g.bitstream.bytes, f.bitstream.size);
        assert_int_equal(f.duration, g.duration);
        assert_int_equal(f.dispose_method, g.dispose_method);
        WebPDataClear(&f.bitstream);
        WebPDataClear(&g.bitstream);
    }
    WebPMuxDelete(x);
    WebPMuxDelete(y);
}

static void cleans_webp(void **state)
{
    for (unsigned frames = 1; frames <= 3; frames += 2) {
        struct buf image = make_webp(frames);
        size_t whole = image.n;
        buf_add(&image, STR("SecretTail"));
        struct buf done = clean(buf_str(&image), "image/webp");
        image.n = whole; // libwebpmux, here, does not read it otherwise
        assert_tells_nothing(&done);
        assert_false(holds(&done, STR("PRVT")));
        assert_false(holds(&done, STR("XMP ")));
        assert_orientation(&done, 6);
        assert_true(holds(&done, STR("a colour profile that stays")));
        assert_same_frames(&image, &done, frames);
        int width = 0, height = 0;
        assert_true(WebPGetInfo((const uint8_t *)done.p, done.n, &width, &height));
        assert_int_equal(width, WIDTH);
        assert_cut_is_safe(&image, "image/webp");
        buf_fini(&image);
        buf_fini(&done);
    }
}

// Of one pixel each, by hand: as many of them as the file has room for.
static struct buf make_webp_of_frames(unsigned frames)
{
    static const char frame[] = "ANMF\x24\0\0\0" // at 0, 0; 1 by 1; 10 ms
                                "\0\0\0\0\0\0\0\0\0\0\0\0\x0a\0\0\0"
                                "VP8L\x0c\0\0\0\x2f\0\0\0\0\x07\x10\x11\xfd\x0f\x44\x44";
    struct buf b;
    buf_init(&b, 16 << 20);
    uint32_t size = 4 + 18 + 14 + frames * (sizeof frame - 1);
    buf_add(&b, STR("RIFF"));
    buf_add(&b, str_of(&size, sizeof size));
    buf_add(&b, STR("WEBPVP8X\x0a\0\0\0\x12\0\0\0\0\0\0\0\0\0"));
    buf_add(&b, STR("ANIM\6\0\0\0\0\0\0\0\0\0"));
    for (unsigned i = 0; i != frames; ++i)
        buf_add(&b, str_of(frame, sizeof frame - 1));
    return b;
}

static void refuses_a_webp_of_too_many_frames(void **state)
{
    struct buf image = make_webp_of_frames(4000), done = clean(buf_str(&image), "image/webp");
    assert_int_equal(done.n, image.n);
    buf_fini(&done);
    buf_fini(&image);
    image = make_webp_of_frames(6000);
    assert_refused(buf_str(&image), "image/webp");
    buf_fini(&image);
}

// --- GIF ---

#define GIF_HEAD                                                                                   \
    "GIF89a\2\0\2\0\x80\0\0"                                                                       \
    "\0\0\0\xff\xff\xff"
#define GIF_CONTROL "!\xf9\4\4\x0a\0\0\0"
#define GIF_REPEAT "!\xff\x0bNETSCAPE2.0\3\1\0\0\0"
#define GIF_COLOURS "!\xff\x0bICCRGBG1012\3abc\0"
#define GIF_PICTURE ",\0\0\0\0\2\0\2\0\0\2\3\x84\x51\5\0"
#define GIF_OWN_COLOURS                                                                            \
    ",\0\0\0\0\2\0\2\0\x80"                                                                        \
    "abcdef"                                                                                       \
    "\2\3\x84\x51\5\0"
#define GIF_COMMENT "!\xfe\6Secret\0"
#define GIF_XMP                                                                                    \
    "!\xff\x0bXMP DataXMP"                                                                         \
    "\x07xmpmeta\1\xff\0"
#define GIF_TEXT                                                                                   \
    "!\1\x0c"                                                                                      \
    "123456789012"                                                                                 \
    "\6Secret\0"
#define GIF_MORE "!\xff\x0bNETSCAPE2.0\3\1\0\0\6Secret\0"

static void cleans_gif(void **state)
{
    struct buf cleaned =
        clean(STR(GIF_HEAD GIF_COMMENT GIF_REPEAT GIF_MORE GIF_XMP GIF_COLOURS GIF_CONTROL
                      GIF_PICTURE GIF_TEXT GIF_COMMENT GIF_CONTROL GIF_OWN_COLOURS ";Secret"),
              "image/gif");
    str expected = STR(
        GIF_HEAD GIF_REPEAT GIF_COLOURS GIF_CONTROL GIF_PICTURE GIF_CONTROL GIF_OWN_COLOURS ";");
    assert_int_equal(cleaned.n, expected.n);
    assert_memory_equal(cleaned.p, expected.p, expected.n);
    assert_tells_nothing(&cleaned);
    assert_cut_is_safe(&cleaned, "image/gif");
    buf_fini(&cleaned);
    cleaned = clean(STR(GIF_HEAD GIF_PICTURE), "image/gif"); // no trailer: common enough
    assert_int_equal(cleaned.n, sizeof(GIF_HEAD GIF_PICTURE ";") - 1);
    buf_fini(&cleaned);
    assert_refused(STR("GIF89a"), "image/gif");
    assert_refused(STR(GIF_HEAD ";"), "image/gif");
    assert_refused(STR(GIF_HEAD GIF_PICTURE "?"), "image/gif");
    assert_refused(STR(GIF_HEAD GIF_PICTURE "!"), "image/gif");
    assert_refused(STR(GIF_HEAD GIF_PICTURE "!\xfe\6Secr"), "image/gif");
}

// --- the rest ---

static void leaves_other_types_alone(void **state)
{
    char *bytes = (char *)"not touched";
    size_t n = 1;
    assert_int_equal(inspect_clean_image(STR("a film"), "video/mp4", &bytes, &n, NULL), FAIL_NONE);
    assert_null(bytes);
    assert_int_equal(n, 0);
    bytes = (char *)"not touched";
    assert_int_equal(inspect_clean_image(STR("BM"), "image/bmp", &bytes, &n, NULL), FAIL_NONE);
    assert_null(bytes);
}

static void refuses_what_tells_and_cannot_be_cleaned(void **state)
{
    static const char *const types[] = {"image/heic", "image/avif", "image/tiff",
                                        "image/jxl",  "image/jp2",  "image/vnd.adobe.photoshop"};
    for (size_t i = 0; i != sizeof types / sizeof *types; ++i) {
        struct fault fault = {0};
        char *bytes = NULL;
        size_t n;
        assert_int_equal(inspect_clean_image(STR("any"), types[i], &bytes, &n, &fault),
                         FAIL_BAD_TYPE);
        assert_string_equal(fault.code, "type_not_allowed");
        assert_null(bytes);
    }
}

static void refuses_what_is_something_else(void **state)
{
    struct buf png = make_png(1);
    assert_refused(buf_str(&png), "image/jpeg");
    assert_refused(buf_str(&png), "image/webp");
    assert_refused(STR(""), "image/png");
    assert_refused(STR("\xff\xd8\xff\xd9"), "image/jpeg");
    // 65500 x 65500 pixels in a few bytes
    assert_refused(
        STR("\xff\xd8\xff\xc0\0\x0b\x08\xff\xdc\xff\xdc\1\1\x11\0\xff\xda\0\x08\1\1\0\0\x3f\0"
            "\xff\xd9"),
        "image/jpeg");
    buf_fini(&png);
}

static int setup(void **state)
{
    inspect_init(0, &workers_source);
    return 0;
}

static int teardown(void **state)
{
    inspect_fini();
    return workers_alive == 0 ? 0 : -1;
}

int main(int argc, char **argv)
{
    if (argc == 2)
        workers_program = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cleans_jpeg),
        cmocka_unit_test(cleans_a_jpeg_with_a_maze),
        cmocka_unit_test(refuses_a_jpeg_of_too_many_scans),
        cmocka_unit_test(cleans_png),
        cmocka_unit_test(cleans_webp),
        cmocka_unit_test(refuses_a_webp_of_too_many_frames),
        cmocka_unit_test(cleans_gif),
        cmocka_unit_test(leaves_other_types_alone),
        cmocka_unit_test(refuses_what_tells_and_cannot_be_cleaned),
        cmocka_unit_test(refuses_what_is_something_else),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
