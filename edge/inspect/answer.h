// What stoa-inspect says, checked as a hostile's words: order, types, lengths, and every count
// against the limits it was given. No I/O, so that a fuzzer can speak in its place.
#ifndef STOA_INSPECT_ANSWER_H
#define STOA_INSPECT_ANSWER_H
#include "edge/inspect/protocol.h"

enum answer_state {
    ANSWER_STARTING, // READY has not come
    ANSWER_OPEN,
    ANSWER_CLOSING, // a problem of the whole archive: only END may follow
    ANSWER_DONE,
    ANSWER_BROKEN, // for good
};

struct answer {
    enum answer_state state;
    const struct inspect_limits *_limits;
    const struct inspect_visitor *_visitor;
    struct inspect_end _seen;
    uint64_t _file_bytes; // of the present entry
    bool _is_file;
    unsigned _entry_problems;
};

// Keeps both pointers.
void answer_init(struct answer *a, const struct inspect_limits *limits,
                 const struct inspect_visitor *visitor);
// Takes every whole frame out of `bytes` and tells the visitor. Returns the new state.
enum answer_state answer_take(struct answer *a, struct frame_buffer *bytes);
#endif
