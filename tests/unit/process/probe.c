// `stoa` with a server that serves nothing: each request path is a question about what it was
// given. One connection at a time.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "edge/base/log.h"
#include "edge/base/process.h"
#include "edge/cage/cage.h"
#include "edge/supervisor.h"

static struct settings settings;
static _Atomic bool is_deaf; // to CONTROL_STOP
static _Atomic int ended_number, ended_status, reload_fd = -1;

static void on_ended(uint32_t number, int status)
{
    ended_status = status;
    ended_number = (int)number;
}

static void on_control(enum control_type type, int fd)
{
    if (type == CONTROL_RELOAD)
        reload_fd = fd;
    else if (!is_deaf)
        _exit(cage_say(CONTROL_DRAINED) == FAIL_NONE ? 0 : 3);
}

static void add_file(struct buf *b, const char *path)
{
    char text[4096];
    FILE *f = fopen(path, "r");
    size_t n = f != NULL ? fread(text, 1, sizeof text, f) : 0;
    buf_add(b, str_of(text, n));
    if (f != NULL)
        fclose(f);
}

static void tell_process(struct buf *b)
{
    struct rlimit core, files;
    getrlimit(RLIMIT_CORE, &core);
    getrlimit(RLIMIT_NOFILE, &files);
    add_file(b, "/proc/self/status");
    buf_addf(b, "core=%ld files_at_limit=%d pid=%d cwd=", (long)core.rlim_cur,
             files.rlim_cur == files.rlim_max, (int)getpid());
    char cwd[64];
    buf_add(b, str_from(getcwd(cwd, sizeof cwd)));
    buf_addf(b, "\nfds=");
    for (int fd = 0; fd != 512; ++fd)
        if (fcntl(fd, F_GETFD) >= 0)
            buf_addf(b, "%d,", fd);
    buf_addf(b, "\nenvironment=");
    extern char **environ;
    for (char **e = environ; *e != NULL; ++e)
        buf_addf(b, "%s;", *e);
}

static void tell_database(struct buf *b)
{
    PGconn *c = PQconnectdb(settings.database);
    PGresult *r =
        PQexec(c, "select current_user || ' ' || current_database() || ' super=' || "
                  "rolsuper || ' createrole=' || rolcreaterole || ' user_at_postgres=' || "
                  "has_database_privilege('postgres', 'connect') from pg_roles where "
                  "rolname = current_user");
    buf_addf(b, "%s",
             PQresultStatus(r) == PGRES_TUPLES_OK ? PQgetvalue(r, 0, 0) : PQerrorMessage(c));
    PQclear(r);
    r = PQexec(c, "create table if not exists kept (n int); insert into kept values (1)");
    PQclear(r);
    r = PQexec(c, "select count(*) from kept");
    buf_addf(b, " rows=%s\n", PQresultStatus(r) == PGRES_TUPLES_OK ? PQgetvalue(r, 0, 0) : "?");
    PQclear(r);
    PQfinish(c);
}

static void tell_worker(struct buf *b, enum cage_kind kind)
{
    struct cage_worker w;
    struct fault fault;
    char text[256];
    if (cage_start(kind, &w, &fault) != FAIL_NONE) {
        buf_addf(b, "%s", fault.log_text);
        return;
    }
    ssize_t n = read(w.fd, text, sizeof text);
    buf_add(b, str_of(text, n > 0 ? (size_t)n : 0));
    cage_kill(w.number);
    for (int i = 0; i != 500 && ended_number != (int)w.number; ++i)
        usleep(10000);
    buf_addf(b, "number=%u ended=%d status=%s\n", w.number, ended_number == (int)w.number,
             process_status_text(ended_status));
    close(w.fd);
}

static void tell_settings(struct buf *b)
{
    struct settings fresh;
    int fd = atomic_exchange(&reload_fd, -1);
    char changed[256] = "", ignored[256] = "";
    if (fd >= 0 && settings_from_fd(&fresh, fd, NULL) == FAIL_NONE) {
        settings_reload(&settings, &fresh, changed, ignored, sizeof changed);
        settings_fini(&fresh);
        close(fd);
    }
    buf_addf(b, "level=%s threads=%d changed=%s ignored=%s apps=%s console=%s token=%s\n",
             settings.log_level, (int)settings.threads, changed, ignored, settings.apps_origin,
             settings.console_origin, settings.admin_token);
}

static void tell_broken(struct buf *b)
{
    static const char nonsense[] = "nonsense";
    buf_addf(b, "%zd", send(CONTROL_FD, nonsense, sizeof nonsense, 0));
}

static void answer(int fd)
{
    char request[1024] = "";
    struct buf b;
    if (read(fd, request, sizeof request - 1) <= 0)
        return;
    buf_init(&b, 64 << 10);
    buf_addf(&b, "HTTP/1.0 200 OK\r\n\r\n");
    str path = str_from(request + 4);
    if (str_starts(path, STR("/process")))
        tell_process(&b);
    else if (str_starts(path, STR("/database")))
        tell_database(&b);
    else if (str_starts(path, STR("/worker")))
        tell_worker(&b, CAGE_INSPECT);
    else if (str_starts(path, STR("/handler")))
        tell_worker(&b, CAGE_HANDLER);
    else if (str_starts(path, STR("/settings")))
        tell_settings(&b);
    else if (str_starts(path, STR("/nonsense")))
        tell_broken(&b);
    else if (str_starts(path, STR("/deaf")))
        is_deaf = true;
    else
        buf_addf(&b, "pid=%d", (int)getpid());
    if (write(fd, b.p, b.n) < 0)
        perror("probe");
    shutdown(fd, SHUT_WR);
    buf_fini(&b);
}

static void serve(const struct listener_fd *list, size_t count)
{
    struct pollfd polled[64];
    for (size_t i = 0; i != count; ++i)
        polled[i] = (struct pollfd){.fd = list[i].fd, .events = POLLIN};
    for (;;) {
        poll(polled, count, -1);
        for (size_t i = 0; i != count; ++i) {
            int fd = accept4(list[i].fd, NULL, NULL, SOCK_CLOEXEC);
            if (fd < 0)
                continue;
            answer(fd);
            close(fd);
        }
    }
}

static int server_main(void)
{
    const struct listener_fd *list;
    struct fault fault;
    process_forbid_inspection();
    log_set_role("server");
    if (settings_from_fd(&settings, SETTINGS_FD, &fault) != FAIL_NONE) {
        fprintf(stderr, "%s\n", fault.public_text);
        return 1;
    }
    if (settings.threads == 78)
        return SERVER_EXIT_REFUSED;
    size_t count = supervisor_listeners(&list);
    cage_connect(CONTROL_FD, on_ended, on_control);
    if (cage_say(CONTROL_READY) != FAIL_NONE)
        return 1;
    serve(list, count);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "serve-process") == 0)
        return server_main();
    if (argc > 2 && strcmp(argv[1], "settings") == 0) {
        settings_print_markdown(stdout);
        return 0;
    }
    return supervisor_main(argc - 2, argv + 2);
}
