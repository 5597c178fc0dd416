// The keys that session tickets are sealed under (RFC 5077 §4, RFC 8446 §4.6.1): random, this process's
// own, never written anywhere, and replaced every interval, so that what is recorded today cannot be
// opened by a key found tomorrow. The key before the present one still opens, for one interval more.
// What a ticket may be resumed for is tls.h's.
#ifndef STOA_TLS_TICKETS_H
#define STOA_TLS_TICKETS_H
#include <openssl/ssl.h>
#include <stdint.h>

// `front` is the context that handshakes begin with. Before the loops; the keys are used on their
// threads.
void tls_tickets_init(SSL_CTX *front, uint64_t interval_ms);
// Forgets keys whose time is over, also where nobody shakes hands. Any thread, every now and then.
void tls_tickets_tend(void);
#endif
