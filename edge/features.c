// A table of contents: what each feature is told at the start, and what it brings.
#include "edge/features.h"
#include <assert.h>
#include <stdio.h>
#include "bundles/bundle.h"
#include "domains/domain.h"
#include "edge/auth/auth.h"
#include "edge/auth/sessions.h"
#include "edge/base/log.h"
#include "edge/catalog/catalog.h"
#include "edge/client/fetch.h"
#include "edge/http/management.h"
#include "edge/http/openapi.h"
#include "edge/http/request.h"
#include "edge/inspect/inspect.h"
#include "edge/route/domain_rules.h"
#include "edge/route/router.h"
#include "edge/route/site.h"
#include "edge/scheduler.h"
#include "edge/tls_tickets.h"
#include "embed/embed.h"
#include "public-actions/action.h"
#include "public-actions/managed_db/managed_db.h"
#include "public-actions/owner_settings/owner_settings.h"
#include "public-actions/plugin/plugin.h"
#include "public-actions/runs/runs.h"
#include "uploads/upload.h"

enum { MIGRATIONS_MAX = 128, ARCHIVE_SPARES = 2, HOUR_MS = 60 * 60 * 1000 };

// --- tables ---

const struct migration *features_migrations(size_t *ret_count)
{
    static const struct {
        const struct migration *list;
        const size_t *count;
    } features[] = {{catalog_migrations, &catalog_migration_count},
                    {auth_migrations, &auth_migration_count},
                    {bundles_migrations, &bundles_migration_count},
                    {managed_db_migrations, &managed_db_migration_count},
                    {owner_settings_migrations, &owner_settings_migration_count},
                    {runs_migrations, &runs_migration_count},
                    {uploads_migrations, &uploads_migration_count},
                    {domains_migrations, &domains_migration_count},
                    {embed_migrations, &embed_migration_count}};
    static struct migration all[MIGRATIONS_MAX];
    size_t n = 0;
    for (size_t f = 0; f != sizeof features / sizeof features[0]; ++f)
        for (size_t i = 0; i != *features[f].count; ++i) {
            assert(n != MIGRATIONS_MAX);
            all[n++] = features[f].list[i];
        }
    *ret_count = n;
    return all;
}

// --- options ---

// The scheme and port instances' own hosts are reached at: as the apps origin is.
static const char *instance_scheme, *instance_port;

static void find_instance_origin(const struct settings *s)
{
    static char port[8];
    bool is_tls;
    str host;
    uint16_t number;
    if (site_parse_origin(s->apps_origin, &is_tls, &host, &number) && number != (is_tls ? 443 : 80))
        snprintf(port, sizeof port, ":%u", number);
    instance_scheme = str_starts(str_from(s->apps_origin), STR("https:")) ? "https" : "http";
    instance_port = port;
}

static void init_bundles(const struct settings *s)
{
    bundles_init(&(struct bundle_options){
        .apps_origin = s->apps_origin,
        .instance_domain = s->instance_domain,
        .instance_scheme = instance_scheme,
        .instance_port = instance_port,
        .shared_origin = s->shared_origin,
        .cache_bytes = s->cache_bytes,
        .pie_bytes = s->pie_bytes,
        .archive_files = s->archive_files,
        .archive_file_bytes = s->archive_file_bytes,
        .archive_bytes = s->archive_bytes,
        .keep_deployments = s->keep_deployments,
        .quota_bytes = s->deploy_quota_bytes,
        .plugins_per_project = s->plugins_per_project,
        .instances_per_plugin = s->instances_per_plugin,
    });
}

// "apps 127.0.0.1:1\nconsole [::1]:2\n" as "127.0.0.1:1,[::1]:2,".
static char *listener_addresses(str listeners)
{
    struct buf b;
    buf_init(&b, 64 << 10);
    while (listeners.n != 0) {
        str line = str_cut(&listeners, '\n');
        str_cut(&line, ' ');
        buf_add(&b, line);
        buf_addc(&b, ',');
    }
    return buf_take(&b);
}

static void init_client(const struct settings *s)
{
    AUTOFREE char *own = listener_addresses(str_from(s->listeners));
    static char cdn_loop[128]; // ours among all Stoas': RFC 8586 wants a name of our own
    bool is_tls;
    str host = STR("localhost");
    uint16_t port = 0;
    if (site_parse_origin(s->apps_origin, &is_tls, &host, &port))
        snprintf(cdn_loop, sizeof cdn_loop, "stoa-%.*s-%u", (int)(host.n < 90 ? host.n : 90),
                 host.p, port);
    http_set_cdn_loop(cdn_loop);
    fetch_init(&(struct fetch_options){
        .cdn_loop = cdn_loop, .own_listeners = own, .allow = s->fetch_allow});
}

static void init_managed_db(const struct settings *s)
{
    managed_db_init(&(struct managed_db_options){
        .url = s->plugin_database,
        .provision_url = s->plugin_database_provision[0] != '\0' ? s->plugin_database_provision
                                                                 : s->plugin_database,
        .is_private = s->has_private_plugins,
        .is_shared_accepted = s->plugin_database_shared,
        .has_functions = str_eq(str_from(s->managed_db_functions), STR("on")),
        .connections = s->managed_db_connections,
        .connections_per_project = s->managed_db_connections_per_project,
        .connections_per_plugin = s->managed_db_connections_per_plugin,
        .project_bytes = s->managed_db_project_bytes,
    });
}

static uint32_t keep_days_of(struct db *db, const char *instance_id)
{
    struct instance_settings settings;
    if (instance_settings_load(db, instance_id, &settings, NULL) != FAIL_NONE)
        return 0;
    uint32_t days = settings.keep_run_days;
    instance_settings_fini(&settings);
    return days;
}

static void init_actions(const struct settings *s)
{
    plugin_init(&(struct plugin_options){.worker_memory = s->worker_memory,
                                         .workers_memory = s->workers_memory,
                                         .busy_ms = s->handler_busy,
                                         .queue_runs = s->handler_queue,
                                         .spares = s->handler_spares});
    owner_settings_init(&(struct owner_settings_options){.apps_origin = s->apps_origin});
    runs_init(&(struct runs_options){.database = s->database,
                                     .keep_days = s->keep_run_days,
                                     .keep_rows = s->keep_runs,
                                     .log_bytes_per_day = s->run_log_bytes_per_day,
                                     .keep_days_of = keep_days_of});
    static struct action_options options;
    options = (struct action_options){.apps_origin = s->apps_origin,
                                      .instance_domain = s->instance_domain,
                                      .instance_scheme = instance_scheme,
                                      .instance_port = instance_port,
                                      .uploads_per_hour = s->uploads_per_hour,
                                      .upload_bytes_per_hour = s->upload_bytes_per_hour};
    actions_init(&options);
}

static uint32_t keep_upload_days_of(struct db *db, const char *instance_id)
{
    struct instance_settings settings;
    if (instance_settings_load(db, instance_id, &settings, NULL) != FAIL_NONE)
        return 0;
    uint32_t days = settings.keep_upload_days;
    instance_settings_fini(&settings);
    return days;
}

static void init_uploads(const struct settings *s)
{
    static struct uploads_options options;
    options = (struct uploads_options){.apps_origin = s->apps_origin,
                                       .files_origin = s->files_origin,
                                       .instance_domain = s->instance_domain,
                                       .instance_scheme = instance_scheme,
                                       .instance_port = instance_port,
                                       .quota_bytes = s->upload_quota_bytes,
                                       .quota_files = s->upload_quota_files,
                                       .files_per_hour = s->uploads_per_hour,
                                       .bytes_per_hour = s->upload_bytes_per_hour,
                                       .keep_days = (uint32_t)s->keep_upload_days,
                                       .keep_days_of = keep_upload_days_of};
    uploads_init(&options);
}

// Where a domain's https:// is: as the apps origin's, or else the TLS listener's own port.
static void init_domain_rules(const struct settings *s)
{
    static char port[8];
    str rest = str_from(s->listeners);
    bool is_behind = str_eq(str_from(instance_scheme), STR("https"));
    snprintf(port, sizeof port, "%s", is_behind ? instance_port : "");
    while (!is_behind && port[0] == '\0' && rest.n != 0) {
        str line = str_cut(&rest, '\n');
        size_t colon = line.n;
        while (colon != 0 && line.p[colon - 1] != ':')
            --colon;
        str number = str_skip(line, colon);
        if (str_starts(line, STR("tls ")) && !str_eq(number, STR("443")))
            snprintf(port, sizeof port, ":%.*s", STR_FMT(number));
    }
    domain_rules_init(s->listen_tls[0] != '\0' ? port : NULL);
}

static struct fault domains_fault; // said by features_check

static void init_domains(const struct settings *s)
{
    static struct domains_options options;
    options = (struct domains_options){.apps_origin = s->apps_origin,
                                       .console_origin = s->console_origin,
                                       .files_origin = s->files_origin,
                                       .instance_domain = s->instance_domain,
                                       .addresses = s->domain_addresses,
                                       .reserved = s->reserved_names,
                                       .dns_forwarders = s->dns_forwarders,
                                       .dns_root_hints = s->dns_root_hints,
                                       .dns_trust_anchor = s->dns_trust_anchor};
    if (domains_init(&options, &domains_fault) != FAIL_NONE)
        domains_fault.fail = FAIL_REFUSED;
    init_domain_rules(s);
    static struct domains_acme_options acme;
    acme = (struct domains_acme_options){.directory = s->acme_directory,
                                         .contact = s->acme_contact,
                                         .ca_file = s->acme_ca_file,
                                         .caa = s->acme_caa,
                                         .eab_kid = s->acme_eab_kid,
                                         .eab_key = s->acme_eab_key,
                                         .has_tls = s->listen_tls[0] != '\0'};
    certificates_init(&acme);
    router_answer_challenges_by(challenges_answer);
}

static void init_sessions(const struct settings *s)
{
    bool is_rsa = str_eq(str_from(s->session_algorithm), STR("RS256"));
    session_init(&(struct session_options){.console_origin = s->console_origin,
                                           .seconds = (int64_t)s->session_seconds,
                                           .kind = is_rsa ? JOSE_RS256 : JOSE_ES256});
}

static void init_catalogue(const struct settings *s)
{
    embed_catalogue_init(&(struct embed_catalogue_options){.apps_origin = s->apps_origin,
                                                           .instance_domain = s->instance_domain,
                                                           .instance_scheme = instance_scheme,
                                                           .instance_port = instance_port});
}

void features_init(const struct settings *s)
{
    static struct service auth = {.name = "auth"}, documents = {.name = "documents"};
    auth.endpoints = auth_endpoints;
    auth.endpoint_count = auth_endpoint_count;
    auth.schemas = auth_schemas;
    documents.endpoints = openapi_endpoints;
    documents.endpoint_count = openapi_endpoint_count;
    find_instance_origin(s);
    inspect_init(ARCHIVE_SPARES, &inspect_from_cage);
    init_bundles(s);
    init_client(s);
    init_managed_db(s);
    init_actions(s);
    init_uploads(s);
    init_domains(s);
    init_sessions(s);
    router_add(bundles_api_service());
    router_add(bundles_pages_service());
    router_add(bundles_hosts_service());
    router_add(managed_db_service());
    router_add(owner_settings_service());
    router_add(runs_service());
    router_add(actions_owners_service());
    router_add(actions_visitors_service());
    router_add(actions_self_service());
    router_add(uploads_owners_service());
    router_add(uploads_links_service());
    router_add(domains_service());
    init_catalogue(s);
    router_add(embed_catalogue_service());
    embed_sdk_init(s->console_origin);
    router_add(embed_platforms_service());
    router_add(embed_keys_service());
    management_check_origins_by(embed_check_origin);
    session_lock_keys_by(embed_lock_key);
    router_add(embed_page_service());
    router_add(embed_sdk_service());
    router_add(session_service());
    router_add(&auth);
    router_add(&documents);
}

// Plugins' data in the PostgreSQL of the state only with the operator's word.
enum fail features_check(const struct settings *s, struct fault *fault)
{
    struct db *db = NULL;
    if (domains_fault.fail != FAIL_NONE) {
        *fault = domains_fault;
        return FAIL_REFUSED;
    }
    if (s->has_private_plugins || s->plugin_database_shared || s->plugin_database[0] == '\0')
        return FAIL_NONE;
    enum fail fail = db_open(s->database, &db, fault);
    if (fail == FAIL_NONE)
        fail = managed_db_start_check(db, fault);
    db_close(db);
    return fail == FAIL_REFUSED ? fail : FAIL_NONE;
}

// --- life ---

static void on_bundles_notice(str payload)
{
    bundles_on_notice(payload);
    actions_on_notice(payload);
}

static void on_bundles_back(void)
{
    bundles_on_listener_back();
    actions_on_listener_back();
}

const struct notice_channel features_channels[] = {
    {"stoa_bundles", on_bundles_notice, on_bundles_back},
    {"stoa_runs", runs_on_notice, runs_on_listener_back},
    {"stoa_domains", domains_on_notice, domains_on_listener_back},
    {"stoa_challenges", challenges_on_notice, challenges_on_listener_back},
    {"stoa_embed", embed_keys_on_notice, embed_keys_on_listener_back},
    {0}};

void features_start(void)
{
    runs_start();
    scheduler_add("look after session keys", 1000, SESSION_TEND_MS, session_tend);
    scheduler_add("collect blobs", 10 * 60 * 1000, HOUR_MS, bundles_collect);
    scheduler_add("seal again", 5 * 1000, HOUR_MS, owner_settings_tend);
    scheduler_add("seal connections again", 9 * 1000, HOUR_MS, embed_connections_tend);
    scheduler_add("drop plugins' data", 30 * 1000, 60 * 1000, managed_db_collect);
    scheduler_add("collect uploads", 7 * 60 * 1000, HOUR_MS, uploads_collect);
    scheduler_add("look at domains", 3 * 1000, 10 * 1000, domains_tend);
    scheduler_add("forget ticket keys", 60 * 1000, 60 * 1000, tls_tickets_tend);
    scheduler_add("order certificates", 2 * 1000, 2 * 1000, certificates_tend);
    scheduler_add("seal certificates again", 7 * 1000, HOUR_MS, certificates_reseal);
    scheduler_add("tend signing keys", 60 * 1000, 60 * 1000, embed_keys_tend);
    scheduler_add("collect runs", 5 * 60 * 1000, 10 * 60 * 1000, runs_collect);
}

size_t features_running(void)
{
    return actions_running();
}

void features_stop(void)
{
    runs_stop();
    embed_keys_stop();
}

// An inspection sees its worker's end by its socket; handlers' workers are looked after.
void features_worker_ended(uint32_t number, int status)
{
    log_debug("a caged process ended", "number=%u status=%d", number, status);
    plugin_on_worker_ended(number, status);
}
