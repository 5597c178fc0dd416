// A worker's life past the door: frames in, one after the other, and what they cause out, many of
// them in one write. No event loop: all waiting is the server's.
#ifndef STOA_RUNTIME_WORKER_H
#define STOA_RUNTIME_WORKER_H
#include "edge/base/str.h"
#include "public-actions/runtime/protocol.h"

// To be given to engine_start: collects frames for the descriptor that worker_serve is given.
void worker_send(enum worker_frame type, uint8_t flags, uint32_t id, uint32_t ref, str a, str b);

// Says WORKER_READY with `layers` and serves until the server closes the socket: true then, false
// when it said nonsense.
bool worker_serve(int fd, unsigned layers);
#endif
