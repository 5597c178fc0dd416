// One thread, one poll: signals as a descriptor, and the control socket of the server that runs.
// What ends is started again after a pause that grows while it does not live long: 0, 0.1, 0.5, 2,
// then 5 s. The listening sockets are never closed in between, so that visitors wait in their
// queue and nobody is refused.
#include "edge/supervisor_internal.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "edge/base/clock.h"
#include "edge/base/log.h"
#include "edge/base/process.h"
#include "edge/data_directory.h"
#include "edge/ready.h"

void supervisor_backoff_started(struct backoff *b)
{
    b->started = clock_monotonic_ms();
    b->due = 0;
}

unsigned supervisor_backoff_ended(struct backoff *b)
{
    static const unsigned pauses[] = {0, 100, 500, 2000, 5000};
    uint64_t now = clock_monotonic_ms();
    if (now - b->started >= STABLE_MS)
        b->failures = 0;
    unsigned pause = pauses[b->failures < 4 ? b->failures : 4];
    ++b->failures;
    b->due = now + pause;
    return pause;
}

// --- what the server is given ---

static void fill_origin(char **origin, const struct supervisor *sv, enum listener_kind kind)
{
    char url[96];
    if (**origin != '\0' || !ready_url(sv->listeners, sv->listener_count, kind, url, sizeof url))
        return;
    free(*origin);
    *origin = str_dup(str_from(url));
}

static void fill_url(char **setting, const char *url)
{
    free(*setting);
    *setting = str_dup(str_from(url));
}

// What the settings leave to us: so that a server and a reload see the same.
static void complete(const struct supervisor *sv, struct settings *s)
{
    fill_origin(&s->apps_origin, sv, LISTENER_APPS);
    fill_origin(&s->console_origin, sv, LISTENER_CONSOLE);
    free(s->listeners);
    s->listeners = listen_pack(sv->listeners, sv->listener_count);
    const struct private_postgres *state = sv->clusters[STATE].postgres,
                                  *plugins = sv->clusters[PLUGINS].postgres;
    if (state != NULL)
        fill_url(&s->database, private_postgres_url(state));
    s->has_private_plugins = plugins != NULL;
    if (plugins != NULL) {
        fill_url(&s->plugin_database, private_postgres_url(plugins));
        fill_url(&s->plugin_database_provision, private_postgres_provision_url(plugins));
    }
}

// Nothing of ours but what it must know. The memory behind it lives as long as the process.
static char *const *server_environment(void)
{
    static char *env[16] = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8"};
    static const char *const passed[] = {
        "TZ=",
#ifdef STOA_FAULTS
        "STOA_FAULT",
#endif
#if defined(STOA_ASAN) || defined(STOA_TSAN)
        "ASAN_OPTIONS=",
        "UBSAN_OPTIONS=",
        "LSAN_OPTIONS=",
        "TSAN_OPTIONS=",
#endif
    };
    extern char **environ;
    size_t n = 2;
    for (char **e = environ; *e != NULL; ++e)
        for (size_t i = 0; i != sizeof passed / sizeof passed[0] && n != 15; ++i)
            if (strncmp(*e, passed[i], strlen(passed[i])) == 0)
                env[n++] = *e;
    env[n] = NULL;
    return env;
}

// --- the server's life ---

static void server_failed(struct supervisor *sv)
{
    if (sv->is_stopping) {
        sv->is_done = true;
        return;
    }
    unsigned pause = supervisor_backoff_ended(&sv->server_backoff);
    log_warn("starting the server again", "in_ms=%u", pause);
}

static void server_start(struct supervisor *sv)
{
    int pair[2], fds[PROCESS_FDS_MAX] = {-1, STDOUT_FILENO, STDERR_FILENO};
    struct fault fault;
    supervisor_backoff_started(&sv->server_backoff);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        log_error("no control socket", "error=%s", strerror(errno));
        server_failed(sv);
        return;
    }
    fds[CONTROL_FD] = pair[1];
    fds[SETTINGS_FD] = settings_to_fd(sv->settings);
    for (size_t i = 0; i != sv->listener_count; ++i)
        fds[LISTEN_FD_FIRST + i] = sv->listeners[i].fd;
    char *argv[] = {"stoa", "serve-process", NULL};
    struct process_plan plan = {.program = "/proc/self/exe",
                                .argv = argv,
                                .env = server_environment(),
                                .uid = sv->server_user.uid,
                                .gid = sv->server_user.gid,
                                .fds = fds,
                                .fd_count = LISTEN_FD_FIRST + sv->listener_count,
                                .death_signal = SIGKILL,
                                .all_descriptors = true};
    enum fail fail = process_start(&plan, &sv->server, &fault);
    close(pair[1]);
    close(fds[SETTINGS_FD]);
    if (fail != FAIL_NONE) {
        close(pair[0]);
        sv->server = 0;
        log_error("the server could not be started", "reason=%s",
                  LOG_STR(str_from(fault.public_text)));
        server_failed(sv);
        return;
    }
    // only ours: no server may stall us by not reading; the server's own end blocks
    if (fcntl(pair[0], F_SETFL, O_NONBLOCK) != 0)
        abort();
    sv->control = pair[0];
    sv->is_ready = false;
}

static void drop_control(struct supervisor *sv)
{
    if (sv->control >= 0)
        close(sv->control);
    sv->control = -1;
}

// It no longer speaks our language, or does not listen: it is of no use.
static void server_abandon(struct supervisor *sv, const char *why)
{
    log_error("ending the server", "reason=\"%s\"", why);
    drop_control(sv);
    kill(sv->server, SIGKILL);
}

static void server_ended(struct supervisor *sv, int status)
{
    bool is_refusal = WIFEXITED(status) && WEXITSTATUS(status) == SERVER_EXIT_REFUSED;
    bool is_clean = sv->is_stopping && status == 0;
    log_write(is_clean ? LOG_INFO : LOG_ERROR, "the server ended", "pid=%d status=\"%s\"",
              (int)sv->server, process_status_text(status));
    sv->server = 0;
    drop_control(sv);
    workers_kill_all(&sv->workers);
    if (is_refusal) {
        sv->is_stopping = sv->is_done = true;
        sv->exit_status = EXIT_FAILURE;
        return;
    }
    server_failed(sv);
}

static void on_server_ready(struct supervisor *sv)
{
    struct fault fault;
    if (!sv->is_ready)
        log_info("serving", "pid=%d apps=%s console=%s ms=%u", (int)sv->server,
                 sv->settings->apps_origin, sv->settings->console_origin,
                 (unsigned)(clock_monotonic_ms() - sv->server_backoff.started));
    sv->is_ready = true;
    if (ready_write(sv->settings, sv->server, &fault) != FAIL_NONE)
        log_error("no ready file", "reason=%s", LOG_STR(str_from(fault.public_text)));
    ready_notify("READY=1\nSTATUS=Serving");
}

static enum fail on_message(struct supervisor *sv, const struct control_message *m)
{
    switch (m->type) {
    case CONTROL_READY:
        on_server_ready(sv);
        return FAIL_NONE;
    case CONTROL_DRAINED:
        log_debug("drained", "pid=%d", (int)sv->server);
        return FAIL_NONE;
    case CONTROL_START:
        return workers_start(&sv->workers, sv->control, m);
    case CONTROL_KILL:
        workers_kill(&sv->workers, m->number);
        return FAIL_NONE;
    default:
        return FAIL_INTERNAL; // the rest only ever goes the other way
    }
}

// Once it has hung up, its end is only waited for (and hastened, should it live on without us).
static void server_hung_up(struct supervisor *sv)
{
    drop_control(sv);
    kill(sv->server, SIGKILL);
}

// It may do so between two messages that are read in one turn.
static bool has_hung_up_now(int control)
{
    struct pollfd p = {.fd = control};
    return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) != 0;
}

static void on_control(struct supervisor *sv, bool has_hung_up)
{
    for (int i = 0; i != MESSAGES_PER_TURN; ++i) {
        struct control_message m;
        int fd;
        enum fail fail = control_receive(sv->control, &m, &fd);
        if (fail == FAIL_BUSY)
            return;
        if (fail == FAIL_NONE && fd >= 0) { // no message of a server's carries one
            close(fd);
            fail = FAIL_INTERNAL;
        }
        if (fail == FAIL_NONE)
            fail = on_message(sv, &m);
        if (fail != FAIL_NONE && (has_hung_up || has_hung_up_now(sv->control)))
            server_hung_up(sv);
        else if (fail != FAIL_NONE)
            server_abandon(sv, "its control socket brings nonsense");
        if (fail != FAIL_NONE)
            return;
    }
}

// One that is gone is only waited for: between its end and our news of it there is always a moment.
static void tell_server(struct supervisor *sv, const struct control_message *m, int fd)
{
    enum fail fail = sv->control >= 0 ? control_send(sv->control, m, fd) : FAIL_NONE;
    if (fail == FAIL_BUSY)
        server_abandon(sv, "it does not read its control socket");
    else if (fail != FAIL_NONE)
        server_hung_up(sv);
}

static void tell_ended(struct supervisor *sv, uint32_t number, int status)
{
    struct control_message m = {.type = CONTROL_ENDED, .number = number, .status = status};
    tell_server(sv, &m, -1);
}

// --- signals ---

static void reap(struct supervisor *sv)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        uint32_t number;
        struct cluster *c = supervisor_cluster_of(sv, pid);
        if (pid == sv->server)
            server_ended(sv, status);
        else if (c != NULL)
            supervisor_cluster_ended(sv, c, status);
        else if (workers_take(&sv->workers, pid, &number))
            tell_ended(sv, number, status);
    }
}

static void tell_stop(struct supervisor *sv)
{
    struct control_message m = {.type = CONTROL_STOP};
    if (sv->control < 0 || control_send(sv->control, &m, -1) != FAIL_NONE)
        kill(sv->server, SIGKILL);
}

// With the server's own gone too, newcomers are refused and go elsewhere, instead of waiting for
// nobody.
static void close_listeners(struct supervisor *sv)
{
    for (size_t i = 0; i != sv->listener_count; ++i)
        close(sv->listeners[i].fd);
    sv->listener_count = 0;
}

static void stop(struct supervisor *sv)
{
    uint64_t now = clock_monotonic_ms();
    if (sv->is_stopping) {
        log_info("stopping at once", "%s", "");
        sv->stop_deadline = now;
        return;
    }
    log_info("stopping; once more stops at once", "%s", "");
    ready_notify("STOPPING=1");
    sv->is_stopping = true;
    sv->stop_deadline = now + sv->settings->shutdown_timeout + STOP_GRACE_MS;
    sv->server_backoff.due = 0;
    for (struct cluster *c = sv->clusters; c != sv->clusters + CLUSTERS; ++c)
        c->backoff.due = c->advance_at = 0;
    close_listeners(sv);
    if (sv->server == 0)
        sv->is_done = true;
    else
        tell_stop(sv);
}

static void log_problems(const struct problems *problems)
{
    for (size_t i = 0; i != problems->count; ++i) {
        const struct problem *p = &problems->list[i];
        log_error("the settings are not used", "place=%s line=%u problem=%s",
                  LOG_STR(str_from(p->section)), p->line, LOG_STR(str_from(p->message)));
    }
}

static void hand_over(struct supervisor *sv)
{
    struct control_message m = {.type = CONTROL_RELOAD};
    int fd = settings_to_fd(sv->settings);
    tell_server(sv, &m, fd);
    close(fd);
}

static void reload(struct supervisor *sv)
{
    struct settings fresh;
    struct problems problems;
    bool is_check, is_help;
    if (sv->is_stopping)
        return;
    ready_notify("RELOADING=1");
    problems_init(&problems);
    if (settings_load(&fresh, sv->argc, sv->argv, &problems, &is_check, &is_help)) {
        char changed[512], ignored[512];
        complete(sv, &fresh);
        settings_reload(sv->settings, &fresh, changed, ignored, sizeof changed);
        settings_apply_log(sv->settings);
        log_info("settings reloaded", "changed=%s needs_restart=%s", changed, ignored);
        hand_over(sv);
    } else {
        log_problems(&problems);
    }
    problems_fini(&problems);
    settings_fini(&fresh);
    ready_notify("READY=1");
}

static void on_signal(struct supervisor *sv)
{
    struct signalfd_siginfo si;
    while (read(sv->signals, &si, sizeof si) == (ssize_t)sizeof si) {
        if (si.ssi_signo == SIGCHLD)
            reap(sv);
        else if (si.ssi_signo == SIGHUP)
            reload(sv);
        else
            stop(sv);
    }
}

static void catch_signals(struct supervisor *sv)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    sv->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    assert(sv->signals >= 0);
}

// --- the loop ---

static void sooner(uint64_t *at, uint64_t than)
{
    if (than != 0 && than < *at)
        *at = than;
}

static int wait_ms(const struct supervisor *sv)
{
    uint64_t at = UINT64_MAX, now = clock_monotonic_ms();
    sooner(&at, sv->server_backoff.due);
    for (const struct cluster *c = sv->clusters; c != sv->clusters + CLUSTERS; ++c) {
        sooner(&at, c->backoff.due);
        sooner(&at, c->advance_at);
    }
    sooner(&at, sv->tend_at);
    if (sv->server != 0)
        sooner(&at, sv->stop_deadline);
    return at == UINT64_MAX ? -1 : at <= now ? 0 : (int)(at - now);
}

static bool is_due(uint64_t at)
{
    return at != 0 && at <= clock_monotonic_ms();
}

static void tend(struct supervisor *sv)
{
    for (struct cluster *c = sv->clusters; c != sv->clusters + CLUSTERS; ++c)
        if (c->has_answered)
            private_postgres_tend(c->postgres);
    sv->tend_at = clock_monotonic_ms() + TEND_MS;
}

static void on_time(struct supervisor *sv)
{
    if (is_due(sv->server_backoff.due))
        server_start(sv);
    for (struct cluster *c = sv->clusters; c != sv->clusters + CLUSTERS; ++c)
        if (is_due(c->backoff.due))
            supervisor_cluster_again(c);
        else if (is_due(c->advance_at))
            supervisor_cluster_advance(c);
    if (is_due(sv->tend_at))
        tend(sv);
    if (sv->server != 0 && is_due(sv->stop_deadline)) {
        log_warn("the server did not stop in time", "pid=%d", (int)sv->server);
        kill(sv->server, SIGKILL);
        sv->stop_deadline = 0;
    }
}

static void run(struct supervisor *sv)
{
    while (!sv->is_done) {
        struct pollfd polled[] = {{.fd = sv->signals, .events = POLLIN},
                                  {.fd = sv->control, .events = POLLIN}};
        if (poll(polled, 2, wait_ms(sv)) < 0 && errno != EINTR)
            abort();
        // messages before the news of its end, lest the last words of a server be lost
        if (sv->control >= 0 && polled[1].revents != 0)
            on_control(sv, polled[1].revents & POLLHUP);
        if (polled[0].revents != 0)
            on_signal(sv);
        on_time(sv);
    }
}

// --- start and end ---

static struct user find_user(const char *name)
{
    const struct passwd *p = geteuid() == 0 ? getpwnam(name) : NULL;
    return p != NULL ? (struct user){p->pw_uid, p->pw_gid} : (struct user){0};
}

static enum fail open_listeners(struct supervisor *sv, struct fault *fault)
{
    const struct settings *s = sv->settings;
    const struct {
        enum listener_kind kind;
        const char *list, *name;
    } all[] = {{LISTENER_APPS, s->listen_apps, "listen_apps"},
               {LISTENER_CONSOLE, s->listen_console, "listen_console"},
               {LISTENER_ADMIN, s->listen_admin, "listen_admin"},
               {LISTENER_TLS, s->listen_tls, "listen_tls"}};
    for (size_t i = 0; i != sizeof all / sizeof all[0]; ++i) {
        enum fail fail = listen_open(all[i].kind, all[i].list, settings_is_standard(s, all[i].name),
                                     sv->listeners, LISTENERS_MAX, &sv->listener_count, fault);
        if (fail != FAIL_NONE)
            return fail;
    }
    for (size_t i = 0; i != sv->listener_count; ++i)
        log_info("listening", "for=%s address=%s", listen_kind_name(sv->listeners[i].kind),
                 sv->listeners[i].address);
    return FAIL_NONE;
}

static enum fail prepare(struct supervisor *sv, struct fault *fault)
{
    const struct settings *s = sv->settings;
    sv->server_user = find_user(s->server_user);
    sv->state_user = find_user(s->state_user);
    sv->plugin_user = find_user(s->plugin_user);
    sv->caged_users[CAGE_INSPECT] = find_user(s->cage_user);
    sv->caged_users[CAGE_INSPECT_FILES] = sv->caged_users[CAGE_INSPECT];
    sv->caged_users[CAGE_HANDLER] = find_user(s->handler_user);
    enum fail fail =
        data_directory_open(s, sv->server_user.uid, sv->server_user.gid, &sv->lock, fault);
    if (fail != FAIL_NONE)
        return fail;
    ready_remove(s); // of a run that was killed
    fail = workers_init(&sv->workers, sv->caged_users, (size_t)s->worker_memory, fault);
    if (fail != FAIL_NONE)
        return fail;
    log_info("starting", "version=%s data=%s cage=\"%s\"", STOA_VERSION, s->data, cage_layers());
    fail = open_listeners(sv, fault);
    if (fail == FAIL_NONE)
        fail = supervisor_clusters_start(sv, fault);
    if (fail != FAIL_NONE)
        return fail;
    complete(sv, sv->settings);
    sv->tend_at = clock_monotonic_ms() + TEND_MS;
    return FAIL_NONE;
}

static void end(struct supervisor *sv)
{
    workers_kill_all(&sv->workers);
    drop_control(sv);
    for (struct cluster *c = sv->clusters; c != sv->clusters + CLUSTERS; ++c)
        private_postgres_stop(c->postgres);
    if (sv->lock >= 0)
        ready_remove(sv->settings);
    close_listeners(sv);
    close(sv->signals);
    if (sv->lock >= 0)
        close(sv->lock);
}

int supervisor_run(struct settings *settings, int argc, char **argv)
{
    struct supervisor *sv = calloc(1, sizeof *sv);
    if (sv == NULL)
        abort();
    *sv = (struct supervisor){
        .settings = settings, .argc = argc, .argv = argv, .lock = -1, .control = -1};
    struct fault fault;
    log_set_role("supervisor");
    settings_apply_log(settings);
    process_come_last(); // we and the caged ones: the server and its PostgreSQL have their own
    catch_signals(sv);
    enum fail fail = prepare(sv, &fault);
    if (fail == FAIL_NONE) {
        server_start(sv);
        run(sv);
    } else if (fail != FAIL_BUSY) { // interrupted while it started: as asked
        log_error(fault.public_text, "%s", "");
        sv->exit_status = EXIT_FAILURE;
    }
    end(sv);
    int status = sv->exit_status;
    if (status == 0)
        log_info("stopped", "%s", "");
    free(sv);
    return status;
}
