// Custom domains' certificates, parsed: a few of them are kept per loop, least recently used first to go,
// and filled in the client-hello callback itself: opening the key and parsing take about 1 ms (measured:
// docs/domains.md), less than the handshake itself on most networks. A name nobody has costs a look
// into a table.
#ifndef STOA_TLS_DOMAINS_H
#define STOA_TLS_DOMAINS_H
#include <openssl/ssl.h>
#include "edge/base/str.h"

// Gives the connection the certificate of that domain (as the client sent the name). False when there is
// none, or it cannot be used (logged). Loop thread, in the client-hello callback.
bool tls_domains_use(SSL *ssl, str name);
#endif
