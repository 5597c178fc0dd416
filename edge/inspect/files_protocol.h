// What the server, the template of stoa-inspect-files and the processes it forks say to each other;
// shared by both sides. All numbers in the machine's byte order.
//
//   server                                     template
//   one byte, a socket with it (SCM_RIGHTS) ->           forks a process, whose CAGE_FD it becomes
//
//   server                                     that process
//   struct files_request, first bytes       ->           written before it is forked
//                                           <-           struct files_say, FILES_ASK
//   exactly these bytes                     ->           …
//                                           <-           struct files_say, FILES_ANSWER; it ends
//
// The socket is read by nobody else: a process that ends early is seen as its end. So little travels
// of most files that a large one costs as much as a small one.
#ifndef STOA_INSPECT_FILES_PROTOCOL_H
#define STOA_INSPECT_FILES_PROTOCOL_H
#include "edge/inspect/inspect.h"

enum { FILES_ASK = 1, FILES_ANSWER = 2, FILES_PIECE_MAX = 64 * 1024, FILES_FIRST = 16 * 1024 };

struct files_request {
    uint64_t size; // of the file; the smaller of it and FILES_FIRST bytes follow
};

// Of one size, whatever it says; what it does not need is zero.
struct files_say {
    uint32_t what;
    uint32_t container, active;   // FILES_ANSWER: enum inspect_container, enum inspect_active
    uint32_t n;                   // FILES_ASK: 1 to FILES_PIECE_MAX bytes …
    uint64_t offset;              // … from here, all within the file
    char mime[INSPECT_MIME_ROOM]; // FILES_ANSWER
};

// The server's reading of it, as a hostile's words. `left`: how much may still be asked for, which is
// counted down. No I/O, so that a fuzzer can speak in its place.
enum files_heard { FILES_HEARD_NONSENSE, FILES_HEARD_ASK, FILES_HEARD_ANSWER };
enum files_heard inspect_files_hear(const struct files_say *say, uint64_t size, uint64_t *left,
                                    struct inspect_seen *ret);
#endif
