// The one thing of an EXIF block that changes how an image looks.
#include "edge/inspect/clean.h"
#include <libexif/exif-data.h>

static const char exif_header[] = "Exif\0"; // and the NUL behind it

unsigned clean_orientation(str exif)
{
    enum { BLOCK_MAX = 64 * 1024, HEADER = sizeof exif_header };
    unsigned char block[HEADER + BLOCK_MAX];
    if (str_starts(exif, str_of(exif_header, HEADER)))
        exif = str_skip(exif, HEADER);
    if (exif.n == 0 || exif.n > BLOCK_MAX)
        return 0;
    memcpy(block, exif_header, HEADER);
    memcpy(block + HEADER, exif.p, exif.n);
    ExifData *data = exif_data_new();
    if (data == NULL)
        return 0;
    exif_data_unset_option(data, EXIF_DATA_OPTION_FOLLOW_SPECIFICATION);
    exif_data_load_data(data, block, (unsigned)(HEADER + exif.n));
    ExifEntry *e = exif_content_get_entry(data->ifd[EXIF_IFD_0], EXIF_TAG_ORIENTATION);
    unsigned orientation = 0;
    if (e != NULL && e->format == EXIF_FORMAT_SHORT && e->size >= 2)
        orientation = exif_get_short(e->data, exif_data_get_byte_order(data));
    exif_data_unref(data);
    return orientation >= 2 && orientation <= 8 ? orientation : 0;
}

void clean_write_exif(unsigned orientation, char to[static CLEAN_EXIF_SIZE])
{
    // TIFF 6.0 section 2: one entry, tag 0x112, a short
    static const char block[CLEAN_EXIF_SIZE] = "MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01";
    memcpy(to, block, sizeof block);
    to[19] = (char)orientation;
}
