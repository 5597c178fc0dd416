// The cleaning of images; the first byte chooses the format. What comes out clean comes out the same
// when it is cleaned again.
#include <stdlib.h>
#include "edge/inspect/clean.h"

static void must(bool ok)
{
    if (!ok)
        abort();
}

// A few bytes may declare a billion pixels, for which there is memory here.
static bool is_large_jpeg(str image)
{
    for (size_t i = 0; i + 9 < image.n; ++i) {
        const unsigned char *p = (const unsigned char *)image.p + i;
        if (p[0] == 0xff && p[1] >= 0xc0 && p[1] <= 0xcf && (p[5] > 4 || p[7] > 4))
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static enum clean_result (*const formats[])(str, char **, size_t *) = {clean_jpeg, clean_png,
                                                                           clean_webp, clean_gif};
    if (size == 0)
        return 0;
    unsigned format = data[0] % 4;
    str image = str_of(data + 1, size - 1);
    char *once = NULL, *twice = NULL;
    size_t n = 0, again = 0;
    if ((format == 0 && is_large_jpeg(image)) || formats[format](image, &once, &n) != CLEAN_DONE)
        return 0;
    must(formats[format](str_of(once, n), &twice, &again) == CLEAN_DONE);
    must(n == again && memcmp(once, twice, n) == 0);
    free(once);
    free(twice);
    return 0;
}
