// Who has calls that take long has one of them run at a time, and the next when all who waited
// before have had theirs: each call that ends lets its holder's next one into the lane's queue, at
// the end. So one holder's slow calls hold up its own. Any thread.
#ifndef STOA_HTTP_MANAGEMENT_TURNS_H
#define STOA_HTTP_MANAGEMENT_TURNS_H
#include "edge/loop/loop.h"

enum { TURNS_WAITING_MAX = 8, TURN_HOLDER_ROOM = 40 };

// Embed it, zeroed, with `begin` set; it must stay until its end.
struct management_turn {
    void (*begin)(struct management_turn *t); // on the loop that asked
    char _holder[TURN_HOLDER_ROOM];           // "": it has none
    struct loop *_loop;
    struct loop_message _wake;
    struct management_turn *_next;
};

enum turn_answer {
    TURN_NOW,      // `begin` is the caller's to call
    TURN_LATER,    // it will be called
    TURN_TOO_MANY, // nothing was taken: TURNS_WAITING_MAX of the holder's wait already
};
// Loop thread. `holder` is an id, not empty.
enum turn_answer management_turn_ask(struct management_turn *t, const char *holder);
// Also of one that never had a turn.
void management_turn_end(struct management_turn *t);
#endif
