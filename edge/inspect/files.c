// The server's half of stoa-inspect-files: one template kept ready, and one short conversation with a
// process of its own for each file. A process that fails in any way has cost its template its place:
// the next file gets a new one, whose memory lies elsewhere, so that nobody learns by trying.
#include "edge/inspect/internal.h"
#include "edge/base/clock.h"
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

// --- the template ---

struct template
{
    struct cage_worker worker;
    size_t users; // conversations with processes of its, and `files.template`
};

enum { FILES_PER_TEMPLATE = 2000 }; // then its memory lies elsewhere

// `lock` guards `template`, its `users` and `served`, and is never held across a start.
static struct {
    const struct inspect_source *source;
    pthread_mutex_t lock;
    struct template *template; // the one for the next file, or NULL
    unsigned served;           // files it has been given
} files = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void unref_template(struct template *t)
{
    pthread_mutex_lock(&files.lock);
    bool is_last = --t->users == 0;
    pthread_mutex_unlock(&files.lock);
    if (!is_last)
        return;
    close(t->worker.fd);
    files.source->kill(&t->worker);
    free(t);
}

// Takes it out of service; those who talk to its processes go on.
static void retire_template(struct template *t)
{
    pthread_mutex_lock(&files.lock);
    bool is_present = files.template == t;
    if (is_present)
        files.template = NULL;
    pthread_mutex_unlock(&files.lock);
    if (is_present)
        unref_template(t);
}

static struct template *present_template(void)
{
    pthread_mutex_lock(&files.lock);
    struct template *t = files.template;
    if (t != NULL) {
        ++t->users;
        ++files.served;
    }
    pthread_mutex_unlock(&files.lock);
    return t;
}

// Several threads may start one each at once; the first one's stays in service.
static enum fail start_template(struct template **ret, struct fault *fault)
{
    struct template *t = calloc(1, sizeof *t);
    if (t == NULL)
        abort();
    enum fail fail = files.source->start_files(&t->worker, fault);
    if (fail != FAIL_NONE) {
        free(t);
        return fail;
    }
    t->users = 1;
    pthread_mutex_lock(&files.lock);
    if (files.template == NULL) {
        files.template = t;
        files.served = 0;
        ++t->users;
    }
    pthread_mutex_unlock(&files.lock);
    *ret = t;
    return FAIL_NONE;
}

static enum fail get_template(struct template **ret, struct fault *fault)
{
    *ret = present_template();
    return *ret != NULL ? FAIL_NONE : start_template(ret, fault);
}

static bool is_worn(void)
{
    pthread_mutex_lock(&files.lock);
    bool worn = files.served >= FILES_PER_TEMPLATE;
    pthread_mutex_unlock(&files.lock);
    return worn;
}

static bool is_gone(const struct template *t)
{
    char b;
    ssize_t n = recv(t->worker.fd, &b, 1, MSG_DONTWAIT | MSG_PEEK);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

void inspect_files_init(const struct inspect_source *source)
{
    struct template *t;
    files.source = source;
    if (source->start_files != NULL && start_template(&t, NULL) == FAIL_NONE)
        unref_template(t);
}

void inspect_files_fini(void)
{
    struct template *t = present_template();
    if (t == NULL)
        return;
    retire_template(t);
    unref_template(t);
}

// --- one conversation ---

static bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$&^_.+-", c) != NULL);
}

// RFC 6838 section 4.2: restricted names.
static bool is_token(str s)
{
    for (size_t i = 0; i != s.n; ++i)
        if (!is_token_char(s.p[i]))
            return false;
    return s.n != 0;
}

static bool is_mime(const char mime[INSPECT_MIME_ROOM])
{
    size_t n = strnlen(mime, INSPECT_MIME_ROOM);
    for (size_t i = n; i != INSPECT_MIME_ROOM; ++i)
        if (mime[i] != '\0')
            return false;
    str rest = str_of(mime, n), type = str_cut(&rest, '/');
    return n != INSPECT_MIME_ROOM && is_token(type) && is_token(rest);
}

static enum files_heard hear_ask(const struct files_say *say, uint64_t size, uint64_t *left)
{
    if (say->n == 0 || say->n > FILES_PIECE_MAX || say->offset > size ||
        say->n > size - say->offset || say->n > *left)
        return FILES_HEARD_NONSENSE;
    *left -= say->n;
    return FILES_HEARD_ASK;
}

enum files_heard inspect_files_hear(const struct files_say *say, uint64_t size, uint64_t *left,
                                    struct inspect_seen *ret)
{
    if (say->what == FILES_ASK)
        return hear_ask(say, size, left);
    if (say->what != FILES_ANSWER || say->container >= INSPECT_CONTAINERS ||
        say->active >= INSPECT_ACTIVES || !is_mime(say->mime))
        return FILES_HEARD_NONSENSE;
    *ret = (struct inspect_seen){.container = (enum inspect_container)say->container,
                                 .active = (enum inspect_active)say->active,
                                 .has_active = say->active != INSPECT_NOT_ACTIVE};
    memcpy(ret->mime, say->mime, sizeof ret->mime);
    return FILES_HEARD_ANSWER;
}

// Never waits: what is asked for one at a time always has room.
static bool send_bytes(int fd, str a, str b)
{
    struct iovec v[2] = {{(char *)a.p, a.n}, {(char *)b.p, b.n}};
    struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};
    return sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)(a.n + b.n);
}

static bool receive_say(int fd, uint64_t deadline, struct files_say *ret)
{
    for (size_t have = 0; have != sizeof *ret;) {
        uint64_t now = clock_monotonic_ms();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ready = now < deadline ? poll(&p, 1, (int)(deadline - now)) : 0;
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            return false;
        ssize_t n = recv(fd, (char *)ret + have, sizeof *ret - have, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return false;
        have += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static bool converse(int fd, str bytes, struct inspect_seen *ret)
{
    // twice the file is more than any look at it takes
    uint64_t deadline = clock_monotonic_ms() + INSPECT_FILE_DEADLINE_MS, left = 2 * bytes.n;
    struct files_say say;
    while (receive_say(fd, deadline, &say)) {
        enum files_heard heard = inspect_files_hear(&say, bytes.n, &left, ret);
        if (heard == FILES_HEARD_ANSWER)
            return true;
        if (heard == FILES_HEARD_NONSENSE ||
            !send_bytes(fd, str_of(bytes.p + say.offset, say.n), (str){0}))
            return false;
    }
    return false;
}

static bool give_socket(const struct template *t, int fd)
{
    char word = 1;
    struct iovec v = {&word, 1};
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    *c = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    return sendmsg(t->worker.fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
}

// The question is written before there is anyone to read it: one switch of processes less.
static bool inspect_with(const struct template *t, str bytes, struct inspect_seen *ret)
{
    int pair[2];
    struct files_request request = {.size = bytes.n};
    str first = str_of(bytes.p, bytes.n < FILES_FIRST ? bytes.n : FILES_FIRST);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return false;
    bool ok =
        send_bytes(pair[0], str_of(&request, sizeof request), first) && give_socket(t, pair[1]);
    close(pair[1]);
    ok = ok && converse(pair[0], bytes, ret);
    close(pair[0]);
    return ok;
}

static enum fail failed(struct fault *fault, const char *why)
{
    fault_set(
        fault, FAIL_BUSY, "inspection_failed",
        "The file could not be looked at. Try again in a moment, or send it in another form.");
    fault_log(fault, "stoa-inspect-files: %s", why);
    return FAIL_BUSY;
}

// A template that has ended, whatever the reason, is no reason to blame the file: it gets another.
enum fail inspect_file(str bytes, struct inspect_seen *ret, struct fault *fault)
{
    assert(files.source != NULL);
    if (files.source->start_files == NULL)
        return failed(fault, "there is none");
    bool ok = false, again = true;
    for (int tries = 0; tries != 2 && again; ++tries) {
        struct template *t;
        struct fault reason = {0};
        if (get_template(&t, &reason) != FAIL_NONE)
            return failed(fault, reason.log_text[0] != '\0' ? reason.log_text : "did not start");
        struct inspect_seen seen;
        ok = inspect_with(t, bytes, &seen);
        again = !ok && is_gone(t);
        if (!ok || is_worn())
            retire_template(t);
        unref_template(t);
        if (ok)
            *ret = seen;
    }
    return ok ? FAIL_NONE : failed(fault, "crashed, was too slow or broke the protocol");
}
