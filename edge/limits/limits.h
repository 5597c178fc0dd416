// The one shared mutable table: arrival times (GCRA) and counters of what is held per address, in
// atomics of a fixed size, never resized and never locked. Keys are 64-bit hashes under a random
// key of this process, so that no stranger can aim at a neighbour's slot. Any thread.
#ifndef STOA_LIMITS_LIMITS_H
#define STOA_LIMITS_LIMITS_H
#include <sys/socket.h>
#include "edge/base/str.h"

enum limit_kind { LIMIT_CONNECTIONS = 1, LIMIT_HANDSHAKES };

// Before the first use.
void limits_init(void);
// A key for a kind of limit and whatever it is per.
uint64_t limits_key(enum limit_kind kind, str per);
// The part of an address that one visitor holds: IPv4 whole (also when mapped, NAT64 or 6to4), IPv6
// its /64 (security-rules.md 18). Returns how many bytes of `to` were used.
size_t limits_address(const struct sockaddr *sa, uint8_t to[static 16]);

// Counts one more of it, unless there are `max` already. Every true is given back by one
// limits_leave.
bool limits_enter(uint64_t key, uint32_t max);
void limits_leave(uint64_t key);

// GCRA: true and charged when the event conforms to one per `interval_us` with a burst of `burst`;
// false and *ret_wait_us set otherwise. When every slot it might take is still in force, the event
// is refused: an entry in force is never evicted.
bool limits_conforms(uint64_t key, uint64_t interval_us, uint32_t burst, uint64_t *ret_wait_us);
#endif
