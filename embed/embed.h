// Embedding the builder in other products: platforms and their signing keys, the exchange of their
// provisioning tokens, the catalogue and connections, the page that is framed and the script that
// frames it. Each service is a room of its own: platforms.c, keys.c with exchange.c, catalogue.c
// with connections.c, page.c with sdk.c.
#ifndef STOA_EMBED_EMBED_H
#define STOA_EMBED_EMBED_H
#include "edge/http/service.h"
#include "edge/store/migrate.h"

extern const struct migration embed_migrations[];
extern const size_t embed_migration_count;

// Platforms, their projects and users, and the audit trail.
struct service *embed_platforms_service(void);

// The page that hosts frame, and the SDK that frames it (docs/embedding.md). The origin is kept; it
// stands in what /sdk/embed/latest.json tells to paste.
void embed_sdk_init(const char *console_origin);
struct service *embed_page_service(void);
struct service *embed_sdk_service(void);

// Signing keys, and the exchange of what they sign (docs/embedding.md, "Signing keys and tokens").
struct service *embed_keys_service(void);
// For management_check_origins_by.
enum fail embed_check_origin(const struct principal *p, str origin, struct fault *fault) MUST_CHECK;
// For session_lock_keys_by. FAIL_NOT_FOUND "signing_key_not_found".
enum fail embed_lock_key(struct db *db, const char *platform_id, str key_id,
                         struct fault *fault) MUST_CHECK;
// Channel "stoa_embed".
void embed_keys_on_notice(str payload);
void embed_keys_on_listener_back(void);
void embed_keys_tend(void); // every minute: refused exchanges are written to the trail
void embed_keys_stop(void); // what is still held of them

// The catalogue, a project's apps and its connections. Strings are kept.
struct embed_catalogue_options {
    const char *apps_origin, *instance_domain;
    const char *instance_scheme, *instance_port; // as bundles have them
};
void embed_catalogue_init(const struct embed_catalogue_options *o);
struct service *embed_catalogue_service(void);
void embed_connections_tend(void); // seals again what an older master key holds; hourly
#endif
