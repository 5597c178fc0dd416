// Chunked bodies: what the strict check finds fine, libh2o's decoder finds complete or incomplete, never wrong; and it makes no difference in
// which pieces the bytes come.
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include "edge/guard/chunks.h"

// Of picohttpparser, in libh2o.
struct phr_chunked_decoder {
    size_t bytes_left_in_chunk;
    char consume_trailer, _hex_count, _state;
};
ssize_t phr_decode_chunked(struct phr_chunked_decoder *decoder, char *buf, size_t *bufsz);

static void must(int truth)
{
    if (!truth)
        abort();
}

static enum chunks_verdict in_pieces(const char *p, size_t n, size_t piece)
{
    struct chunks c;
    enum chunks_verdict v = CHUNKS_FINE;
    chunks_init(&c);
    for (size_t at = 0; at < n && v == CHUNKS_FINE; at += piece)
        v = chunks_check(&c, p + at, n - at < piece ? n - at : piece, 1 << 20);
    return v;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct phr_chunked_decoder decoder = {.consume_trailer = 1};
    size_t n = size;
    char *bytes = malloc(size + 1);
    memcpy(bytes, data, size);
    enum chunks_verdict verdict = in_pieces(bytes, size, size + 1);
    must(in_pieces(bytes, size, 1) == verdict);
    must(in_pieces(bytes, size, 7) == verdict);
    if (verdict == CHUNKS_FINE)
        must(phr_decode_chunked(&decoder, bytes, &n) != -1);
    free(bytes);
    return 0;
}
