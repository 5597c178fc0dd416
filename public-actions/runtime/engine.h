// The JavaScript engine, and the one door to it: nothing outside engine_*.c knows which one it is.
// One virtual machine per process, one thread. The engine is taken to be exploitable: the wall is
// the cage around the process (edge/cage/child.h), not this interface.
//
// What the handler code does comes out as frames (protocol.h) through the `send` given to
// engine_start: during engine_load, engine_call and engine_reply, and at no other time.
#ifndef STOA_RUNTIME_ENGINE_H
#define STOA_RUNTIME_ENGINE_H
#include "edge/base/str.h"
#include "public-actions/runtime/protocol.h"

// One frame whose body is `a` and then `b`; copied before it returns. Does not return when the
// server is gone.
typedef void (*engine_send)(enum worker_frame type, uint8_t flags, uint32_t id, uint32_t ref, str a,
                            str b);

struct engine_stats {
    uint64_t heap_size, heap_capacity; // bytes
};

// Starts the machine and touches what it, ICU and the C library would load or open on first use
// later, when it is forbidden. False when the process was not born with the engine's environment
// (no compiler, no second thread, no WebAssembly, plain malloc), or when the engine does not obey
// it.
bool engine_start(engine_send send);

// The handler's code; once per process. Sends WORKER_LOADED. `first_line`: what its first line is
// counted as, from 1. With `is_fresh` the code is tried now, and run again in a context of its own
// for each call.
void engine_load(str code, unsigned first_line, bool is_fresh);
// A run begins; its body as WORKER_CALL has it. What follows at once, up to the first wait, happens
// in here. `body` of these three: one byte behind it is writable and is overwritten for a moment.
void engine_call(uint32_t run, str body);
// `text`: any bytes, the member "body" of what `body` says; p == NULL: there is none.
void engine_reply(uint32_t call, uint32_t run, bool has_failed, str body, str text);
// Forgets the run: nothing of it is ever entered again, late replies are ignored.
void engine_drop(uint32_t run);

// There is nothing else to do just now: prepares what the next call would wait for.
void engine_idle(void);
// A full collection of garbage.
void engine_collect(void);
void engine_measure(struct engine_stats *ret);
#endif
