// How much each holder (a project, a plugin) has of something that is bounded. Few have any at a
// time, so what is known of one comes with the first and goes with the last. Not locked: its owner
// does that, and decides what is too much.
#ifndef STOA_LIMITS_HOLDINGS_H
#define STOA_LIMITS_HOLDINGS_H
#include <stddef.h>

enum { HOLDER_ROOM = 64 };

struct holding {
    size_t count, bytes;
};
// All zero at the beginning; all zero again when everything is taken out.
struct holdings {
    struct holder *buckets[256];
    struct holding all;
};

// {0} for who has nothing. `holder` is text of fewer than HOLDER_ROOM bytes, an id of ours: nobody
// can choose them to fall into one bucket.
struct holding holdings_of(const struct holdings *h, const char *holder);
// Who holds the most bytes, and what; {0} and "" when nobody holds any. Looks at all of them.
struct holding holdings_most(const struct holdings *h, char ret_holder[static HOLDER_ROOM]);
// One more thing of so many bytes, which may be 0; taken out once with the same two.
void holdings_add(struct holdings *h, const char *holder, size_t bytes);
void holdings_remove(struct holdings *h, const char *holder, size_t bytes);
#endif
