// Making the cluster: directories, programs, initdb, roles, its settings. All file work below the
// home is done as the cluster's user, so that nothing he may have put there leads root astray.
#include "edge/store/private_postgres_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "edge/base/digest.h"
#include "edge/base/directory.h"
#include "edge/base/log.h"
#include "edge/base/process.h"

static enum fail cannot(struct fault *fault, const char *what, const char *path)
{
    return fault_set(fault, FAIL_INTERNAL, "private_postgres", "%s %s: %s.", what, path,
                     strerror(errno));
}

// --- directories ---

enum fail cluster_make_home(struct private_postgres *p, struct fault *fault)
{
    snprintf(p->home, sizeof p->home, "%s/%s-pg", p->data, p->profile->name);
    snprintf(p->cluster, sizeof p->cluster, "%s/cluster", p->home);
    enum fail fail = directory_make(p->home, 0700, p->uid, p->gid, fault);
    if (fail != FAIL_NONE)
        return fail;
    process_files_as(p->uid, p->gid);
    int fd = open(p->home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    process_files_as_ourselves();
    if (fd < 0)
        return fault_set(fault, FAIL_INTERNAL, "private_postgres",
                         "The user that PostgreSQL runs as cannot reach %s: a directory above it "
                         "is closed to others. Choose another data directory, such as "
                         "/var/lib/stoa.",
                         p->home);
    close(fd);
    return FAIL_NONE;
}

static bool fits_socket(const char *directory)
{
    return strlen(directory) + strlen("/.s.PGSQL.5432.lock") < CLUSTER_SOCKET_ROOM;
}

// /run/stoa for root; the session's directory for others, or else one in /tmp that is nobody's yet.
static void pick_sockets(struct private_postgres *p, const char *tail)
{
    const char *session = getenv("XDG_RUNTIME_DIR");
    if (geteuid() == 0) {
        snprintf(p->sockets, sizeof p->sockets, "/run/stoa/%s", tail);
        return;
    }
    if (session != NULL && session[0] == '/' && access(session, W_OK) == 0) {
        char path[CLUSTER_PATH_ROOM];
        snprintf(path, sizeof path, "%s/stoa-%s", session, tail);
        if (fits_socket(path)) {
            memcpy(p->sockets, path, strlen(path) + 1);
            return;
        }
    }
    snprintf(p->sockets, sizeof p->sockets, "/tmp/stoa-%u-%s", (unsigned)p->uid, tail);
}

static void write_url(const struct private_postgres *p, const char *role, char *to, size_t room)
{
    size_t n = (size_t)snprintf(to, room, "postgresql://%s@", role);
    for (const char *c = p->sockets; *c != '\0'; ++c) {
        bool is_plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                        (*c >= '0' && *c <= '9') || *c == '-' || *c == '_';
        n += (size_t)snprintf(to + n, room - n, is_plain ? "%c" : "%%%02X", (unsigned char)*c);
    }
    snprintf(to + n, room - n, ":5432/stoa");
}

void cluster_name_sockets(struct private_postgres *p)
{
    struct digest d = digest_sha256(str_from(p->data));
    char hex[DIGEST_HEX_ROOM], tail[64];
    digest_hex(&d, hex);
    snprintf(tail, sizeof tail, "%s-%.12s", p->profile->name, hex);
    pick_sockets(p, tail);
    write_url(p, p->profile->server_roles[0], p->url, sizeof p->url);
    if (p->profile->server_roles[1] != NULL)
        write_url(p, p->profile->server_roles[1], p->provision_url, sizeof p->provision_url);
}

enum fail cluster_make_sockets(const struct private_postgres *p, struct fault *fault)
{
    bool is_one_user = p->uid == p->server_uid;
    enum fail fail = geteuid() == 0 ? directory_make("/run/stoa", 0755, 0, 0, fault) : FAIL_NONE;
    if (fail != FAIL_NONE)
        return fail;
    return directory_make(p->sockets, is_one_user ? 0700 : 0710, p->uid,
                          is_one_user ? p->gid : p->server_gid, fault);
}

// --- programs ---

static bool has_programs(const char *directory)
{
    static const char *const needed[] = {"postgres", "initdb"};
    for (size_t i = 0; i != 2; ++i) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", directory, needed[i]);
        if (access(path, X_OK) != 0)
            return false;
    }
    return true;
}

unsigned cluster_version(const struct private_postgres *p)
{
    char path[CLUSTER_PATH_ROOM + 16], text[16] = "";
    snprintf(path, sizeof path, "%s/PG_VERSION", p->cluster);
    process_files_as(p->uid, p->gid);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    process_files_as_ourselves();
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    return n > 0 ? (unsigned)strtoul(text, NULL, 10) : 0;
}

// The version in /usr/lib/postgresql/15/bin or /usr/pgsql-15/bin.
static unsigned path_version(const char *path)
{
    const char *digit = strpbrk(path, "0123456789");
    return digit != NULL ? (unsigned)strtoul(digit, NULL, 10) : 0;
}

static unsigned find_versioned(struct private_postgres *p, unsigned wanted)
{
    glob_t found;
    unsigned best = 0;
    if (glob("/usr/lib/postgresql/[0-9]*/bin", 0, NULL, &found) != 0)
        found.gl_pathc = 0;
    for (size_t i = 0; i != found.gl_pathc; ++i) {
        const char *path = found.gl_pathv[i];
        unsigned version = path_version(path);
        if (version > best && (wanted == 0 || version == wanted) && has_programs(path)) {
            best = version;
            snprintf(p->programs, sizeof p->programs, "%s", path);
        }
    }
    globfree(&found);
    return best;
}

static bool find_unversioned(struct private_postgres *p)
{
    const char *path = getenv("PATH");
    str rest = str_from(path != NULL ? path : "");
    while (rest.n != 0) {
        str directory = str_cut(&rest, ':');
        snprintf(p->programs, sizeof p->programs, "%.*s", STR_FMT(directory));
        if (p->programs[0] == '/' && has_programs(p->programs))
            return true;
    }
    snprintf(p->programs, sizeof p->programs, "/usr/local/pgsql/bin");
    return has_programs(p->programs);
}

enum fail cluster_find_programs(struct private_postgres *p, struct fault *fault)
{
    unsigned wanted = cluster_version(p);
    if (find_versioned(p, wanted) != 0 || find_unversioned(p))
        return FAIL_NONE;
    if (wanted != 0)
        return fault_set(fault, FAIL_INTERNAL, "private_postgres",
                         "The data in %s needs the programs of PostgreSQL %u, which are not on "
                         "this machine. Install the package postgresql-%u.",
                         p->home, wanted, wanted);
    return fault_set(fault, FAIL_INTERNAL, "private_postgres",
                     "PostgreSQL's programs (postgres, initdb) were not found. Install "
                     "the package postgresql, or use a database you run: --database URL.");
}

// --- running one of them ---

int cluster_open_log(const struct private_postgres *p)
{
    char path[CLUSTER_PATH_ROOM + 16];
    snprintf(path, sizeof path, "%s/postgres.log", p->home);
    process_files_as(p->uid, p->gid);
    int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    process_files_as_ourselves();
    return fd;
}

void cluster_quote_log(const struct private_postgres *p)
{
    enum { TAIL = 1200, LINES = 6 };
    char text[TAIL];
    int fd = cluster_open_log(p);
    off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
    off_t from = size > TAIL ? size - TAIL : 0;
    ssize_t n = fd >= 0 ? pread(fd, text, sizeof text, from) : 0;
    if (fd >= 0)
        close(fd);
    str rest = str_of(text, n > 0 ? (size_t)n : 0), lines[LINES] = {{0}};
    size_t count = 0;
    while (rest.n != 0)
        lines[count++ % LINES] = str_cut(&rest, '\n');
    for (size_t i = count > LINES ? count - LINES : 0; i != count; ++i)
        log_error("postgresql said", "%s", LOG_STR(lines[i % LINES]));
}

// one_session.c, by descriptor: it may lie where only we can reach it. -1: it is not installed.
static int open_library(void)
{
    char path[1024];
    if (!process_find_beside("stoa-one-session.so", path, sizeof path)) {
        log_warn("plugins' statements take processor time from the server: stoa-one-session.so "
                 "is not installed",
                 "%s", "");
        return -1;
    }
    return open(path, O_RDONLY | O_CLOEXEC);
}

enum fail cluster_start(const struct private_postgres *p, const char *program, char *const *argv,
                        int input, int death_signal, pid_t *ret_pid, struct fault *fault)
{
    char path[512], search[300], home[CLUSTER_PATH_ROOM + 8];
    snprintf(path, sizeof path, "%s/%s", p->programs, program);
    snprintf(home, sizeof home, "HOME=%s", p->home);
    snprintf(search, sizeof search, "PATH=%s:/usr/bin:/bin",
             p->programs); // they look for each other
    int log = cluster_open_log(p), library = p->profile->runs_strangers_sql ? open_library() : -1;
    char *env[] = {"LC_ALL=C.UTF-8",
                   "LANGUAGE=C",
                   "TZ=UTC",
                   search,
                   home,
                   library >= 0 ? "LD_PRELOAD=/proc/self/fd/3" : NULL,
                   NULL};
    struct process_plan plan = {.program = path,
                                .argv = argv,
                                .env = env,
                                .uid = p->uid,
                                .gid = p->gid,
                                .extra_group = p->uid != p->server_uid ? p->server_gid : 0,
                                .fds = (int[]){input, log, log, library},
                                .fd_count = library >= 0 ? 4 : 3,
                                .death_signal = death_signal,
                                .comes_last = p->profile->runs_strangers_sql,
                                .address_space = p->profile->address_space};
    enum fail fail = process_start(&plan, ret_pid, fault);
    if (log >= 0)
        close(log);
    if (library >= 0)
        close(library);
    return fail;
}

enum fail cluster_judge(const struct private_postgres *p, const char *program, int status,
                        struct fault *fault)
{
    if (status == 0)
        return FAIL_NONE;
    cluster_quote_log(p);
    return fault_set(fault, FAIL_INTERNAL, "private_postgres", "PostgreSQL's %s failed (%s).",
                     program, process_status_text(status));
}

// --- the cluster ---

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    return remove(path);
}

enum fail cluster_begin_init(struct private_postgres *p, struct fault *fault)
{
    char folder[CLUSTER_PATH_ROOM + 16];
    if (getpwuid(p->uid) == NULL)
        return fault_set(fault, FAIL_INTERNAL, "private_postgres",
                         "The user with the number %u has no entry in /etc/passwd, which "
                         "PostgreSQL needs. Use a database you run: --database URL.",
                         (unsigned)p->uid);
    log_info("making a private PostgreSQL cluster", "folder=%s programs=%s", p->home, p->programs);
    snprintf(folder, sizeof folder, "%s/new", p->home);
    process_files_as(p->uid, p->gid);
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS); // of an initdb that did not get far
    process_files_as_ourselves();
    char *initdb[] = {
        "initdb",  "-D", folder,       "--no-sync", "-E",   "UTF8", "--locale",
        "C.UTF-8", "-U", "stoa_admin", "--auth",    "peer", "-k",   "--no-instructions",
        NULL};
    return cluster_start(p, "initdb", initdb, -1, SIGTERM, &p->pid, fault);
}

// In single-user mode: nobody can connect before the rights are as they should be.
enum fail cluster_begin_roles(struct private_postgres *p, struct fault *fault)
{
    char folder[CLUSTER_PATH_ROOM + 16];
    snprintf(folder, sizeof folder, "%s/new", p->home);
    char *postgres[] = {"postgres", "--single",         "-D",        folder, "-F",
                        "-c",       "exit_on_error=on", "template1", NULL};
    const char *script = p->profile->script;
    size_t n = strlen(script);
    int input = memfd_create("roles", MFD_CLOEXEC);
    if (input < 0 || write(input, script, n) != (ssize_t)n || lseek(input, 0, SEEK_SET) != 0)
        abort(); // out of memory
    enum fail fail = cluster_start(p, "postgres", postgres, input, SIGTERM, &p->pid, fault);
    close(input);
    return fail;
}

// What was made without syncing is synced whole, and only then gets its name. By one syncfs: a
// fsync for each of a thousand files takes seconds where the disk's flush takes milliseconds.
enum fail cluster_settle(const struct private_postgres *p, struct fault *fault)
{
    char folder[CLUSTER_PATH_ROOM + 16];
    snprintf(folder, sizeof folder, "%s/new", p->home);
    process_files_as(p->uid, p->gid);
    int home = open(p->home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_done =
        home >= 0 && syncfs(home) == 0 && rename(folder, p->cluster) == 0 && fsync(home) == 0;
    int error = errno;
    if (home >= 0)
        close(home);
    process_files_as_ourselves();
    errno = error;
    return is_done ? FAIL_NONE : cannot(fault, "Cannot make", p->cluster);
}

// --- its settings ---

static enum fail write_file(const struct private_postgres *p, const char *name, str text,
                            struct fault *fault)
{
    char path[CLUSTER_PATH_ROOM + 32];
    snprintf(path, sizeof path, "%s/%s", p->home, name);
    process_files_as(p->uid, p->gid);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    process_files_as_ourselves();
    bool is_done = fd >= 0 && write(fd, text.p, text.n) == (ssize_t)text.n;
    int error = errno;
    if (fd >= 0)
        close(fd);
    errno = error;
    return is_done ? FAIL_NONE : cannot(fault, "Cannot write", path);
}

static void user_name(uid_t uid, char *to, size_t room)
{
    const struct passwd *pw = getpwuid(uid);
    snprintf(to, room, "%s", pw != NULL ? pw->pw_name : "");
}

static enum fail write_map(const struct private_postgres *p, struct fault *fault)
{
    char admin[64], server[64], map[512];
    user_name(p->uid, admin, sizeof admin);
    user_name(p->server_uid, server, sizeof server);
    int n = snprintf(map, sizeof map, "stoa \"%s\" stoa_admin\n", admin);
    for (const char *const *role = p->profile->server_roles; *role != NULL; ++role)
        n += snprintf(map + n, sizeof map - (size_t)n, "stoa \"%s\" %s\n", server, *role);
    return write_file(p, "pg_ident.conf", str_of(map, (size_t)n), fault);
}

enum fail cluster_write_settings(struct private_postgres *p, struct fault *fault)
{
    struct buf b;
    buf_init(&b, 64 << 10);
    buf_addf(&b, "# Written by stoa at each start; changes are lost.\n%s", p->profile->settings);
    buf_addf(&b, "cluster_name = 'stoa %s'\nhba_file = '%s/pg_hba.conf'\n", p->profile->name,
             p->home);
    buf_addf(&b, "ident_file = '%s/pg_ident.conf'\nunix_socket_directories = '%s'\n", p->home,
             p->sockets);
    if (p->uid == p->server_uid)
        buf_addf(&b, "unix_socket_permissions = 0700\n");
    else
        buf_addf(&b, "unix_socket_permissions = 0770\nunix_socket_group = '%u'\n",
                 (unsigned)p->server_gid);
    enum fail fail = write_file(p, "postgresql.conf", buf_str(&b), fault);
    buf_fini(&b);
    if (fail == FAIL_NONE)
        fail = write_file(p, "pg_hba.conf", str_from(p->profile->who_gets_in), fault);
    return fail == FAIL_NONE ? write_map(p, fault) : fail;
}
