// What the settings mean: addresses, users, numbers that belong together, certificates. Nothing
// here stops at the first problem.
#include "edge/settings_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "edge/base/digest.h"
#include "edge/base/ip.h"
#include "edge/base/log.h"
#include "edge/http/forwarded.h"
#include "edge/listen.h"

enum { ADMIN_TOKEN_MIN = 16, PATH_ROOM = 1024, PEM_MAX = 256 << 10, PRIVATE_CONNECTIONS = 260 };

// --- addresses ---

static void check_listen(struct settings_load *l, const char *name, const char *list)
{
    str rest = str_from(list);
    for (str item; (item = listen_next(&rest)).n != 0;) {
        struct listen_address a;
        struct fault fault;
        if (listen_parse(item, &a, &fault) != FAIL_NONE)
            settings_complain(l, name, "%s", fault.public_text);
    }
}

static bool has_address(str list, str address)
{
    for (str item; (item = listen_next(&list)).n != 0;)
        if (str_eq(item, address))
            return true;
    return false;
}

// One address for two listeners; port 0 is a new one each time.
static void check_overlap(struct settings_load *l, const char *name, const char *list,
                          const char *other_name, const char *other)
{
    str rest = str_from(list);
    for (str item; (item = listen_next(&rest)).n != 0;)
        if (!str_ends(item, STR(":0")) && has_address(str_from(other), item))
            settings_complain(l, name, "%s is in %s too; each address can serve one of them.",
                              LOG_STR(item), other_name);
}

static void check_admin(struct settings_load *l)
{
    const struct settings *s = l->s;
    str rest = str_from(s->listen_admin);
    struct listen_address a;
    for (str item; (item = listen_next(&rest)).n != 0;)
        if (listen_parse(item, &a, NULL) == FAIL_NONE && !listen_is_loopback(&a) &&
            s->admin_token[0] == '\0')
            settings_complain(l, "listen_admin",
                              "%s is not loopback: set admin_token, so that not everyone can read "
                              "the metrics.",
                              LOG_STR(item));
    if (s->admin_token[0] != '\0' && strlen(s->admin_token) < ADMIN_TOKEN_MIN)
        settings_complain(l, "admin_token", "Take %d characters or more.", ADMIN_TOKEN_MIN);
}

static void check_listeners(struct settings_load *l)
{
    const struct settings *s = l->s;
    const struct {
        const char *name, *list;
    } all[] = {{"listen_apps", s->listen_apps},
               {"listen_console", s->listen_console},
               {"listen_admin", s->listen_admin},
               {"listen_tls", s->listen_tls}};
    for (size_t i = 0; i != 4; ++i) {
        check_listen(l, all[i].name, all[i].list);
        for (size_t j = 0; j != i; ++j)
            check_overlap(l, all[i].name, all[i].list, all[j].name, all[j].list);
    }
    for (size_t i = 0; i != 2; ++i)
        if (all[i].list[0] == '\0' && s->listen_tls[0] == '\0')
            settings_complain(l, all[i].name, "Name an address, or set listen_tls.");
    check_admin(l);
}

static void check_proxies(struct settings_load *l)
{
    const struct settings *s = l->s;
    static struct http_proxies proxies;
    str bad;
    if (http_proxies_parse(&proxies, str_from(s->trusted_proxies), str_from(s->proxy_header), &bad))
        return;
    bool is_header = bad.p == s->proxy_header;
    if (s->trusted_proxies[0] == '\0')
        settings_complain(l, "proxy_header", "Set trusted_proxies too: whom to believe.");
    else if (is_header && bad.n == 0)
        settings_complain(l, "trusted_proxies", "Set proxy_header too: what to believe.");
    else if (is_header)
        settings_complain(l, "proxy_header", "%.80s is no name of a header.", LOG_STR(bad));
    else
        settings_complain(l, "trusted_proxies",
                          "%.80s is no network: write 10.0.0.0/8, 2001:db8::/32 or an address; at "
                          "most %d.",
                          LOG_STR(bad), HTTP_PROXIES_MAX);
}

// --- users, paths, numbers ---

static void check_domains(struct settings_load *l)
{
    const struct settings *s = l->s;
    const struct {
        const char *name, *path;
    } files[] = {{"dns_root_hints", s->dns_root_hints}, {"dns_trust_anchor", s->dns_trust_anchor}};
    str rest = str_from(s->domain_addresses);
    for (str item; (item = listen_next(&rest)).n != 0;) {
        struct ip address;
        if (!ip_parse(item, &address))
            settings_complain(l, "domain_addresses", "%s is no IP address.", LOG_STR(item));
    }
    for (size_t i = 0; i != 2; ++i)
        if (files[i].path[0] != '\0' && access(files[i].path, R_OK) != 0)
            settings_complain(l, files[i].name, "%s: %s.", LOG_STR(str_from(files[i].path)),
                              strerror(errno));
}

static bool is_base64url(str text)
{
    uint8_t key[128];
    size_t n;
    bool is = base64url_decode(text, key, sizeof key, &n) && n >= 16;
    explicit_bzero(key, sizeof key);
    return is;
}

static void check_acme(struct settings_load *l)
{
    const struct settings *s = l->s;
    str directory = str_from(s->acme_directory), contact = str_from(s->acme_contact);
    if (directory.n != 0 && !str_starts(directory, STR("https://")))
        settings_complain(l, "acme_directory", "%s is no https:// URL.", LOG_STR(directory));
    if (directory.n != 0 && s->listen_tls[0] == '\0')
        settings_complain(l, "acme_directory",
                          "Nobody would meet the certificates: set listen_tls, too.");
    if (contact.n != 0 && !str_starts(contact, STR("mailto:")))
        settings_complain(l, "acme_contact", "%s is no mailto: URL.", LOG_STR(contact));
    if ((s->acme_eab_kid[0] != '\0') != (s->acme_eab_key[0] != '\0'))
        settings_complain(l, "acme_eab_kid", "acme_eab_kid and acme_eab_key belong together.");
    else if (s->acme_eab_key[0] != '\0' && !is_base64url(str_from(s->acme_eab_key)))
        settings_complain(l, "acme_eab_key", "It is no base64url of 16 to 128 bytes.");
    if (s->acme_ca_file[0] != '\0' && access(s->acme_ca_file, R_OK) != 0)
        settings_complain(l, "acme_ca_file", "%s cannot be read: %s.",
                          LOG_STR(str_from(s->acme_ca_file)), strerror(errno));
}

static void check_user(struct settings_load *l, const char *name, const char *user)
{
    const struct passwd *p = getpwnam(user);
    if (p == NULL)
        settings_complain(l, name,
                          "There is no system user %.40s. Make it: useradd --system "
                          "--no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "
                          "%.40s",
                          LOG_STR(str_from(user)), LOG_STR(str_from(user)));
    else if (p->pw_uid == 0)
        settings_complain(l, name, "%.40s is root; take a user without rights.",
                          LOG_STR(str_from(user)));
}

// Two names may stand for one user.
static bool is_same_user(const char *a, const char *b)
{
    const struct passwd *p = getpwnam(a);
    if (p == NULL)
        return false;
    uid_t uid = p->pw_uid;
    p = getpwnam(b);
    return p != NULL && p->pw_uid == uid;
}

static void check_users(struct settings_load *l)
{
    const struct settings *s = l->s;
    if (geteuid() != 0) // everything runs as whoever started it
        return;
    // what has the most to lose comes first: the later one of two that are the same is wrong
    const struct {
        const char *name, *user;
        bool is_used;
    } users[] = {{"server_user", s->server_user, true},
                 {"state_user", s->state_user, s->database[0] == '\0'},
                 {"plugin_user", s->plugin_user, s->plugin_database[0] == '\0'},
                 {"cage_user", s->cage_user, true},
                 {"handler_user", s->handler_user, true}};
    for (size_t i = 0; i != sizeof users / sizeof users[0]; ++i) {
        if (!users[i].is_used)
            continue;
        check_user(l, users[i].name, users[i].user);
        for (size_t other = 0; other != i; ++other)
            if (users[other].is_used && is_same_user(users[i].user, users[other].user))
                settings_complain(l, users[i].name,
                                  "It is %s too; each needs its own, or one could act as the "
                                  "other.",
                                  users[other].name);
    }
}

// As root, the other users must be able to pass through every directory above.
static void check_data(struct settings_load *l)
{
    const char *data = l->s->data;
    if (data[0] != '/') {
        settings_complain(l, "data", "Neither XDG_STATE_HOME nor HOME is set; name a directory.");
        return;
    }
    if (strlen(data) >= PATH_ROOM)
        settings_complain(l, "data", "The path is longer than %d bytes.", PATH_ROOM);
    if (strchr(data, '\'') != NULL)
        settings_complain(l, "data", "PostgreSQL's settings cannot hold a path with a quote.");
    struct stat st;
    if (stat(data, &st) == 0 ? !S_ISDIR(st.st_mode) : errno == ENOTDIR)
        settings_complain(l, "data", "%s is no directory.", LOG_STR(str_from(data)));
}

static void check_url(struct settings_load *l, const char *name, const char *text)
{
    str url = str_from(text);
    if (url.n != 0 && !str_starts(url, STR("postgresql://")) &&
        !str_starts(url, STR("postgres://")))
        settings_complain(l, name, "Write postgresql://USER:PASSWORD@HOST:PORT/NAME.");
}

static void check_databases(struct settings_load *l)
{
    const struct settings *s = l->s;
    check_url(l, "database", s->database);
    check_url(l, "plugin_database", s->plugin_database);
    check_url(l, "plugin_database_provision", s->plugin_database_provision);
    if (s->plugin_database[0] == '\0' && s->plugin_database_provision[0] != '\0')
        settings_complain(l, "plugin_database_provision", "Set plugin_database too.");
    if (s->managed_db_connections_per_project > s->managed_db_connections)
        settings_complain(l, "managed_db_connections_per_project",
                          "It is more than managed_db_connections.");
    if (s->managed_db_connections_per_plugin > s->managed_db_connections_per_project)
        settings_complain(l, "managed_db_connections_per_plugin",
                          "It is more than managed_db_connections_per_project.");
    if (s->plugin_database[0] == '\0' && s->managed_db_connections > PRIVATE_CONNECTIONS)
        settings_complain(l, "managed_db_connections",
                          "The private PostgreSQL has room for %d, and for owners' own sessions "
                          "beside them.",
                          PRIVATE_CONNECTIONS);
}

static void check_numbers(struct settings_load *l)
{
    const struct settings *s = l->s;
    if (s->body_memory_per_connection > s->body_memory_total)
        settings_complain(l, "body_memory_per_connection", "It is more than body_memory_total.");
    if (s->body_memory_per_connection < s->archive_bytes + (1 << 20))
        settings_complain(l, "body_memory_per_connection",
                          "The largest upload (archive_bytes) and 1MiB must fit into it.");
    if (s->body_memory_per_connection < s->pie_bytes + (1 << 20))
        settings_complain(l, "body_memory_per_connection",
                          "The largest .pie file (pie_bytes) and 1MiB must fit into it.");
    if (s->archive_file_bytes > s->archive_bytes)
        settings_complain(l, "archive_file_bytes", "It is more than archive_bytes.");
    if (s->target_length > s->header_bytes)
        settings_complain(l, "target_length", "It is more than header_bytes.");
    if (s->connections_per_address > s->connections)
        settings_complain(l, "connections_per_address", "It is more than connections.");
}

// --- certificates ---

// NULL after having complained.
static char *read_pem(struct settings_load *l, const char *name, str path)
{
    AUTOFREE char *file = str_dup(path);
    AUTOFREE char *text = calloc(1, PEM_MAX + 1);
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd < 0 || text == NULL ? -1 : read(fd, text, PEM_MAX);
    int error = errno;
    if (fd >= 0)
        close(fd);
    if (n < 0) {
        settings_complain(l, name, "%s cannot be read: %s.", LOG_STR(path), strerror(error));
        return NULL;
    }
    char *pem = str_dup(str_of(text, (size_t)n));
    explicit_bzero(text, PEM_MAX);
    return pem;
}

// An encrypted key must not make OpenSSL ask at the terminal.
static int no_passphrase(char *to, int room, int is_writing, void *arg)
{
    return -1;
}

static X509 *parse_certificate(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *x = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    return x;
}

static EVP_PKEY *parse_key(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *k = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    return k;
}

static void check_pair(struct settings_load *l, str chain_path, str key_path)
{
    struct settings_certificate c = {read_pem(l, "tls_certificate", chain_path),
                                     read_pem(l, "tls_key", key_path)};
    X509 *x = c.chain != NULL ? parse_certificate(c.chain) : NULL;
    EVP_PKEY *k = c.key != NULL ? parse_key(c.key) : NULL;
    if (c.chain != NULL && x == NULL)
        settings_complain(l, "tls_certificate", "%s holds no PEM certificate.",
                          LOG_STR(chain_path));
    if (c.key != NULL && k == NULL)
        settings_complain(l, "tls_key", "%s holds no PEM private key without a passphrase.",
                          LOG_STR(key_path));
    bool is_pair = x != NULL && k != NULL && X509_check_private_key(x, k) == 1;
    if (x != NULL && k != NULL && !is_pair)
        settings_complain(l, "tls_key", "%s is not the key of %s.", LOG_STR(key_path),
                          LOG_STR(chain_path));
    X509_free(x);
    EVP_PKEY_free(k);
    if (is_pair && l->s->certificate_count != SETTINGS_CERTIFICATES_MAX) {
        l->s->certificates[l->s->certificate_count++] = c;
        return;
    }
    free(c.chain);
    free(c.key);
}

static size_t count_items(const char *list)
{
    size_t n = 0;
    str rest = str_from(list);
    while (listen_next(&rest).n != 0)
        ++n;
    return n;
}

void settings_check_tls(struct settings_load *l)
{
    const struct settings *s = l->s;
    size_t chains = count_items(s->tls_certificate), keys = count_items(s->tls_key);
    if (s->listen_tls[0] != '\0' && chains == 0)
        settings_complain(l, "listen_tls", "TLS needs tls_certificate and tls_key.");
    if (chains != keys)
        settings_complain(l, "tls_key",
                          "It names %zu files and tls_certificate %zu; each "
                          "certificate needs its key, in the same order.",
                          keys, chains);
    else if (chains > SETTINGS_CERTIFICATES_MAX)
        settings_complain(l, "tls_certificate", "Name at most %d.", SETTINGS_CERTIFICATES_MAX);
    else {
        str chain_rest = str_from(s->tls_certificate), key_rest = str_from(s->tls_key);
        for (str chain; (chain = listen_next(&chain_rest)).n != 0;)
            check_pair(l, chain, listen_next(&key_rest));
    }
}

void settings_check(struct settings_load *l)
{
    check_data(l);
    check_listeners(l);
    check_proxies(l);
    check_listen(l, "fetch_allow", l->s->fetch_allow);
    check_domains(l);
    check_acme(l);
    settings_check_tls(l);
    settings_check_origins(l);
    settings_check_master_key(l);
    check_users(l);
    check_databases(l);
    check_numbers(l);
}
