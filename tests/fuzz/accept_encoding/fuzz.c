// An Accept-Encoding field of a stranger: what is chosen is there, and is taken by the client or
// identity.
#include <assert.h>
#include "bundles/negotiate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str header = str_of(data, size);
    for (unsigned available = 1; available <= ENCODINGS_ALL; available += 2) {
        enum encoding e = negotiate_encoding(header, available);
        assert((available & 1u << e) != 0);
        assert(e == ENCODING_IDENTITY || negotiate_accepts(header, e));
    }
    return 0;
}
