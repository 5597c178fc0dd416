// The ready file. The one in the data directory is there whatever ready_file says: commands on this
// machine that are told the directory find the server by it.
#include "edge/ready.h"
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>
#include "edge/base/jsonx.h"
#include "edge/data_directory.h"
#include "edge/listen.h"

bool ready_url(const struct listener_fd *list, size_t count, enum listener_kind kind, char *to,
               size_t room)
{
    for (size_t i = 0; i != count; ++i) {
        struct listen_address a;
        if (list[i].kind != kind || listen_parse(str_from(list[i].address), &a, NULL) != FAIL_NONE)
            continue;
        const char *scheme = kind == LISTENER_TLS ? "https" : "http";
        if (listen_is_wildcard(&a))
            snprintf(to, room, "%s://%s:%u", scheme,
                     a.sa.ss_family == AF_INET6 ? "[::1]" : "127.0.0.1", listen_port(&a));
        else
            snprintf(to, room, "%s://%s", scheme, list[i].address);
        return true;
    }
    return false;
}

static char *content(const struct settings *s, pid_t server, size_t *ret_n)
{
    struct listener_fd list[64];
    size_t count = listen_unpack(s->listeners, list, sizeof list / sizeof list[0]);
    AUTOFREE char *token_file = data_path(s, DATA_OWNER_TOKEN);
    json_t *o = json_pack("{si si ss ss ss ss}", "pid", (int)getpid(), "serverPid", (int)server,
                          "version", STOA_VERSION, "tokenFile", token_file, "appsOrigin",
                          s->apps_origin, "consoleOrigin", s->console_origin);
    for (int kind = LISTENER_APPS; kind <= LISTENER_TLS; ++kind) {
        char url[96];
        if (ready_url(list, count, (enum listener_kind)kind, url, sizeof url))
            json_object_set_new(o, listen_kind_name((enum listener_kind)kind), json_string(url));
    }
    char *text = jsonx_dump(o, ret_n);
    json_decref(o);
    return text;
}

static enum fail write_at(const char *path, str text, struct fault *fault)
{
    struct buf b;
    buf_init(&b, 64 << 10);
    buf_addf(&b, "%s.new", path);
    AUTOFREE char *aside = buf_take(&b);
    unlink(aside);
    int fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    bool is_done = fd >= 0 && fchmod(fd, 0644) == 0 &&
                   write(fd, text.p, text.n) == (ssize_t)text.n && rename(aside, path) == 0;
    int error = errno;
    if (fd >= 0)
        close(fd);
    if (is_done)
        return FAIL_NONE;
    if (fd >= 0)
        unlink(aside);
    return fault_set(fault, FAIL_INTERNAL, "ready_file", "The ready file %s cannot be written: %s.",
                     path, strerror(error));
}

enum fail ready_write(const struct settings *s, pid_t server, struct fault *fault)
{
    size_t n;
    AUTOFREE char *text = content(s, server, &n);
    AUTOFREE char *own = data_path(s, DATA_READY);
    enum fail fail = write_at(own, str_of(text, n), fault);
    if (strcmp(own, s->ready_file) == 0)
        return fail;
    struct fault second;
    if (write_at(s->ready_file, str_of(text, n), &second) == FAIL_NONE)
        return fail;
    *fault = second;
    return FAIL_INTERNAL;
}

void ready_remove(const struct settings *s)
{
    AUTOFREE char *own = data_path(s, DATA_READY);
    unlink(own);
    unlink(s->ready_file);
}

void ready_notify(const char *state)
{
    sd_notify(0, state);
}
