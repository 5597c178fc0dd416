// The least that the rules for a stranger's file ask of a server: the body whole in memory, a process
// of its own in seccomp's strict mode that reads the file's first bytes, the file synced, renamed,
// and its folder synced, once for all that wait. A yardstick, not a server: it looks at nothing that
// it reads, hashes nothing, and keeps no row. A thread for each connection.
//
//     floor PORT FOLDER
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HEAD_MAX = 8192, BODY_MAX = 16 << 20, LOOKED_AT = 4096, THREADS = 16 };

static int folder, template;

static bool all(ssize_t (*move)(int, void *, size_t), int fd, void *bytes, size_t n)
{
    for (char *p = bytes; n != 0;) {
        ssize_t moved = move(fd, p, n);
        if (moved <= 0)
            return false;
        p += moved;
        n -= (size_t)moved;
    }
    return true;
}

static ssize_t put(int fd, void *bytes, size_t n)
{
    return write(fd, bytes, n);
}

// --- a process for each file ---

static void look(int fd)
{
    static char bytes[LOOKED_AT];
    size_t n = 0;
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
        syscall(SYS_exit, 1);
    for (ssize_t got; n != sizeof bytes && (got = read(fd, bytes + n, sizeof bytes - n)) > 0;)
        n += (size_t)got;
    syscall(SYS_exit, write(fd, "k", 1) == 1 ? 0 : 1);
}

static void fork_for_ever(int from)
{
    for (;;) {
        char word, room[CMSG_SPACE(sizeof(int))];
        struct iovec iov = {&word, 1};
        struct msghdr m = {
            .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
        if (recvmsg(from, &m, MSG_CMSG_CLOEXEC) != 1)
            _exit(0);
        int fd;
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
        if (fork() == 0)
            look(fd);
        close(fd);
        while (waitpid(-1, NULL, WNOHANG) > 0) {
        }
    }
}

static void start_template(void)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        err(1, "socketpair");
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(pair[1]);
        fork_for_ever(pair[0]);
    }
    close(pair[0]);
    template = pair[1];
}

static void ask_about(char *file, size_t n)
{
    int pair[2];
    char room[CMSG_SPACE(sizeof(int))] = {0}, answer;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        err(1, "socketpair");
    struct iovec iov = {"f", 1};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    *c = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(c), &pair[0], sizeof(int));
    if (sendmsg(template, &m, 0) != 1)
        err(1, "sendmsg");
    close(pair[0]);
    if (!all(put, pair[1], file, n < LOOKED_AT ? n : LOOKED_AT) ||
        shutdown(pair[1], SHUT_WR) != 0 || !all(read, pair[1], &answer, 1))
        errx(1, "the process of a file has failed");
    close(pair[1]);
}

// --- keeping ---

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t has_come = PTHREAD_COND_INITIALIZER, is_kept = PTHREAD_COND_INITIALIZER;
static unsigned long come, kept; // files

static void *sync_for_ever(void *arg)
{
    pthread_mutex_lock(&lock);
    for (;;) {
        while (come == kept)
            pthread_cond_wait(&has_come, &lock);
        unsigned long now = come;
        pthread_mutex_unlock(&lock);
        if (fsync(folder) != 0)
            err(1, "fsync");
        pthread_mutex_lock(&lock);
        kept = now;
        pthread_cond_broadcast(&is_kept);
    }
    return NULL;
}

static void keep(char *file, size_t n)
{
    static _Atomic unsigned long names;
    char name[32], temporary[40];
    snprintf(name, sizeof name, "%lu", atomic_fetch_add(&names, 1));
    snprintf(temporary, sizeof temporary, "%s.part", name);
    int fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        err(1, "%s", temporary);
    if (!all(put, fd, file, n) || fdatasync(fd) != 0 ||
        renameat(folder, temporary, folder, name) != 0)
        err(1, "%s", name);
    close(fd);
    pthread_mutex_lock(&lock);
    unsigned long mine = ++come;
    pthread_cond_signal(&has_come);
    while (kept < mine)
        pthread_cond_wait(&is_kept, &lock);
    pthread_mutex_unlock(&lock);
}

// --- HTTP, as the client of this bench speaks it ---

// One upload; false when the client has gone.
static bool serve(int fd, char bytes[static HEAD_MAX + BODY_MAX])
{
    static char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                           "Content-Length: 16\r\n\r\n{\"success\":true}";
    size_t have = 0;
    char *end = NULL;
    while (end == NULL) {
        ssize_t got = have == HEAD_MAX ? 0 : read(fd, bytes + have, HEAD_MAX - have);
        if (got <= 0)
            return false;
        have += (size_t)got;
        end = memmem(bytes, have, "\r\n\r\n", 4);
    }
    char *length = memmem(bytes, have, "Content-Length: ", 16),
         *boundary = memmem(bytes, have, "boundary=", 9), *at = end + 4;
    if (length == NULL || boundary == NULL)
        errx(1, "no form");
    size_t body = strtoul(length + 16, NULL, 10), came = have - (size_t)(at - bytes),
           closing = strcspn(boundary + 9, "\r\n") + 8; // CR LF -- boundary -- CR LF
    if (body > BODY_MAX)
        errx(1, "too much");
    if (came < body && !all(read, fd, bytes + have, body - came))
        return false;
    char *file = memmem(at, body, "\r\n\r\n", 4);
    if (file == NULL)
        errx(1, "no part");
    size_t n = body - (size_t)(file + 4 - at) - closing;
    ask_about(file + 4, n);
    keep(file + 4, n);
    return all(put, fd, answer, sizeof answer - 1);
}

static void *accept_for_ever(void *arg)
{
    int listening = *(int *)arg, one = 1;
    char *bytes = malloc(HEAD_MAX + BODY_MAX);
    if (bytes == NULL)
        err(1, "malloc");
    for (;;) {
        int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            err(1, "accept");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        while (serve(fd, bytes)) {
        }
        close(fd);
    }
    return NULL;
}

static void start(void *(*run)(void *), void *arg)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, arg) != 0)
        errx(1, "no thread");
}

int main(int argc, char **argv)
{
    if (argc != 3)
        errx(2, "floor PORT FOLDER");
    signal(SIGPIPE, SIG_IGN);
    start_template();
    folder = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(argv[1])),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (folder < 0 || bind(listening, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listening, 128) != 0)
        err(1, "%s", argv[1]);
    start(sync_for_ever, NULL);
    for (int i = 0; i != THREADS; ++i)
        start(accept_for_ever, &listening);
    puts("ready");
    fflush(stdout);
    pause();
}
