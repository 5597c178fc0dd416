// What keeps the exchange from being tried at will: failures are counted, by address (an IPv6 /64 is
// one) and by key, and whoever has too many waits. Nobody is locked out by what others do: failures on
// a key never refuse an address that has none itself; they only make the second and third mistake of
// an address on that key dearer while the key is being tried. A good token is taken 120 times at once
// and then every five seconds: each time leaves a row in the trail, which nothing ever clears. Any
// thread.
#ifndef STOA_EMBED_THROTTLE_H
#define STOA_EMBED_THROTTLE_H
#include "edge/base/digest.h"
#include "edge/base/fail.h"
#include "edge/base/ip.h"

// Whether the address may try at all, before anything is looked at; else seconds until it may.
bool throttle_admits(const struct ip *address, unsigned *ret_wait_s);
// Whether it may try with this key, before its signature is checked.
bool throttle_admits_with(const struct ip *address, const char *key_id, unsigned *ret_wait_s);
// It failed. `key_id` is NULL when it named no key of ours.
void throttle_failed(const struct ip *address, const char *key_id);
// Charges one exchange of a token that was found good, by the digest of what was signed.
bool throttle_takes(const struct digest *token, unsigned *ret_wait_s);
// The visitor's address as limits count by; none (n = 0) for text that is no address.
struct ip throttle_address(str peer);
#endif
