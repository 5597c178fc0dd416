// TLS: certificates by SNI, ALPN, and the check that a certificate covers the authority asked for.
// The operator's certificates are here, those of custom domains in tls_domains.h, the keys of session
// tickets in tls_tickets.h. Set up before the loops; tls_replace at a reload; the rest on loop threads.
#ifndef STOA_TLS_H
#define STOA_TLS_H
#include <openssl/ssl.h>
#include "edge/settings.h"

// Reads the PEM texts. The certificate that covers `fallback_host` (else the first) answers
// handshakes without SNI. A ticket opens for one to two `ticket_interval_ms`.
enum fail tls_init(const struct settings_certificate *list, size_t count, str fallback_host,
                   uint64_t ticket_interval_ms, struct fault *fault) MUST_CHECK;
// The same again with new ones; connections that are open keep theirs. On failure nothing changes.
enum fail tls_replace(const struct settings_certificate *list, size_t count, str fallback_host,
                      struct fault *fault) MUST_CHECK;
// What the listeners hand to libh2o. A session is resumed under the certificate it was made with
// and no other; whom it may ask for is tls_covers's to say, per request, never per session.
SSL_CTX *tls_context(void);
// Whether the certificate this connection presented is one for `host` (RFC 9110 §7.4: 421
// otherwise). A custom domain's is for the name of the handshake only, whatever else an owner's own
// certificate names: other names below it may be other owners'.
bool tls_covers(SSL *ssl, str host);
// Called on the loop's thread when a handshake has said its name: tells the listener which SSL
// belongs to which socket.
extern void (*tls_on_hello)(SSL *ssl, void *h2o_socket);
#endif
