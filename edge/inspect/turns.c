// One list in order of arrival. At every moment nobody in it could have a turn: each turn that is left
// goes to the first whose owner has none, and giving up frees none.
#include "edge/inspect/turns.h"
#include <assert.h>
#include <pthread.h>

static struct {
    pthread_mutex_t lock; // guards the rest, and every turn's members of ours
    struct inspect_turn *held[INSPECT_TURNS_AT_ONCE];
    struct inspect_turn *first;
} turns = {.lock = PTHREAD_MUTEX_INITIALIZER};

// NULL: there is none for them now.
static struct inspect_turn **place_for(str owner)
{
    struct inspect_turn **place = NULL;
    for (size_t i = 0; i != INSPECT_TURNS_AT_ONCE; ++i) {
        if (turns.held[i] == NULL)
            place = &turns.held[i];
        else if (str_eq(turns.held[i]->owner, owner))
            return NULL;
    }
    return place;
}

static void hold(struct inspect_turn **place, struct inspect_turn *t)
{
    *place = t;
    t->_state = INSPECT_TURN_HELD;
}

// False: too many wait already.
static bool enlist(struct inspect_turn *t)
{
    size_t all = 0, own = 0;
    struct inspect_turn **end = &turns.first;
    for (; *end != NULL; end = &(*end)->_next) {
        ++all;
        own += str_eq((*end)->owner, t->owner);
    }
    if (all == INSPECT_TURNS_WAITING || own == INSPECT_TURNS_WAITING_OF_ONE)
        return false;
    t->_next = NULL;
    t->_state = INSPECT_TURN_WAITS;
    *end = t;
    return true;
}

enum fail inspect_turn_take(struct inspect_turn *t, bool *ret_is_now, struct fault *fault)
{
    assert(t->owner.n != 0 && t->on_turn != NULL);
    pthread_mutex_lock(&turns.lock);
    struct inspect_turn **place = place_for(t->owner);
    bool is_taken = place != NULL || (t->_state != INSPECT_TURN_GIVEN_UP && enlist(t));
    if (place != NULL)
        hold(place, t);
    pthread_mutex_unlock(&turns.lock);
    if (!is_taken)
        return fault_set(fault, FAIL_BUSY, "busy",
                         "Many images are coming in just now. Try again shortly.");
    *ret_is_now = place != NULL;
    return FAIL_NONE;
}

// The first in the list that can have a turn has it. NULL: nobody can.
static struct inspect_turn *call_next(void)
{
    for (struct inspect_turn **at = &turns.first; *at != NULL; at = &(*at)->_next) {
        struct inspect_turn *t = *at, **place = place_for(t->owner);
        if (place != NULL) {
            *at = t->_next;
            hold(place, t);
            return t;
        }
    }
    return NULL;
}

void inspect_turn_leave(struct inspect_turn *t)
{
    pthread_mutex_lock(&turns.lock);
    for (size_t i = 0; i != INSPECT_TURNS_AT_ONCE; ++i)
        if (turns.held[i] == t)
            turns.held[i] = NULL;
    t->_state = INSPECT_TURN_NONE;
    struct inspect_turn *next = call_next();
    pthread_mutex_unlock(&turns.lock);
    if (next != NULL)
        next->on_turn(next);
}

bool inspect_turn_give_up(struct inspect_turn *t)
{
    pthread_mutex_lock(&turns.lock);
    bool waited = t->_state == INSPECT_TURN_WAITS;
    if (waited) {
        struct inspect_turn **at = &turns.first;
        while (*at != t)
            at = &(*at)->_next;
        *at = t->_next;
    }
    if (t->_state != INSPECT_TURN_HELD)
        t->_state = INSPECT_TURN_GIVEN_UP;
    pthread_mutex_unlock(&turns.lock);
    return waited;
}
