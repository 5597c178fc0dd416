// Every setting, from stoa.yaml, STOA_* variables and flags (in rising order of right), by one table. The supervisor resolves them once,
// hands them to the server in a sealed memfd, and forgets the secrets of the environment. Read-only after loading; any thread.
#ifndef STOA_SETTINGS_H
#define STOA_SETTINGS_H
#include <stdio.h>
#include "edge/base/fail.h"
#include "edge/base/problem.h"

// Strings are NUL-terminated, never NULL ("" = not set), and live as long as the struct. Sizes are bytes, times milliseconds unless the name
// says otherwise.
struct settings {
    // where
    char *data;           // data directory, absolute
    char *listen_apps;    // "127.0.0.1:8080,[::1]:8080": comma-separated addresses
    char *listen_console; // "127.0.0.1:8081,[::1]:8081"
    char *listen_admin;   // "127.0.0.1:9090"; non-loopback only with admin_token
    char *listen_tls;     // "": none; carries apps, console and instance hosts, told apart by authority
    char *tls_certificate; // PEM chain files, comma-separated, each with its key at the same place in tls_key
    char *tls_key;
    char *ready_file; // "": ready.json in the data directory
    char *admin_token;
    // origins ("" = what was bound)
    char *apps_origin;
    char *console_origin;
    char *files_origin;
    char *instance_domain;
    bool shared_origin;    // shared_origin: accepted
    bool insecure_origins; // insecure_origins: accepted
    // state
    char *database;   // "": private cluster
    char *state_user; // who the private cluster runs as when started as root
    char *server_user;
    char *cage_user;
    // size
    uint64_t threads; // loops; 0 = one per core
    uint64_t api_threads, ingest_threads, load_threads;
    uint64_t cache_bytes; // file bytes held for serving
    // limits on what comes in
    uint64_t header_bytes, header_count, target_length;
    uint64_t body_memory_per_connection, body_memory_total;
    uint64_t header_timeout, body_timeout, write_timeout, idle_timeout, minimum_rate; // minimum_rate: bytes per second
    uint64_t connections, connections_per_address;
    uint64_t handshakes_per_second, handshakes_per_address; // the latter per second too
    uint64_t pie_bytes, archive_files, archive_file_bytes, archive_bytes;
    uint64_t shutdown_timeout;
    // telling
    char *log_level;  // error | warn | info | debug
    char *log_format; // auto | text | pretty
    char *access_log; // "": access.log in the data directory; "-": standard output; "off"
    char *_strings;
};

// Reads the table's defaults, the file (`--config`, else /etc/stoa/stoa.yaml when started as root and there is one, else none), the
// environment and the flags after "serve". Everything wrong is added to `problems`; true when there was nothing wrong. `ret` is filled in any case and
// must be given back with settings_fini. *ret_check is set when --check was among the flags, *ret_help when --help was.
bool settings_load(struct settings *ret, int argc, char **argv, struct problems *problems, bool *ret_check, bool *ret_help);
// Removes from the environment what was read for secrets (STOA_*, PG*, *_proxy): security-rules.md 1.
void settings_clean_environment(void);
void settings_fini(struct settings *s);

// All resolved values as one sealed memfd, and back. The second is the server's way to its settings.
int settings_to_fd(const struct settings *s);
enum fail settings_from_fd(struct settings *ret, int fd, struct fault *fault) MUST_CHECK;
// Copies into `now` what the table says is reloadable; names what changed and what would need a restart in two comma-separated lists.
void settings_reload(struct settings *now, const struct settings *from, char *ret_changed, char *ret_ignored, size_t room);

// The table for people: --help text, or Markdown for the README (checked against each other by tests/check).
void settings_print_help(FILE *to);
void settings_print_markdown(FILE *to);
#endif
