// The one shared mutable table: arrival times (GCRA) and counters of what is held per address, in
// atomics of a fixed size, never resized and never locked. Keys are 64-bit hashes under a random
// key of this process, so that no stranger can aim at a neighbour's slot. Any thread.
//
// GCRA, the leaky bucket without a bucket: a key's word is the time at which all that was charged
// to it will have drained. A charge conforms while that lies no further ahead than its burst takes
// to drain. Room: 2,097,152 keys in force at once (16 MiB, touched pages only), four times what
// 100,000 visitors hold; a key is in force only until its burst is whole again. An entry in force is
// never evicted: when all sixteen places of a key's set are, its charge is refused.
#ifndef STOA_LIMITS_LIMITS_H
#define STOA_LIMITS_LIMITS_H
#include "edge/base/ip.h"

enum limit_kind {
    LIMIT_CONNECTIONS = 1,
    LIMIT_HANDSHAKES,
    LIMIT_NETWORK_CONNECTIONS,
    LIMIT_NETWORK_HANDSHAKES,
    LIMIT_VISITOR, // of an instance, whatever they do there
    LIMIT_ACTION,
    LIMIT_NETWORK, // a /24 or /48
    LIMIT_INSTANCE,
    LIMIT_UPLOAD_FILES,
    LIMIT_UPLOAD_BYTES,
    LIMIT_SHARE_ADDRESS, // of what is shared: shares.h
    LIMIT_SHARE_NETWORK,
    LIMIT_RUN_TEXT, // of a project
    LIMIT_OTHER
};

// Before the first use.
void limits_init(void);
// A key for a kind of limit and whatever it is per: parts of at most 255 bytes, 480 together.
uint64_t limits_key(enum limit_kind kind, str per);
uint64_t limits_key_of(enum limit_kind kind, const str *parts, size_t count);
// The part of an address, normalised (ip_normalise), that one visitor holds: IPv4 whole, IPv6 its
// /64 (security-rules.md 18); and the network around it: IPv4 /24, IPv6 /48. They borrow from `a`.
str limits_visitor(const struct ip *a);
str limits_network(const struct ip *a);

// Counts one more of it, unless there are `max` already. Every true is given back by one
// limits_leave.
bool limits_enter(uint64_t key, uint32_t max);
void limits_leave(uint64_t key);
// The same for `n` of it at once, which may be given back in other portions.
bool limits_enter_many(uint64_t key, uint32_t n, uint32_t max);
void limits_leave_many(uint64_t key, uint32_t n);

// GCRA: true and charged when the event conforms to one per `interval_us` with a burst of `burst`;
// false and *ret_wait_us set otherwise.
bool limits_conforms(uint64_t key, uint64_t interval_us, uint32_t burst, uint64_t *ret_wait_us);
// The same without charging anything: for what is charged only when it turns out badly. A key for
// which there is no place has nothing charged to it.
bool limits_would_conform(uint64_t key, uint64_t interval_us, uint32_t burst,
                          uint64_t *ret_wait_us);

// `quota` units in `window_s` seconds, evenly, of which `burst` may come at once. Held within 10 %
// up to 375,000 units a minute each charged alone; a charge of many units is exact. A burst that
// takes more than a year to drain is cut to that.
struct limit_policy {
    const char *name; // a literal of [a-z0-9-], for the headers
    uint64_t quota;   // not 0
    uint64_t burst;   // not 0
    uint32_t window_s;
    bool is_bytes;  // units are bytes of content, not requests
    bool is_shared; // with strangers: told only when it refuses, for others' doings are private
};

struct limit_check {
    uint64_t key;
    struct limit_policy policy;
    uint64_t cost; // units; 0 is one
    // Answers:
    bool allowed;
    uint64_t remaining; // units that would conform now, after this charge
    // Seconds, rounded up. Refused: until this charge would conform. Else, nothing remaining: until
    // one unit does. Else: until the burst is whole.
    uint32_t reset_s;
};

// Charges all of them, or, when one does not conform, none: what was refused costs its sender
// nothing more, and fills no table. The answers of all are set either way; in case of a refusal
// `allowed` is false for each that does not conform. Order matters to threads only: a charge that
// loses a race for the last unit is taken back from those before it, so put what is contended last.
bool limits_charge(struct limit_check *checks, size_t count);

// Field values of draft-ietf-httpapi-ratelimit-headers-11 (structured fields, RFC 9651):
//   RateLimit-Policy: "action";q=60;w=60, "bytes";q=104857600;qu="content-bytes";w=3600
//   RateLimit: "action";r=29;t=1
// *ret_retry_after is the largest `t` among those that refused, 0 when none did: Retry-After is
// then never earlier than any of them.
enum { LIMITS_HEADER_ROOM = 512, LIMITS_HEADER_CHECKS = 6 };
void limits_headers(const struct limit_check *checks, size_t count,
                    char policy[static LIMITS_HEADER_ROOM], char state[static LIMITS_HEADER_ROOM],
                    uint32_t *ret_retry_after);
#endif
