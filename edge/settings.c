// The table, and what can be done to a setting by its row alone.
#include "edge/settings_internal.h"
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>
#include "edge/base/log.h"

#define KIB UINT64_C(1024)
#define MIB (KIB * KIB)
#define GIB (KIB * MIB)
#define SECOND UINT64_C(1000)
#define ROW(name_, type_, standard_, min_, max_, choices_, flags_, doc_)                           \
    {                                                                                              \
        .name = #name_, .type = (type_), .at = offsetof(struct settings, name_),                   \
        .standard = (standard_), .min = (min_), .max = (max_), .choices = (choices_),              \
        .flags = (flags_), .doc = (doc_)                                                           \
    }
#define TEXT(name, standard, flags, doc) ROW(name, SETTING_TEXT, standard, 0, 0, NULL, flags, doc)
#define LIST(name, standard, flags, doc) ROW(name, SETTING_LIST, standard, 0, 0, NULL, flags, doc)
#define COUNT(name, standard, min, max, flags, doc)                                                \
    ROW(name, SETTING_COUNT, standard, min, max, NULL, flags, doc)
#define SIZE(name, standard, min, max, flags, doc)                                                 \
    ROW(name, SETTING_SIZE, standard, min, max, NULL, flags, doc)
#define TIME(name, standard, min, max, flags, doc)                                                 \
    ROW(name, SETTING_TIME, standard, min, max, NULL, flags, doc)
#define ACCEPTED(name, doc) ROW(name, SETTING_ACCEPTED, "", 0, 0, NULL, 0, doc)
#define CHOICE(name, standard, choices, flags, doc)                                                \
    ROW(name, SETTING_CHOICE, standard, 0, 0, choices, flags, doc)

// clang-format off
const struct setting settings_table[] = {
    TEXT(data, "", HAS_FLAG, "Data directory (default: /var/lib/stoa as root, else stoa under $XDG_STATE_HOME or ~/.local/state)"),
    LIST(listen_apps, "127.0.0.1:8080,[::1]:8080", HAS_FLAG, "Addresses where visitors find apps, over plain HTTP; port 0 takes a free one"),
    LIST(listen_console, "127.0.0.1:8081,[::1]:8081", HAS_FLAG, "Addresses of the console and its API, over plain HTTP"),
    LIST(listen_admin, "127.0.0.1:9090", HAS_FLAG, "Addresses of health and metrics; other than loopback needs admin_token"),
    LIST(listen_tls, "", HAS_FLAG, "TLS addresses; they carry apps, console and instance hosts, told apart by name"),
    LIST(tls_certificate, "", RELOADABLE, "Files with a PEM certificate chain each; read again at a reload"),
    LIST(tls_key, "", RELOADABLE, "Files with their PEM private keys, in the same order"),
    TEXT(ready_file, "", HAS_FLAG, "Where else to say that the server is ready, and at which ports; ready.json in the data directory says it always"),
    TEXT(admin_token, "", IS_SECRET, "Bearer token that the admin listener asks for, 16 characters or more"),
    TEXT(apps_origin, "", 0, "Origin visitors use, such as https://apps.example.com (default: what was bound)"),
    TEXT(console_origin, "", 0, "Origin of the console and its API (default: what was bound)"),
    TEXT(files_origin, "", 0, "Origin for uploaded files (default: the host of the app they belong to)"),
    TEXT(instance_domain, "", 0, "Domain under which each instance has a host of its own: {instance}.apps.example.com"),
    TEXT(domain_addresses, "", 0, "IP addresses, with commas between, that custom domains may point to by A and AAAA records"),
    TEXT(reserved_names, "", 0, "Names, with commas between, that nobody may take as a custom domain, each with all below it"),
    TEXT(dns_forwarders, "", 0, "DNS servers, such as 192.0.2.53,[2001:db8::53]@5353, to ask about custom domains (default: recursing from the root)"),
    TEXT(dns_root_hints, "", 0, "File with the root's name servers (default: the internet's, built in)"),
    TEXT(dns_trust_anchor, "", 0, "File with the root's DNSSEC key (default: the system's)"),
    TEXT(acme_directory, "", 0, "ACME directory, such as https://acme-v02.api.letsencrypt.org/directory, of which custom domains' certificates are ordered; to name it is to agree to its terms"),
    TEXT(acme_contact, "", 0, "Whom that authority may write to, such as mailto:ops@example.com"),
    TEXT(acme_ca_file, "", 0, "File with the PEM certificates its own server is verified by (default: the system's)"),
    TEXT(acme_caa, "", 0, "Names, with commas between, that domains' CAA records may know it by, such as letsencrypt.org (default: what its directory says)"),
    TEXT(acme_eab_kid, "", 0, "Id of the account you have with that authority, where it asks for one (external account binding)"),
    TEXT(acme_eab_key, "", IS_SECRET, "The key it gave with it, in base64url"),
    ACCEPTED(shared_origin, "\"accepted\": apps of several projects may share the apps origin, and so each other's storage"),
    ACCEPTED(insecure_origins, "\"accepted\": a console on plain HTTP or on the apps' registrable domain is allowed"),
    TEXT(database, "", HAS_FLAG | IS_SECRET, "URL of a PostgreSQL database (default: a private one under the data directory)"),
    TEXT(master_key_file, "", 0, "File with the master key that secrets are encrypted under (default: STOA_MASTER_KEY, else keys/master.key in the data directory, made at the first start)"),
    TEXT(state_user, "stoa-state", 0, "System user the private PostgreSQL runs as when started as root"),
    TEXT(plugin_database, "", IS_SECRET, "URL of a PostgreSQL server for plugins' data, as a role for daily use (default: a private one under the data directory)"),
    TEXT(plugin_database_provision, "", IS_SECRET, "The same server as a role that may make databases and roles (default: plugin_database)"),
    ACCEPTED(plugin_database_shared, "\"accepted\": plugins' data may lie in the PostgreSQL that holds Stoa's own state"),
    CHOICE(managed_db_functions, "off", "on|off", 0, "Whether plugins may make functions, in SQL and PL/pgSQL, in their databases"),
    COUNT(managed_db_connections, "240", 4, 10000, 0, "Most connections that handlers' SQL holds open"),
    COUNT(managed_db_connections_per_project, "40", 1, 10000, 0, "Most of them for one project"),
    COUNT(managed_db_connections_per_plugin, "10", 1, 10000, 0, "Most of them for one plugin of a project"),
    SIZE(managed_db_project_bytes, "1GiB", 16 * MIB, 1024 * GIB, 0, "Disk a project's plugins may fill with data; over it their SQL only reads"),
    TEXT(plugin_user, "stoa-plugins", 0, "System user that private PostgreSQL with plugins' data runs as when started as root"),
    TEXT(server_user, "stoa", 0, "System user the server runs as when started as root"),
    TEXT(cage_user, "stoa-cage", 0, "System user that parsers of strangers' files run as when started as root"),
    TEXT(handler_user, "stoa-handler", 0, "System user that apps' handlers run as when started as root"),
    COUNT(threads, "0", 0, 256, 0, "Event loops; 0 is one per core"),
    COUNT(api_threads, "4", 1, 16, 0, "Threads for management requests, each with a database connection"),
    COUNT(ingest_threads, "2", 1, 8, 0, "Threads for deploys and compression, each with a database connection"),
    COUNT(load_threads, "2", 1, 8, 0, "Threads that load cold apps, each with a database connection"),
    COUNT(files_threads, "8", 1, 32, 0, "Threads that check and keep uploaded files, each with a database connection"),
    SIZE(cache_bytes, "256MiB", MIB, 1024 * GIB, 0, "File contents held in memory for serving; as much again may be on its way to slow readers"),
    SIZE(header_bytes, "32KiB", KIB, 256 * KIB, RELOADABLE, "Largest request head (431)"),
    COUNT(header_count, "100", 8, 100, RELOADABLE, "Most header fields of a request (431)"),
    SIZE(target_length, "8KiB", 256, 64 * KIB, RELOADABLE, "Longest request target (414)"),
    SIZE(body_memory_per_connection, "112MiB", MIB, 16 * GIB, RELOADABLE, "Request bytes held for one connection"),
    SIZE(body_memory_total, "512MiB", MIB, 64 * GIB, RELOADABLE, "Request bytes held for all connections together"),
    SIZE(body_disk_total, "4GiB", 16 * MIB, 1024 * GIB, RELOADABLE, "Bytes of large request bodies that stand in files of the data directory while they come in"),
    TIME(ticket_interval, "1h", SECOND, 24 * 3600 * SECOND, 0, "How often TLS session tickets get a new key; the one before opens for as long again"),
    TIME(handshake_timeout, "10s", 100, 600 * SECOND, RELOADABLE, "Longest TLS handshake"),
    TIME(header_timeout, "10s", 100, 600 * SECOND, RELOADABLE, "Longest time for a request head to arrive"),
    TIME(body_timeout, "20s", 100, 3600 * SECOND, RELOADABLE, "While a body comes in, each such span must bring minimum_rate"),
    TIME(write_timeout, "20s", 100, 3600 * SECOND, RELOADABLE, "While an answer is blocked, each such span must take minimum_rate"),
    TIME(idle_timeout, "60s", 100, 3600 * SECOND, RELOADABLE, "How long a connection is kept open between requests"),
    SIZE(minimum_rate, "500", 1, MIB, RELOADABLE, "Slowest peer that is waited for, in bytes a second"),
    COUNT(connections, "10000", 16, 1000000, RELOADABLE, "Most connections open at once"),
    COUNT(connections_per_address, "256", 1, 1000000, RELOADABLE, "Most connections of one address (IPv6: of one /64); of its /24 or /48, as many as are then left for others"),
    COUNT(handshakes_per_second, "1000", 1, 1000000, RELOADABLE, "Most new TLS connections a second"),
    COUNT(handshakes_per_address, "50", 1, 1000000, RELOADABLE, "Most new TLS connections a second of one address (IPv6: of one /64); of its /24 or /48, a quarter of all and twice this"),
    LIST(trusted_proxies, "", 0, "Networks of proxies in front, such as 10.0.0.0/8: only they are believed about a visitor's address and scheme"),
    TEXT(proxy_header, "", 0, "The one header they name it in: X-Forwarded-For, Forwarded, CF-Connecting-IP, …; they must overwrite or append to it"),
    LIST(fetch_allow, "", 0, "Private addresses, as 10.0.0.5:8080, that handlers may fetch from all the same; each opens a hole into your network"),
    SIZE(worker_memory, "256MiB", 32 * MIB, 16 * GIB, 0, "Memory that one handler's worker process may take"),
    SIZE(workers_memory, "1536MiB", 64 * MIB, 1024 * GIB, 0, "Memory of all worker processes together; over it those go that idle, and of a project that holds most"),
    TIME(handler_busy, "10s", 100, 600 * SECOND, 0, "How long a handler may compute without answering before its worker is killed"),
    COUNT(handler_queue, "256", 1, 100000, 0, "Most runs that wait for one plugin; more are answered 503"),
    COUNT(handler_spares, "2", 0, 16, 0, "Blank worker processes kept ready"),
    COUNT(keep_run_days, "30", 1, 3650, 0, "How many days runs and events are kept"),
    COUNT(keep_runs, "10000", 100, 10000000, 0, "Most runs that are kept of one instance"),
    SIZE(run_log_bytes_per_day, "256MiB", MIB, 1024 * GIB, 0, "Text of logs and facts that one project's runs may add in a day; over it they are kept without their log"),
    COUNT(uploads_per_hour, "20", 1, 1000000, 0, "Files one visitor may upload to one app in an hour, unless the app's owner says otherwise"),
    SIZE(upload_bytes_per_hour, "100MiB", MIB, 1024 * GIB, 0, "Their bytes together"),
    SIZE(upload_quota_bytes, "250MiB", MIB, 1024 * GIB, 0, "Bytes of files kept for one plugin and owner (507)"),
    COUNT(upload_quota_files, "10000", 1, 10000000, 0, "Their number (507)"),
    COUNT(session_seconds, "900", 2, 86400, 0, "How long a token of an embedded page lasts before it is renewed, in seconds"),
    CHOICE(session_algorithm, "ES256", "ES256|RS256", 0, "How tokens of embedded sessions are signed"),
    COUNT(keep_upload_days, "0", 0, 36500, 0, "How many days visitors' uploads are kept; 0 is for ever"),
    SIZE(pie_bytes, "4MiB", 64 * KIB, 64 * MIB, 0, "Largest .pie file"),
    COUNT(archive_files, "5000", 1, 100000, 0, "Most files in an archive"),
    SIZE(archive_file_bytes, "25MiB", KIB, 4 * GIB, 0, "Largest file in an archive"),
    SIZE(archive_bytes, "100MiB", KIB, 16 * GIB, 0, "Largest archive, packed and unpacked"),
    COUNT(keep_deployments, "100", 0, 1000000, 0, "Most deployments that are kept of one plugin, the oldest go first; 0 is all"),
    SIZE(deploy_quota_bytes, "5GiB", 0, 1024 * 1024 * GIB, 0, "What a project's kept deployments may take together (507); 0 is no limit"),
    COUNT(plugins_per_project, "1000", 1, 1000000, 0, "Most plugins of one project (507)"),
    COUNT(instances_per_plugin, "100", 1, 1000000, 0, "Most instances of one plugin that one project may have (507)"),
    TIME(shutdown_timeout, "30s", 0, 3600 * SECOND, RELOADABLE, "How long requests in flight may take to finish at a stop"),
    CHOICE(log_level, "info", "error|warn|info|debug", RELOADABLE, "How much the log on standard error says"),
    CHOICE(log_format, "auto", "auto|text|pretty", RELOADABLE, "Look of the log; auto is pretty at a terminal"),
    TEXT(access_log, "", 0, "Access log: a file, opened again at a reload, - for standard output, or off (default: logs/access.log in the data directory)"),
};
// clang-format on
const size_t settings_count = sizeof settings_table / sizeof settings_table[0];
_Static_assert(sizeof settings_table / sizeof settings_table[0] <= SETTINGS_MAX, "places has room");

size_t setting_find(str name)
{
    for (size_t i = 0; i != settings_count; ++i)
        if (str_eq(name, str_from(settings_table[i].name)))
            return i;
    return SIZE_MAX;
}

struct unit {
    const char *name;
    uint64_t factor;
};
static const struct unit size_units[] = {{"", 1},      {"B", 1},     {"KiB", KIB},
                                         {"MiB", MIB}, {"GiB", GIB}, {NULL, 0}};
static const struct unit time_units[] = {
    {"ms", 1}, {"s", SECOND}, {"m", 60 * SECOND}, {"h", 3600 * SECOND}, {NULL, 0}};
static const struct unit no_units[] = {{"", 1}, {NULL, 0}};

static const struct unit *units_of(enum setting_type type)
{
    return type == SETTING_SIZE ? size_units : type == SETTING_TIME ? time_units : no_units;
}

// The largest unit that divides it: how a limit is shown.
static void format_number(enum setting_type type, uint64_t v, char *to, size_t room)
{
    const struct unit *best = units_of(type);
    for (const struct unit *u = best; u->name != NULL; ++u)
        if (v % u->factor == 0 && v >= u->factor)
            best = u;
    snprintf(to, room, "%" PRIu64 "%s", v / best->factor, best->name);
}

static bool parse_number(enum setting_type type, str text, uint64_t *ret)
{
    size_t digits = 0;
    while (digits != text.n && text.p[digits] >= '0' && text.p[digits] <= '9')
        ++digits;
    uint64_t v;
    if (!str_to_u64(str_of(text.p, digits), UINT64_MAX, &v))
        return false;
    str unit = str_trim(str_skip(text, digits));
    if (v == 0 && unit.n == 0) { // nothing needs no unit
        *ret = 0;
        return true;
    }
    for (const struct unit *u = units_of(type); u->name != NULL; ++u)
        if (str_caseeq(unit, str_from(u->name)))
            return !__builtin_mul_overflow(v, u->factor, ret);
    return false;
}

static bool parse_within(const struct setting *t, str text, uint64_t *ret, char *why, size_t room)
{
    static const char *const examples[] = {[SETTING_COUNT] = "a number such as 100",
                                           [SETTING_SIZE] = "a size such as 256MiB",
                                           [SETTING_TIME] = "a time with its unit, such as 30s or "
                                                            "500ms"};
    if (!parse_number(t->type, text, ret)) {
        snprintf(why, room, "Write %s.", examples[t->type]);
        return false;
    }
    if (*ret < t->min || *ret > t->max) {
        char low[32], high[32];
        format_number(t->type, t->min, low, sizeof low);
        format_number(t->type, t->max, high, sizeof high);
        snprintf(why, room, "Take a value from %s to %s.", low, high);
        return false;
    }
    return true;
}

static bool is_choice(const char *choices, str text)
{
    str rest = str_from(choices);
    while (rest.n != 0)
        if (str_eq(str_cut(&rest, '|'), text))
            return true;
    return false;
}

static bool is_printable(str text)
{
    for (size_t i = 0; i != text.n; ++i)
        if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f)
            return false;
    return str_is_utf8(text);
}

bool setting_parse(const struct setting *t, str text, struct settings *s, char *why, size_t room)
{
    text = str_trim(text);
    if (t->type == SETTING_ACCEPTED) {
        *setting_bool(s, t) = str_eq(text, STR("accepted"));
        if (*setting_bool(s, t) || text.n == 0)
            return true;
        snprintf(why, room, "Write the word accepted, or leave the setting out.");
        return false;
    }
    if (!setting_is_text(t)) {
        uint64_t v;
        if (!parse_within(t, text, &v, why, room))
            return false;
        *setting_number(s, t) = v;
        return true;
    }
    if (t->type == SETTING_CHOICE && !is_choice(t->choices, text)) {
        snprintf(why, room, "Take one of %s.", t->choices);
        return false;
    }
    if (!is_printable(text)) {
        snprintf(why, room, "It holds control characters, or is not UTF-8.");
        return false;
    }
    free(*setting_text(s, t));
    *setting_text(s, t) = str_dup(text);
    return true;
}

bool setting_is_equal(const struct setting *t, const struct settings *a, const struct settings *b)
{
    if (setting_is_text(t))
        return strcmp(*setting_text(a, t), *setting_text(b, t)) == 0;
    if (t->type == SETTING_ACCEPTED)
        return *setting_bool(a, t) == *setting_bool(b, t);
    return *setting_number(a, t) == *setting_number(b, t);
}

static void free_certificates(struct settings *s)
{
    for (size_t i = 0; i != s->certificate_count; ++i) {
        free(s->certificates[i].chain);
        if (s->certificates[i].key != NULL)
            explicit_bzero(s->certificates[i].key, strlen(s->certificates[i].key));
        free(s->certificates[i].key);
    }
    s->certificate_count = 0;
}

void settings_fini(struct settings *s)
{
    for (size_t i = 0; i != settings_count; ++i)
        if (setting_is_text(&settings_table[i]))
            free(*setting_text(s, &settings_table[i]));
    free(s->listeners);
    if (s->master_key != NULL)
        explicit_bzero(s->master_key, strlen(s->master_key));
    free(s->master_key);
    free_certificates(s);
    *s = (struct settings){0};
}

static void copy_value(const struct setting *t, struct settings *to, const struct settings *from)
{
    if (setting_is_text(t)) {
        free(*setting_text(to, t));
        *setting_text(to, t) = str_dup(str_from(*setting_text(from, t)));
    } else {
        *setting_number(to, t) = *setting_number(from, t);
    }
}

static bool has_same_certificates(const struct settings *a, const struct settings *b)
{
    if (a->certificate_count != b->certificate_count)
        return false;
    for (size_t i = 0; i != a->certificate_count; ++i)
        if (strcmp(a->certificates[i].chain, b->certificates[i].chain) != 0 ||
            strcmp(a->certificates[i].key, b->certificates[i].key) != 0)
            return false;
    return true;
}

static void copy_certificates(struct settings *to, const struct settings *from)
{
    free_certificates(to);
    for (size_t i = 0; i != from->certificate_count; ++i)
        to->certificates[i] =
            (struct settings_certificate){.chain = str_dup(str_from(from->certificates[i].chain)),
                                          .key = str_dup(str_from(from->certificates[i].key))};
    to->certificate_count = from->certificate_count;
}

static void add_name(char *list, size_t room, const char *name)
{
    size_t n = strlen(list);
    snprintf(list + n, room - n, "%s%s", n != 0 ? "," : "", name);
}

void settings_reload(struct settings *now, const struct settings *from, char *ret_changed,
                     char *ret_ignored, size_t room)
{
    ret_changed[0] = ret_ignored[0] = '\0';
    for (size_t i = 0; i != settings_count; ++i) {
        const struct setting *t = &settings_table[i];
        if (setting_is_equal(t, now, from))
            continue;
        add_name(t->flags & RELOADABLE ? ret_changed : ret_ignored, room, t->name);
        if (t->flags & RELOADABLE)
            copy_value(t, now, from);
    }
    if (!has_same_certificates(now, from)) {
        copy_certificates(now, from);
        add_name(ret_changed, room, "certificates");
    }
}

bool settings_is_standard(const struct settings *s, const char *name)
{
    const struct setting *t = &settings_table[setting_find(str_from(name))];
    return setting_is_text(t) && strcmp(*setting_text(s, t), t->standard) == 0;
}

void settings_apply_log(const struct settings *s)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    for (size_t i = 0; i != sizeof names / sizeof names[0]; ++i)
        if (strcmp(s->log_level, names[i]) == 0)
            log_set_level((enum log_level)i);
    log_set_pretty(strcmp(s->log_format, "pretty") == 0 ||
                   (strcmp(s->log_format, "auto") == 0 && isatty(STDERR_FILENO)));
}

void settings_print_help(FILE *to)
{
    fputs("Usage: stoa serve [FLAG]…\n"
          "\n"
          "Settings come from a file, from variables (STOA_DATA, STOA_LISTEN_APPS, …) and from\n"
          "flags; a later one of these wins.\n"
          "\n"
          "  --config FILE      settings as YAML, `name: value` a line (default as root:\n"
          "                     /etc/stoa/stoa.yaml, when there is one)\n"
          "  --set NAME=VALUE   any setting\n"
          "  --check            say whether the settings are fine, and end\n"
          "  -h, --help         this text\n"
          "\n"
          "Settings (* has a flag: --listen-apps for listen_apps; + is read again at SIGHUP):\n",
          to);
    for (size_t i = 0; i != settings_count; ++i) {
        const struct setting *t = &settings_table[i];
        const char *choices = t->choices != NULL ? t->choices : "";
        bool is_said = strstr(t->doc, choices) != NULL; // "" always is
        fprintf(to, "\n %c%c %s%s%s\n      %s%s%s.\n", t->flags & HAS_FLAG ? '*' : ' ',
                t->flags & RELOADABLE ? '+' : ' ', t->name, t->standard[0] != '\0' ? " = " : "",
                t->standard, t->doc, is_said ? "" : ": ", is_said ? "" : choices);
    }
}

static void print_cell(FILE *to, const char *text)
{
    for (; *text != '\0'; ++text)
        fprintf(to, *text == '|' ? "\\|" : "%c", *text);
}

void settings_print_markdown(FILE *to)
{
    fputs("| Setting | Default | Flag | Reload | What it is |\n|---|---|---|---|---|\n", to);
    for (size_t i = 0; i != settings_count; ++i) {
        const struct setting *t = &settings_table[i];
        fprintf(to, "| `%s` | %s%s%s | %s | %s | ", t->name, t->standard[0] != '\0' ? "`" : "",
                t->standard, t->standard[0] != '\0' ? "`" : "", t->flags & HAS_FLAG ? "yes" : "",
                t->flags & RELOADABLE ? "yes" : "");
        print_cell(to, t->doc);
        if (t->choices != NULL) {
            fputs(": ", to);
            print_cell(to, t->choices);
        }
        fputs(" |\n", to);
    }
}
