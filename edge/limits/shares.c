#include "edge/limits/shares.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include "edge/limits/limits.h"

enum { KEPT_PART = 4, NETWORK_PARTS = 2 }; // one of so many; so many times what is left

struct share_holder share_holder_of_address(const struct ip *visitor)
{
    return (struct share_holder){.holder = limits_key(LIMIT_SHARE_ADDRESS, limits_visitor(visitor)),
                                 .network =
                                     limits_key(LIMIT_SHARE_NETWORK, limits_network(visitor))};
}

struct share_holder share_holder_of_project(uint64_t project)
{
    return (struct share_holder){.holder = project, .is_known = true};
}

static void name_of(uint64_t number, char to[static HOLDER_ROOM])
{
    snprintf(to, HOLDER_ROOM, "%016" PRIx64, number);
}

static uint64_t held(const struct holdings *h, uint64_t number)
{
    char name[HOLDER_ROOM];
    name_of(number, name);
    return holdings_of(h, name).bytes;
}

static void change(struct holdings *h, uint64_t number, uint64_t from, uint64_t to)
{
    char name[HOLDER_ROOM];
    name_of(number, name);
    if (from != 0)
        holdings_remove(h, name, from);
    if (to != 0)
        holdings_add(h, name, to);
    struct holding has = holdings_of(h, name);
    assert((has.count == 0) == (has.bytes == 0)); // who holds nothing is not known any more
}

// What strangers may hold together is less than what there is.
static enum share_answer look_at_stranger(const struct shares *s, const struct share_holder *who,
                                          uint64_t more, uint64_t total, uint64_t alone)
{
    uint64_t most = total - total / KEPT_PART, all = s->of_strangers + more;
    if (all > most)
        return SHARE_NO_ROOM;
    uint64_t left = most - all, has = held(&s->holders, who->holder) + more,
             network = held(&s->networks, who->network) + more;
    bool fits = (has <= left && network / NETWORK_PARTS <= left) || (has == all && has <= alone);
    return fits ? SHARE_FITS : SHARE_TOO_MUCH;
}

static enum share_answer look(const struct shares *s, const struct share_holder *who, uint64_t from,
                              uint64_t to, uint64_t total, uint64_t alone)
{
    if (to <= from)
        return SHARE_FITS;
    uint64_t more = to - from, all = s->all + more;
    if (all > total)
        return SHARE_NO_ROOM;
    if (who->holder == 0)
        return SHARE_FITS;
    if (!who->is_known)
        return look_at_stranger(s, who, more, total, alone);
    uint64_t has = held(&s->holders, who->holder) + more;
    return has <= total - all || has <= alone ? SHARE_FITS : SHARE_TOO_MUCH;
}

static void set(struct shares *s, const struct share_holder *who, uint64_t from, uint64_t to)
{
    s->all = s->all - from + to;
    if (who->holder == 0)
        return;
    change(&s->holders, who->holder, from, to);
    if (who->is_known)
        return;
    s->of_strangers = s->of_strangers - from + to;
    change(&s->networks, who->network, from, to);
}

enum share_answer shares_change(struct shares *s, const struct share_holder *who, uint64_t from,
                                uint64_t to, uint64_t total, uint64_t alone)
{
    pthread_mutex_lock(&s->lock);
    enum share_answer answer = look(s, who, from, to, total, alone);
    if (answer == SHARE_FITS)
        set(s, who, from, to);
    pthread_mutex_unlock(&s->lock);
    return answer;
}

enum share_answer shares_look(struct shares *s, const struct share_holder *who, uint64_t from,
                              uint64_t to, uint64_t total, uint64_t alone)
{
    pthread_mutex_lock(&s->lock);
    enum share_answer answer = look(s, who, from, to, total, alone);
    pthread_mutex_unlock(&s->lock);
    return answer;
}

void shares_set(struct shares *s, const struct share_holder *who, uint64_t from, uint64_t to)
{
    pthread_mutex_lock(&s->lock);
    set(s, who, from, to);
    pthread_mutex_unlock(&s->lock);
}
