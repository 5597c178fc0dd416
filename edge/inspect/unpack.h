// The half of stoa-inspect that runs libarchive over a stranger's bytes. It opens nothing and
// writes nothing but frames, so that a test or a fuzzer can run it in its own process.
#ifndef STOA_INSPECT_UNPACK_H
#define STOA_INSPECT_UNPACK_H
#include "edge/inspect/protocol.h"

struct unpack_io {
    // The archive: `have` of its `bytes` bytes are at `base` by now.
    const char *base;
    uint64_t bytes, have;
    // Brings `have` forward; false when no more will come. Not called once have == bytes.
    bool (*pull)(struct unpack_io *io);
    // A frame for the server, its body being `a` then `b`; false: nobody listens.
    bool (*send)(struct unpack_io *io, enum inspect_frame type, str a, str b);
};

// Once per process, before anything is read: what the C library and libarchive load from files on
// first use. False when the machine has no C.UTF-8 locale.
bool unpack_warm_up(void);
// From the first entry to the END frame. False when nobody listens any more.
bool unpack_archive(struct unpack_io *io, const struct inspect_request *request);
#endif
