// Files from strangers and from handlers: checked in a cage, kept once a project, given back by
// signed links. This is all that edge/features.c sees of the folder; other features reach it through
// edge/catalog/files.h.
#ifndef STOA_UPLOADS_UPLOAD_H
#define STOA_UPLOADS_UPLOAD_H
#include "edge/http/service.h"
#include "edge/store/migrate.h"

struct uploads_options {
    const char *apps_origin;                     // "http://127.0.0.1:8080"
    const char *files_origin;                    // "": the instance's own, else the apps origin
    const char *instance_domain;                 // "" or "apps.example.com"
    const char *instance_scheme, *instance_port; // "https", ":8443" or ""
    uint64_t quota_bytes, quota_files;           // of one plugin and owner
    uint64_t files_per_hour, bytes_per_hour;     // of a visitor; counted elsewhere, shown to owners
    uint32_t keep_days;                          // of visitors' uploads; 0: for ever
    // What the instance's owner says instead; 0: nothing. Pool threads.
    uint32_t (*keep_days_of)(struct db *db, const char *instance_id);
};

// Process start, before loops and pool; the options are kept. Registers with catalog/files.h and
// catalog/hooks.h (what goes with a plugin, what keeps its blobs).
void uploads_init(const struct uploads_options *o);
// Owners: /api/files….
struct service *uploads_owners_service(void);
// Everybody with a link: /files/{id}/{name}, on the apps origin, instances' own hosts, files_origin.
struct service *uploads_links_service(void);
void uploads_collect(void); // the scheduler's task: what is over its time is deleted
extern const struct migration uploads_migrations[];
extern const size_t uploads_migration_count;
#endif
