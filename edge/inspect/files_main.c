// stoa-inspect-files: the template. It has libmagic's database in memory, closes the cage behind
// itself, and then reads nothing but the server's word "one more" with a socket; for each it forks
// a process that is sealed (edge/cage/child.h), looks at one file and ends. Starting a program for
// each file would cost ten times as much.
#include "edge/cage/child.h"
#include "edge/inspect/files_protocol.h"
#include "edge/inspect/look.h"
#include "edge/inspect/pages.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    CPU_SECONDS = 3,
    WALL_SECONDS = INSPECT_FILE_DEADLINE_MS / 1000 + 1,
    ALIVE_MAX = 64,                   // a server that asks for more is not ours any more
    WORKING_MEMORY = 8 * 1024 * 1024, // beyond what is mapped when the door closes
};

static char head[LOOK_WHOLE_MAX];

// --- in the process of one file ---

static bool read_all(char *to, size_t n)
{
    while (n != 0) {
        ssize_t got = read(CAGE_FD, to, n);
        if (got <= 0)
            return false;
        to += got;
        n -= (size_t)got;
    }
    return true;
}

static bool say(const struct files_say *s)
{
    return write(CAGE_FD, s, sizeof *s) == (ssize_t)sizeof *s;
}

static bool pull(struct look_io *io, uint64_t offset, size_t n, char *to)
{
    while (n != 0) {
        size_t step = n < FILES_PIECE_MAX ? n : FILES_PIECE_MAX;
        struct files_say ask = {.what = FILES_ASK, .n = (uint32_t)step, .offset = offset};
        if (!say(&ask) || !read_all(to, step))
            return false;
        offset += step;
        to += step;
        n -= step;
    }
    return true;
}

static void serve_file(void)
{
    struct files_request request;
    struct inspect_seen seen;
    if (!read_all((char *)&request, sizeof request))
        return;
    struct look_io io = {.size = request.size, .head = head, .pull = pull};
    io.have = request.size < FILES_FIRST ? (size_t)request.size : FILES_FIRST;
    if (!read_all(head, io.have) || !look_file(&io, &seen))
        return;
    struct files_say answer = {
        .what = FILES_ANSWER, .container = seen.container, .active = seen.active};
    memcpy(answer.mime, seen.mime, strlen(seen.mime));
    say(&answer);
}

// --- in the template ---

// The socket of the next file, or -1 when the server is gone.
static int next_file(void)
{
    char word;
    struct iovec iov = {&word, 1};
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof control};
    ssize_t n;
    do
        n = recvmsg(CAGE_FD, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    struct cmsghdr *c = n == 1 ? CMSG_FIRSTHDR(&m) : NULL;
    if (c == NULL || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(int)))
        return -1;
    int fd;
    memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

// A file that gets no process is seen by its socket's end.
static bool start_file(int fd)
{
    pid_t pid = _Fork(); // one thread, no handlers: less is written, and a written page is a copy
    if (pid == 0) {
        cage_seal(fd, CPU_SECONDS, WALL_SECONDS);
        serve_file();
        syscall(SYS_exit, EXIT_SUCCESS);
    }
    close(fd);
    return pid > 0;
}

static void serve(void)
{
    unsigned alive = 0;
    int fd;
    while ((fd = next_file()) >= 0) {
        while (alive != 0 && waitpid(-1, NULL, WNOHANG) > 0)
            --alive;
        if (alive == ALIVE_MAX)
            close(fd);
        else if (start_file(fd))
            ++alive;
    }
    // those still at work would die with us; their time is limited
    while (alive != 0 && waitpid(-1, NULL, 0) > 0)
        --alive;
}

int main(void)
{
    pages_settle();
    clearenv();
    setenv("TZ", "UTC0", 1);
    if (!look_warm_up())
        return CAGE_EXIT_NO_CAGE;
    cage_enter(&(struct cage_profile){.memory = WORKING_MEMORY, .is_template = true});
    serve();
    _exit(EXIT_SUCCESS);
}
