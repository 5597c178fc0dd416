// JPEG by libjpeg-turbo: the quantised coefficients are read and written again, which is exact. What
// libjpeg writes of itself is all that the new file has.
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <jerror.h>
#include <jpeglib.h>
#include "edge/inspect/clean.h"

enum {
    APP1 = JPEG_APP0 + 1,
    APP2 = JPEG_APP0 + 2,
    MARKER_MAX = 0xffff,
    // A scan of a few bytes may go through a picture of any size. Encoders write about ten; the format
    // allows thousands, and half a minute of work in a small file.
    SCANS_MAX = 100,
};

struct recoder {
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    struct jpeg_decompress_struct in;
    struct jpeg_compress_struct out;
    jmp_buf failed;
    unsigned char *bytes;
    unsigned long n;
    JOCTET *profile;
    unsigned profile_n;
};

static struct recoder *recoder_of(j_common_ptr c)
{
    return c->client_data;
}

static void on_error(j_common_ptr c)
{
    longjmp(recoder_of(c)->failed, 1);
}

// Bytes of filling between segments are common; any other warning means that part of the picture is
// missing.
static void on_message(j_common_ptr c, int level)
{
    if (level == -1 && c->err->msg_code != JWRN_EXTRANEOUS_DATA)
        on_error(c);
}

static void on_progress(j_common_ptr c)
{
    struct recoder *r = recoder_of(c);
    if (r->in.input_scan_number > SCANS_MAX)
        on_error(c);
}

static unsigned orientation_of(const struct recoder *r)
{
    unsigned orientation = 0;
    for (jpeg_saved_marker_ptr m = r->in.marker_list; m != NULL && orientation == 0; m = m->next)
        if (m->marker == APP1 && str_starts(str_of(m->data, m->data_length), STR("Exif\0\0")))
            orientation = clean_orientation(str_of(m->data, m->data_length));
    return orientation;
}

static void write_markers(struct recoder *r)
{
    unsigned orientation = orientation_of(r);
    char exif[6 + CLEAN_EXIF_SIZE] = "Exif\0";
    clean_write_exif(orientation, exif + 6);
    if (orientation != 0)
        jpeg_write_marker(&r->out, APP1, (const JOCTET *)exif, sizeof exif);
    if (r->profile != NULL)
        jpeg_write_icc_profile(&r->out, r->profile, r->profile_n);
}

static void recode(struct recoder *r, str image)
{
    jpeg_create_decompress(&r->in);
    jpeg_create_compress(&r->out);
    r->in.progress = &r->progress;
    jpeg_mem_src(&r->in, (const unsigned char *)image.p, image.n);
    jpeg_save_markers(&r->in, APP1, MARKER_MAX);
    jpeg_save_markers(&r->in, APP2, MARKER_MAX);
    jpeg_read_header(&r->in, TRUE);
    jvirt_barray_ptr *coefficients = jpeg_read_coefficients(&r->in);
    if (!jpeg_read_icc_profile(&r->in, &r->profile, &r->profile_n))
        r->profile = NULL;
    jpeg_copy_critical_parameters(&r->in, &r->out);
    r->out.optimize_coding = TRUE;
    if (r->in.progressive_mode)
        jpeg_simple_progression(&r->out);
    jpeg_mem_dest(&r->out, &r->bytes, &r->n);
    jpeg_write_coefficients(&r->out, coefficients);
    write_markers(r);
    jpeg_finish_compress(&r->out);
    jpeg_finish_decompress(&r->in);
}

enum clean_result clean_jpeg(str image, char **ret, size_t *ret_n)
{
    struct recoder *r = calloc(1, sizeof *r);
    if (r == NULL)
        return CLEAN_MEMORY;
    r->in.err = r->out.err = jpeg_std_error(&r->errors);
    r->in.client_data = r->out.client_data = r;
    r->errors.error_exit = on_error;
    r->errors.emit_message = on_message;
    r->progress.progress_monitor = on_progress;
    enum clean_result result = CLEAN_DONE;
    if (setjmp(r->failed) == 0)
        recode(r, image);
    else
        result = r->errors.msg_code == JERR_OUT_OF_MEMORY ? CLEAN_MEMORY : CLEAN_DAMAGED;
    jpeg_destroy_compress(&r->out);
    jpeg_destroy_decompress(&r->in);
    free(r->profile);
    if (result == CLEAN_DONE) {
        *ret = (char *)r->bytes;
        *ret_n = r->n;
    } else {
        free(r->bytes);
    }
    free(r);
    return result;
}
