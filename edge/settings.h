// Every setting, from stoa.yaml, STOA_* variables and flags (in rising order of right), by one
// table. The supervisor resolves them once, hands them to the server in a sealed memfd, and forgets
// the secrets of the environment. Read-only after loading; any thread.
#ifndef STOA_SETTINGS_H
#define STOA_SETTINGS_H
#include <stdio.h>
#include "edge/base/fail.h"
#include "edge/base/problem.h"

enum { SETTINGS_CERTIFICATES_MAX = 64 };

// PEM text, read by the supervisor, so that the server needs no right to the files.
struct settings_certificate {
    char *chain, *key;
};

// Strings are NUL-terminated, never NULL ("" = not set), and live as long as the struct. Sizes are
// bytes, times milliseconds.
struct settings {
    // where
    char *data;           // data directory, absolute
    char *listen_apps;    // "127.0.0.1:8080,[::1]:8080": comma-separated addresses
    char *listen_console; // "127.0.0.1:8081,[::1]:8081"
    char *listen_admin;   // "127.0.0.1:9090"; non-loopback only with admin_token
    char *listen_tls; // "": none; carries apps, console and instance hosts, told apart by authority
    char *tls_certificate; // PEM chain files, comma-separated, each with its key at the same place
                           // in tls_key
    char *tls_key;
    char *ready_file; // absolute; not set: ready.json in the data directory
    char *admin_token;
    // origins: as configured; in the server, those left out are what was bound
    char *apps_origin;
    char *console_origin;
    char *files_origin;
    char *instance_domain;
    // custom domains
    char *domain_addresses, *reserved_names; // comma-separated
    char *dns_forwarders, *dns_root_hints, *dns_trust_anchor;
    char *acme_directory, *acme_contact, *acme_ca_file, *acme_caa, *acme_eab_kid, *acme_eab_key;
    bool shared_origin;    // shared_origin: accepted
    bool insecure_origins; // insecure_origins: accepted
    // state
    char *database;        // "": private cluster; in the server always a URL
    char *master_key_file; // the operator's own; "": see master_key
    char *state_user;      // whom the private cluster runs as when started as root
    char *server_user;     // and the server
    char *cage_user;       // and what parses strangers' bytes
    char *handler_user;    // and what runs apps' handlers
    // plugins' data
    char *plugin_database;           // as `database`
    char *plugin_database_provision; // the same server, as a role that makes databases and roles
    bool plugin_database_shared;     // plugin_database_shared: accepted
    char *plugin_user;               // whom that private cluster runs as when started as root
    char *managed_db_functions;      // on | off
    uint64_t managed_db_connections, managed_db_connections_per_project,
        managed_db_connections_per_plugin;
    uint64_t managed_db_project_bytes;
    // size
    uint64_t threads; // loops; 0 = one per core
    uint64_t api_threads, ingest_threads, load_threads, files_threads;
    uint64_t cache_bytes; // file bytes held for serving
    // limits on what comes in
    uint64_t header_bytes, header_count, target_length;
    uint64_t body_memory_per_connection, body_memory_total, body_disk_total;
    uint64_t ticket_interval;
    uint64_t handshake_timeout, header_timeout, body_timeout, write_timeout, idle_timeout;
    uint64_t minimum_rate; // bytes per second
    uint64_t connections, connections_per_address;
    uint64_t handshakes_per_second, handshakes_per_address; // the latter per second too
    char *trusted_proxies; // "10.0.0.0/8,2001:db8::/32": comma-separated networks
    char *proxy_header;    // set when trusted_proxies is, and only then
    char *fetch_allow;     // "127.0.0.1:9000": comma-separated addresses
    // handlers
    uint64_t worker_memory, workers_memory, handler_busy, handler_queue, handler_spares;
    uint64_t keep_run_days, keep_runs, run_log_bytes_per_day;
    // uploads
    uint64_t uploads_per_hour, upload_bytes_per_hour, upload_quota_bytes, upload_quota_files,
        keep_upload_days;
    // embedded sessions
    uint64_t session_seconds;
    char *session_algorithm; // ES256 | RS256
    uint64_t pie_bytes, archive_files, archive_file_bytes, archive_bytes;
    uint64_t keep_deployments, deploy_quota_bytes, plugins_per_project, instances_per_plugin;
    uint64_t shutdown_timeout;
    // telling
    char *log_level;  // error | warn | info | debug
    char *log_format; // auto | text | pretty
    char *access_log; // absolute path, "-" (standard output) or "off"; not set: logs/access.log in
                      // the data directory

    // Not in the table: what the supervisor adds.
    char *master_key; // the keys as text (edge/base/seal.h), of STOA_MASTER_KEY or master_key_file;
                      // "": the data directory's
    bool has_private_plugins; // plugin_database is a cluster of our own
    char *listeners;          // "apps 127.0.0.1:43210\n…", in the order of their descriptors
    struct settings_certificate certificates[SETTINGS_CERTIFICATES_MAX]; // of tls_certificate
    size_t certificate_count;
};

// Reads the table's defaults, the file (`--config`, else /etc/stoa/stoa.yaml when started as root
// and there is one, else none), the environment (as it was at the first call: a reload sees it
// again after settings_clean_environment) and `argv`, the flags after "serve". Everything wrong is
// added to `problems` with its place (section: the file, the variable or the flag); true when there
// was nothing wrong. `ret` is filled in any case and must be given back with settings_fini.
// *ret_check is set when --check was among the flags, *ret_help when --help was (nothing is judged
// then).
bool settings_load(struct settings *ret, int argc, char **argv, struct problems *problems,
                   bool *ret_check, bool *ret_help);
// "stoa.yaml:3: listen_apps: …", a line each.
void settings_print_problems(const struct problems *problems, FILE *to);
// Removes from the environment what was read for secrets (STOA_*, PG*, *_proxy), and overwrites the
// secrets among the flags, so that `ps` no longer shows them: security-rules.md 1.
void settings_clean_environment(void);
void settings_hide_flags(int argc, char **argv);
void settings_fini(struct settings *s);

// All resolved values as one sealed memfd (close-on-exec), and back. The second is the server's way
// to its settings; it reads from the start each time and leaves the descriptor open.
int settings_to_fd(const struct settings *s);
enum fail settings_from_fd(struct settings *ret, int fd, struct fault *fault) MUST_CHECK;
// Copies into `now` what the table says is reloadable (certificates too); names what changed and
// what would need a restart in two comma-separated lists of `room` bytes each.
void settings_reload(struct settings *now, const struct settings *from, char *ret_changed,
                     char *ret_ignored, size_t room);
// Whether the setting still has the table's default.
bool settings_is_standard(const struct settings *s, const char *name);
// The level and look of the operator's log, as the settings say.
void settings_apply_log(const struct settings *s);

// The table for people: --help text, or Markdown for the README (checked against each other by
// tests/check).
void settings_print_help(FILE *to);
void settings_print_markdown(FILE *to);
#endif
