// initdb and postgres as child processes; databases are made through libpq.
#include "tests/harness/postgres.h"
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MADE_MAX = 64 };

static char directory[64]; // of our own cluster; "" when the server is somebody else's
static pid_t server;
static char base[512]; // URL up to the database's name
static char tail[256]; // what follows it
static char urls[2][1024];
static char made[MADE_MAX][64];
static unsigned made_count;

static _Noreturn void give_up(const char *what, const char *why)
{
    fprintf(stderr, "postgres for tests: %s: %s\n", what, why);
    if (server > 0)
        kill(server, SIGQUIT);
    exit(1);
}

static const char *programs(void)
{
    static char path[300];
    int newest = 0;
    DIR *dir = opendir("/usr/lib/postgresql");
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        if (atoi(e->d_name) > newest)
            newest = atoi(e->d_name);
    }
    if (dir != NULL)
        closedir(dir);
    if (newest == 0)
        give_up("PostgreSQL is not installed", "./dev install");
    snprintf(path, sizeof path, "/usr/lib/postgresql/%d/bin", newest);
    return path;
}

static void become_postgres(void)
{
    const struct passwd *user = getuid() == 0 ? getpwnam("postgres") : NULL;
    if (user != NULL && (setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0))
        _exit(126);
    prctl(PR_SET_PDEATHSIG, SIGQUIT); // behind setuid, which clears it
}

static pid_t start_program(const char *name, char **arguments)
{
    char path[400], log[96];
    snprintf(path, sizeof path, "%s/%s", programs(), name);
    snprintf(log, sizeof log, "%s/log", directory);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    become_postgres();
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (chdir("/") != 0 || fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
        _exit(126);
    setenv("LC_ALL", "C.UTF-8", 1);
    unsetenv("ASAN_OPTIONS");
    arguments[0] = path; // they look for each other beside this, or along PATH
    execv(path, arguments);
    _exit(127);
}

static void run_statement(const char *url, const char *sql)
{
    PGconn *conn = PQconnectdb(url);
    PGresult *r = PQstatus(conn) == CONNECTION_OK ? PQexec(conn, sql) : NULL;
    if (PQresultStatus(r) != PGRES_COMMAND_OK)
        give_up(sql, PQerrorMessage(conn));
    PQclear(r);
    PQfinish(conn);
}

static void wait_until_up(void)
{
    char url[1024];
    snprintf(url, sizeof url, "%spostgres%s", base, tail);
    for (int i = 0; i != 400; ++i) {
        if (PQping(url) == PQPING_OK)
            return;
        if (waitpid(server, NULL, WNOHANG) == server) {
            server = 0;
            give_up("the server ended", "see its log");
        }
        usleep(25000);
    }
    give_up("the server", "did not come up in 10 s");
}

static void start_server(void)
{
    char data[96];
    snprintf(data, sizeof data, "%s/data", directory);
    char *arguments[] = {"postgres",
                         "-D",
                         data,
                         "-k",
                         directory,
                         "-c",
                         "listen_addresses=",
                         "-c",
                         "fsync=off",
                         "-c",
                         "full_page_writes=off",
                         "-c",
                         "synchronous_commit=off",
                         "-c",
                         "shared_buffers=32MB",
                         NULL};
    server = start_program("postgres", arguments);
    wait_until_up();
}

static bool copy_folder(const char *from, const char *to)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/cp", "cp", "-a", "--reflink=auto", from, to, NULL);
        _exit(127);
    }
    return waitpid(pid, &status, 0) == pid && status == 0;
}

static void make_data(const char *data)
{
    char *arguments[] = {"initdb",    "-D",    (char *)data, "-U",   "postgres",
                         "-A",        "trust", "-E",         "UTF8", "--locale=C.UTF-8",
                         "--no-sync", NULL};
    int status;
    pid_t pid = start_program("initdb", arguments);
    if (waitpid(pid, &status, 0) != pid || status != 0)
        give_up("initdb failed", directory);
}

static int on_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static void remove_folder(const char *folder)
{
    nftw(folder, on_entry, 16, FTW_DEPTH | FTW_PHYS);
}

// initdb takes most of a second of a core: the first of a run leaves a copy to the others.
static void make_or_copy_data(const char *data)
{
    const char *template = getenv("TEST_PG_TEMPLATE");
    char new_template[512];
    if (template == NULL || template[0] == '\0') {
        make_data(data);
        return;
    }
    if (access(template, F_OK) == 0 && copy_folder(template, data))
        return;
    remove_folder(data);
    make_data(data);
    snprintf(new_template, sizeof new_template, "%s-%d", template, (int)getpid());
    if (!copy_folder(data, new_template) || rename(new_template, template) != 0)
        remove_folder(new_template); // another was first
}

static void make_cluster(void)
{
    char data[96];
    snprintf(directory, sizeof directory, "/tmp/stoa-test-pg-XXXXXX");
    if (mkdtemp(directory) == NULL)
        give_up("mkdtemp", "failed");
    const struct passwd *user = getuid() == 0 ? getpwnam("postgres") : NULL;
    if (user != NULL && chown(directory, user->pw_uid, user->pw_gid) != 0)
        give_up("chown", directory);
    snprintf(data, sizeof data, "%s/data", directory);
    make_or_copy_data(data);
    snprintf(base, sizeof base, "postgresql://postgres@/");
    snprintf(tail, sizeof tail, "?host=%s", directory);
    start_server();
}

// "postgresql://user@host/database?options" into base and tail; anything else is a socket
// directory.
static void use_server(const char *given)
{
    if (strncmp(given, "postgres", 8) != 0) {
        snprintf(base, sizeof base, "postgresql://postgres@/");
        snprintf(tail, sizeof tail, "?host=%s", given);
        return;
    }
    const char *authority = strstr(given, "://");
    const char *slash = authority != NULL ? strchr(authority + 3, '/') : NULL;
    if (slash == NULL)
        give_up("STOA_TEST_PG", "is no URL with a database");
    const char *query = strchr(slash, '?');
    snprintf(base, sizeof base, "%.*s", (int)(slash + 1 - given), given);
    snprintf(tail, sizeof tail, "%s", query != NULL ? query : "");
}

static const char *new_database(char *url, size_t room)
{
    char administration[1024], sql[128];
    if (made_count == MADE_MAX)
        give_up("databases", "too many");
    snprintf(made[made_count], sizeof made[0], "stoa_unit_%d_%u", (int)getpid(), made_count);
    snprintf(administration, sizeof administration, "%spostgres%s", base, tail);
    snprintf(sql, sizeof sql, "create database %s", made[made_count]);
    run_statement(administration, sql);
    snprintf(url, room, "%s%s%s", base, made[made_count++], tail);
    return url;
}

const char *postgres_start(void)
{
    const char *given = getenv("STOA_TEST_PG");
    if (given != NULL && given[0] != '\0')
        use_server(given);
    else
        make_cluster();
    return new_database(urls[0], sizeof urls[0]);
}

const char *postgres_new_database(void)
{
    return new_database(urls[1], sizeof urls[1]);
}

bool postgres_is_ours(void)
{
    return directory[0] != '\0';
}

void postgres_halt(void)
{
    kill(server, SIGQUIT);
    waitpid(server, NULL, 0);
    server = 0;
}

void postgres_resume(void)
{
    start_server();
}

void postgres_stop(void)
{
    char administration[1024], sql[128];
    if (postgres_is_ours()) {
        postgres_halt();
        remove_folder(directory);
        return;
    }
    snprintf(administration, sizeof administration, "%spostgres%s", base, tail);
    for (unsigned i = 0; i != made_count; ++i) {
        snprintf(sql, sizeof sql, "drop database if exists %s with (force)", made[i]);
        run_statement(administration, sql);
    }
}
