// Whose turn it is to have an image cleaned. A process may take 400 MiB for the largest images, so that
// two work at once, one of an owner's. Whoever comes while there is none for him waits in a list here
// and in no thread: those of the pool are everybody's, and he who sends many images waits behind
// himself alone.
#ifndef STOA_INSPECT_TURNS_H
#define STOA_INSPECT_TURNS_H
#include "edge/base/fail.h"

enum { INSPECT_TURNS_AT_ONCE = 2, INSPECT_TURNS_WAITING_OF_ONE = 4, INSPECT_TURNS_WAITING = 64 };

// Embed it; zero it; fill in the first part, which stays as it is, as does the memory, until the turn
// is left, refused or given up.
struct inspect_turn {
    str owner; // any name, not empty
    // A turn that was waited for has come. Once; on the thread of whoever left, perhaps from inside
    // inspect_turn_leave, perhaps before inspect_turn_take is back: must not block.
    void (*on_turn)(struct inspect_turn *t);
    struct inspect_turn *_next;
    enum { INSPECT_TURN_NONE, INSPECT_TURN_WAITS, INSPECT_TURN_HELD, INSPECT_TURN_GIVEN_UP } _state;
};

// Any thread, all three.
// FAIL_NONE: *ret_is_now says whether the turn has come; else on_turn will be called, unless it is
// given up, and what belongs to the turn may be in other hands already. FAIL_BUSY "busy": too many wait
// (of this owner, or of all), or it was given up before and would have to wait.
enum fail inspect_turn_take(struct inspect_turn *t, bool *ret_is_now,
                            struct fault *fault) MUST_CHECK;
// After inspect_clean_image; whoever is next has his.
void inspect_turn_leave(struct inspect_turn *t);
// True: it waited, and on_turn will not be called. False: it does not wait now, and will not be let
// wait later; one that has come stays.
bool inspect_turn_give_up(struct inspect_turn *t) MUST_CHECK;
#endif
