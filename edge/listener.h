// Listeners on a loop: accepting, the limits on connections and handshakes, and what a request's
// connection knows (its certificate).
#ifndef STOA_LISTENER_H
#define STOA_LISTENER_H
#include <h2o.h>
#include "edge/guard/guard.h"
#include "edge/http/request.h"
#include "edge/loop/loop.h"
#include "edge/supervisor.h"

struct listener_limits {
    uint64_t connections, connections_per_address;
    uint64_t handshakes_per_second, handshakes_per_address;
};

// Registers a libh2o host for each kind of listener; every request goes to `on_request`, unless its
// certificate does not cover its authority: that is 421. Before the loops start.
void listener_init(h2o_globalconf_t *config, const struct listener_limits *limits,
                   void (*on_request)(struct request *r));
void listener_set_limits(const struct listener_limits *limits); // at a reload; any thread
// Starts accepting on this loop from dups of the shared sockets. Loop thread.
void listener_start(struct loop *loop, struct guard_loop *guard, const struct listener_fd *list,
                    size_t count);
// Stops accepting on this loop. Loop thread.
void listener_stop(struct loop *loop);

struct listener_counters {
    uint64_t open, accepted, refused_full, refused_address, refused_handshakes;
};
struct listener_counters listener_counters(void); // any thread
#endif
