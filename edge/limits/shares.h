// Parts of something of which there is so much and no more, and which strangers hold for as long as
// they please. Nobody may hold more than is then left for others, so k who take all they get leave
// as much again to whoever comes next: a fixed part each would be used up by as many as there are
// parts. Addresses of one network (/24, /48) have twice what is left together, for whoever has many
// addresses has them in few networks. Who shows a credential that has been good lately has a quarter
// that strangers cannot take, and his parts are his project's, wherever he comes from. Any thread.
#ifndef STOA_LIMITS_SHARES_H
#define STOA_LIMITS_SHARES_H
#include <pthread.h>
#include <stdint.h>
#include "edge/base/ip.h"
#include "edge/limits/holdings.h"

// Who holds. Numbers that nobody can choose; `holder` 0: nobody in particular, whose share is not
// looked at.
struct share_holder {
    uint64_t holder, network;
    bool is_known;
};
// Of a visitor's address, normalised; of a credential's project.
struct share_holder share_holder_of_address(const struct ip *visitor);
struct share_holder share_holder_of_project(uint64_t project);

struct shares {
    pthread_mutex_t lock; // guards the rest
    struct holdings holders, networks;
    uint64_t all, of_strangers;
};
#define SHARES_INITIALIZER                                                                         \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER                                                          \
    }

enum share_answer {
    SHARE_FITS,
    SHARE_NO_ROOM, // there is not so much left
    SHARE_TOO_MUCH // for this holder
};
// One thing of the holder's has `to` bytes in place of `from`, either of which may be 0: a thing has
// at least a byte. `total` is what there is; `alone` is had by whoever is alone, if it is so large
// a part of it. What grows less always fits.
enum share_answer shares_change(struct shares *s, const struct share_holder *who, uint64_t from,
                                uint64_t to, uint64_t total, uint64_t alone);
// The same, but nothing is changed; and changed whatever the answer would be.
enum share_answer shares_look(struct shares *s, const struct share_holder *who, uint64_t from,
                              uint64_t to, uint64_t total, uint64_t alone);
void shares_set(struct shares *s, const struct share_holder *who, uint64_t from, uint64_t to);
#endif
