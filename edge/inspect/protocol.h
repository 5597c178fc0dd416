// What the server and stoa-inspect say to each other, in frames of edge/cage/frame.h; shared by
// both sides. All numbers in the machine's byte order.
//
//   stoa-inspect                          server
//   READY {u32 layers}              ->
//                                   <-    REQUEST {struct inspect_request}
//                                   <-    BYTES {piece} …      `bytes` of them in all
//   ENTRY {u8 kind, path} …         ->
//   CONTENT {piece} …               ->                         of the ENTRY before it, a file
//   PROBLEM {u8 problem, detail} …  ->
//   END {struct inspect_end}        ->                         then the process exits
//
// The process reads the archive as it needs it, so both directions move at once. It may end early:
// the server then stops sending.
#ifndef STOA_INSPECT_PROTOCOL_H
#define STOA_INSPECT_PROTOCOL_H
#include "edge/cage/frame.h"
#include "edge/inspect/inspect.h"

enum inspect_frame {
    INSPECT_READY = 1,
    INSPECT_REQUEST,
    INSPECT_BYTES,
    INSPECT_ENTRY,
    INSPECT_CONTENT,
    INSPECT_PROBLEM,
    INSPECT_END,
};

// The same frames tell of an image: one ENTRY, a file without a name of its own ("image"), whose CONTENT
// is the image as it is to be kept; or PROBLEM INSPECT_DAMAGED or INSPECT_MEMORY.
enum inspect_what {
    INSPECT_WHAT_ARCHIVE = 1,
    INSPECT_WHAT_JPEG,
    INSPECT_WHAT_PNG,
    INSPECT_WHAT_WEBP,
    INSPECT_WHAT_GIF,
};

struct inspect_request {
    uint32_t what; // enum inspect_what
    uint32_t entries;
    uint64_t file_bytes, total_bytes;
    uint64_t bytes; // of the archive or image, at most INSPECT_ARCHIVE_MAX
};

struct inspect_end {
    uint64_t entries, bytes; // how many ENTRY frames and how much CONTENT there were
};
#endif
