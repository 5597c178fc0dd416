// A handler worker played with: the real program over a socketpair, frames in and out.
#ifndef TEST_RUNTIME_PLAYER_H
#define TEST_RUNTIME_PLAYER_H
#include <sys/types.h>
#include "edge/base/str.h"
#include "public-actions/runtime/protocol.h"

// Which program: the one shipped (caged), unless a test is told another.
extern const char *player_program;

struct player {
    pid_t pid;
    int fd;
    struct worker_frame_head head; // of the last frame read …
    char *body;                    // … and its body, NUL-terminated
};

// Starts it and takes WORKER_READY.
void player_start(struct player *p);
// Waits for its end, killing it first when `is_killed`; the wait status.
int player_stop(struct player *p, bool is_killed);

void player_send(struct player *p, enum worker_frame type, uint8_t flags, uint32_t id, uint32_t ref,
                 str body);
// The next frame's type; 0 when the worker has closed its end. Fails the test after a minute.
unsigned player_read(struct player *p);
// The next frame, which must be of this type.
void player_expect(struct player *p, unsigned type);
// … after those of other types.
void player_skip_to(struct player *p, unsigned type);

// Loads code that loads.
void player_load(struct player *p, const char *code, bool is_fresh);
// Calls `handler` as a public run does.
void player_call(struct player *p, uint32_t run, const char *input_json);
// The result's data, NUL-terminated, or of a failure its meta.
const char *player_data(const struct player *p);
bool player_has_failed(const struct player *p);
// Its own memory in KiB (RssAnon), and the number of threads.
long player_memory(const struct player *p);
long player_threads(const struct player *p);
#endif
