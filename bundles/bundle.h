// Bundles: deployed public apps. Owners deploy .pie files and archives (endpoints on pool threads); visitors are served from immutable, counted
// values held per loop. This is all that main.c sees of the folder.
#ifndef STOA_BUNDLES_BUNDLE_H
#define STOA_BUNDLES_BUNDLE_H
#include "edge/http/service.h"
#include "edge/store/migrate.h"

struct bundle_options {
    const char *apps_origin;     // "http://127.0.0.1:8080": no path, no trailing slash
    const char *instance_domain; // "" or "apps.example.com"
    const char *
        instance_scheme; // "https" or "http", and the port instance hosts are reached at ("" or ":8443")
    const char *instance_port;
    bool shared_origin; // security-rules.md 11 softened
    uint64_t cache_bytes;
    uint64_t pie_bytes, archive_files, archive_file_bytes, archive_bytes;
    uint64_t keep_deployments; // of one plugin; 0: all
    uint64_t quota_bytes;      // of one project's deployments (deployments.h); 0: no limit
    uint64_t plugins_per_project, instances_per_plugin;
};

// Process start, before loops and pool. The options are kept.
void bundles_init(const struct bundle_options *o);
struct service *bundles_api_service(void);   // management endpoints
struct service *bundles_pages_service(void); // visitors' pages on SITE_APPS below /apps/
struct service *bundles_hosts_service(void); // … and on SITE_INSTANCE, SITE_PREVIEW at /

// The serving cache is told what changed (NOTIFY "stoa_bundles", payload = plugin id) and that the listening connection was lost and is back
// (everything cached is checked again). Listener thread.
void bundles_on_notice(str payload);
void bundles_on_listener_back(void);
// Blobs that no row names and that are a day old go; superseded compression goes in. Scheduler, on an ingest thread.
void bundles_collect(void);

extern const struct migration bundles_migrations[];
extern const size_t bundles_migration_count;
#endif
