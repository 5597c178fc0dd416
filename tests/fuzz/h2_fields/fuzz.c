// HPACK blocks: passing over them in pieces finds the borders that passing over them at once finds.
#include <stdlib.h>
#include "edge/guard/fields.h"

static void must(int truth)
{
    if (!truth)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fields all = fields_pass(data, size, SIZE_MAX, 1);
    must(all.n <= size && all.count <= all.n && all.state != FIELDS_MORE);
    size_t at = 0, count = 0;
    struct fields piece;
    do {
        piece = fields_pass(data + at, size - at, 3, at == 0 && count == 0);
        must(piece.count <= 3);
        at += piece.n;
        count += piece.count;
    } while (piece.state == FIELDS_MORE);
    must(at == all.n && count == all.count && piece.state == all.state);
    return 0;
}
