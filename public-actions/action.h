// Public actions: a visitor's anonymous POST runs the handler of the app it came from, and the
// owner's side of the same: widget and tool runs. This is all that edge/server.c sees of the folder
// beside its rooms' own init functions.
#ifndef STOA_ACTIONS_ACTION_H
#define STOA_ACTIONS_ACTION_H
#include "edge/http/service.h"

enum { ACTION_BODY_MAX = 1024 * 1024 }; // of a visitor's JSON

struct action_options {
    const char *apps_origin;                     // "http://127.0.0.1:8080"
    const char *instance_domain;                 // "" or "apps.example.com"
    const char *instance_scheme, *instance_port; // "https", ":8443" or ""
    // What one visitor may upload to one app, unless its owner says otherwise. Not 0.
    uint64_t uploads_per_hour, upload_bytes_per_hour;
};

// Process start, before loops and pool. The options are kept.
void actions_init(const struct action_options *o);
// Visitors: POST /api/public-actions/{instance}/{action}, and …/upload, on the apps origin and on
// instances' own hosts; GET /api/public-apps/self.
struct service *actions_visitors_service(void);
struct service *actions_self_service(void);
// Owners: widget actions and tool runs.
struct service *actions_owners_service(void);
// Runs and uploads under way, whoever still waits for them: a stop lets them finish. Any thread.
size_t actions_running(void);
// What is known of a plugin's instances is forgotten (NOTIFY "stoa_bundles", payload = plugin id),
// or of all (the listening connection was lost and is back). Any thread.
void actions_on_notice(str payload);
void actions_on_listener_back(void);
#endif
