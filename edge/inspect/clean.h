// The half of stoa-inspect that makes images forget who made them, and where. It opens nothing, so
// that a test or a fuzzer can run it in its own process.
#ifndef STOA_INSPECT_CLEAN_H
#define STOA_INSPECT_CLEAN_H
#include "edge/base/str.h"

enum clean_result {
    CLEAN_DONE,
    CLEAN_DAMAGED, // cannot be read as what it says it is
    CLEAN_MEMORY,  // needs more memory than there is
};

// Each keeps what decides how the image looks (pixels, palette, transparency, animation, colour
// profile, resolution, orientation) and nothing else, known or unknown. *ret is malloc'ed, and set
// only by CLEAN_DONE.
// The coefficients, coded again: no pixel changes, and no byte between and behind them survives.
enum clean_result clean_jpeg(str image, char **ret, size_t *ret_n);
// The chunks that are known to matter, bit by bit.
enum clean_result clean_png(str image, char **ret, size_t *ret_n);
// The bitstreams of its frames, bit by bit, in a new container.
enum clean_result clean_webp(str image, char **ret, size_t *ret_n);
// The pictures bit by bit, their times and colours, and how often they repeat.
enum clean_result clean_gif(str image, char **ret, size_t *ret_n);

// Of an EXIF block, with or without its "Exif\0\0": 2 to 8 when it turns the image, else 0.
unsigned clean_orientation(str exif);
// A TIFF structure that says this and no more.
enum { CLEAN_EXIF_SIZE = 26 };
void clean_write_exif(unsigned orientation, char to[static CLEAN_EXIF_SIZE]);
#endif
