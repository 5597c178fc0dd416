// One list of all that run or wait, in the order they asked: deploys are few, and bodies bounded.
#include "edge/http/management_turns.h"
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // guards the list
static struct management_turn *first;

static void on_wake(struct loop_message *m)
{
    struct management_turn *t =
        (struct management_turn *)((char *)m - offsetof(struct management_turn, _wake));
    t->begin(t);
}

enum turn_answer management_turn_ask(struct management_turn *t, const char *holder)
{
    unsigned others = 0;
    struct management_turn **last = &first;
    assert(holder[0] != '\0' && strlen(holder) < sizeof t->_holder);
    pthread_mutex_lock(&lock);
    for (; *last != NULL; last = &(*last)->_next)
        others += strcmp((*last)->_holder, holder) == 0;
    if (others <= TURNS_WAITING_MAX) {
        snprintf(t->_holder, sizeof t->_holder, "%s", holder);
        t->_loop = loop_self();
        t->_wake.run = on_wake;
        t->_next = NULL;
        *last = t;
    }
    pthread_mutex_unlock(&lock);
    return others == 0 ? TURN_NOW : others <= TURNS_WAITING_MAX ? TURN_LATER : TURN_TOO_MANY;
}

// The holder's first is the one that runs, so `t` stands before those that wait.
void management_turn_end(struct management_turn *t)
{
    if (t->_holder[0] == '\0')
        return;
    pthread_mutex_lock(&lock);
    struct management_turn **at = &first;
    while (*at != t)
        at = &(*at)->_next;
    struct management_turn *next = *at = t->_next;
    while (next != NULL && strcmp(next->_holder, t->_holder) != 0)
        next = next->_next;
    pthread_mutex_unlock(&lock);
    t->_holder[0] = '\0';
    if (next != NULL)
        loop_post(next->_loop, &next->_wake); // it waits, so it stays
}
