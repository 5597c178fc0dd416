// The control channel, and the server's half of the cage against a supervisor played by the test.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "edge/cage/cage.h"

static void make_pair(int pair[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
}

static void test_message_and_descriptor_arrive(void **state)
{
    int pair[2], fd, files[2];
    make_pair(pair);
    assert_int_equal(pipe(files), 0);
    struct control_message m = {.type = CONTROL_STARTED, .number = 7, .ticket = 9, .status = -1},
                           got;
    assert_int_equal(control_send(pair[0], &m, files[1]), FAIL_NONE);
    assert_int_equal(control_receive(pair[1], &got, &fd), FAIL_NONE);
    assert_memory_equal(&m, &got, sizeof m);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(write(fd, "x", 1), 1);
    char c;
    assert_int_equal(read(files[0], &c, 1), 1);
    m.type = CONTROL_READY;
    assert_int_equal(control_send(pair[0], &m, -1), FAIL_NONE);
    assert_int_equal(control_receive(pair[1], &got, &fd), FAIL_NONE);
    assert_int_equal(fd, -1);
    close(pair[0]);
    assert_int_equal(control_receive(pair[1], &got, &fd), FAIL_INTERNAL);
    close(pair[1]);
    close(files[0]);
    close(files[1]);
}

static void refuse(const void *bytes, size_t n)
{
    int pair[2], fd = -2;
    struct control_message got;
    make_pair(pair);
    assert_int_equal(send(pair[0], bytes, n, 0), n);
    assert_int_equal(control_receive(pair[1], &got, &fd), FAIL_INTERNAL);
    close(pair[0]);
    close(pair[1]);
}

static void test_broken_messages_are_refused(void **state)
{
    struct control_message two[2] = {{.type = CONTROL_READY}, {.type = CONTROL_READY}};
    refuse(two, sizeof two);
    refuse(two, sizeof two[0] - 1);
    struct control_message m = {.type = 0};
    refuse(&m, sizeof m);
    m.type = CONTROL_STOP + 1;
    refuse(&m, sizeof m);
    m = (struct control_message){.type = CONTROL_START, .kind = CAGE_KINDS};
    refuse(&m, sizeof m);
    m = (struct control_message){.type = CONTROL_START, .zero = 1};
    refuse(&m, sizeof m);
}

static int count_open(void)
{
    int n = 0;
    for (int fd = 0; fd != 256; ++fd)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void test_more_descriptors_than_one_are_refused_and_closed(void **state)
{
    int pair[2], fd, fds[3] = {0, 1, 2};
    make_pair(pair);
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof fds)];
    } room = {0};
    struct control_message m = {.type = CONTROL_READY};
    struct iovec iov = {&m, sizeof m};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = room.bytes,
                         .msg_controllen = sizeof room.bytes};
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    *c = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fds)};
    memcpy(CMSG_DATA(c), fds, sizeof fds);
    assert_int_equal(sendmsg(pair[0], &msg, 0), sizeof m);
    int before = count_open();
    assert_int_equal(control_receive(pair[1], &m, &fd), FAIL_INTERNAL);
    assert_int_equal(count_open(), before);
    close(pair[0]);
    close(pair[1]);
}

static void test_full_socket_is_busy(void **state)
{
    int pair[2];
    make_pair(pair);
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    struct control_message m = {.type = CONTROL_ENDED};
    enum fail fail = FAIL_NONE;
    for (int i = 0; i != 100000 && fail == FAIL_NONE; ++i)
        fail = control_send(pair[0], &m, -1);
    assert_int_equal(fail, FAIL_BUSY);
    close(pair[0]);
    close(pair[1]);
}

// --- the server's half: one connection for the process, so one test ---

static _Atomic int ended, stops;

static void on_ended(uint32_t number, int status)
{
    ended = (int)number * 1000 + status;
}

static void on_control(enum control_type type, int fd)
{
    assert_int_equal(type, CONTROL_STOP);
    ++stops;
}

static void wait_for(_Atomic int *value, int wanted)
{
    for (int i = 0; i != 500 && *value != wanted; ++i)
        usleep(10000);
    assert_int_equal(*value, wanted);
}

static void answer(int socket, const struct control_message *m, uint32_t number, int status, int fd)
{
    struct control_message a = {.type = CONTROL_STARTED,
                                .ticket = m->ticket,
                                .number = number,
                                .status = status,
                                .pid = (int32_t)number + 1000};
    assert_int_equal(control_send(socket, &a, fd), FAIL_NONE);
}

// Answers two starts in the wrong order, refuses a third, and hangs up on the fourth.
static void *play_supervisor(void *arg)
{
    int socket = *(int *)arg, fd, pipes[2];
    struct control_message first, second, m;
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(control_receive(socket, &first, &fd), FAIL_NONE);
    assert_int_equal(control_receive(socket, &second, &fd), FAIL_NONE);
    answer(socket, &second, second.ticket + 100, 0, pipes[0]);
    answer(socket, &first, first.ticket + 100, 0, pipes[1]);
    close(pipes[0]);
    close(pipes[1]);
    assert_int_equal(control_receive(socket, &m, &fd), FAIL_NONE);
    answer(socket, &m, 0, EAGAIN, -1);
    // an answer nobody asked for: a worker to be killed
    m.ticket = 99;
    answer(socket, &m, 55, 0, socket);
    assert_int_equal(control_receive(socket, &m, &fd), FAIL_NONE);
    assert_int_equal(m.type, CONTROL_KILL);
    assert_int_equal(m.number, 55);
    // only now: it is what the test waits for before it starts the fourth
    m = (struct control_message){.type = CONTROL_ENDED, .number = 3, .status = 9};
    assert_int_equal(control_send(socket, &m, -1), FAIL_NONE);
    assert_int_equal(control_receive(socket, &m, &fd), FAIL_NONE);
    close(socket);
    return NULL;
}

static void *start_one(void *arg)
{
    assert_int_equal(cage_start(CAGE_INSPECT, arg, NULL), FAIL_NONE);
    return NULL;
}

static void test_starts_are_answered_by_ticket(void **state)
{
    int pair[2];
    make_pair(pair);
    pthread_t supervisor, starters[2];
    struct cage_worker workers[2], w;
    cage_connect(pair[0], on_ended, on_control);
    pthread_create(&supervisor, NULL, play_supervisor, &pair[1]);
    for (int i = 0; i != 2; ++i)
        pthread_create(&starters[i], NULL, start_one, &workers[i]);
    for (int i = 0; i != 2; ++i)
        pthread_join(starters[i], NULL);
    assert_int_equal(workers[0].number + workers[1].number, 203);
    assert_int_equal(workers[0].pid, workers[0].number + 1000);
    for (int i = 0; i != 2; ++i)
        close(workers[i].fd);
    struct fault fault;
    assert_int_equal(cage_start(CAGE_INSPECT, &w, &fault), FAIL_BUSY);
    assert_string_equal(fault.code, "helper_unavailable");
    wait_for(&ended, 3009);
    assert_int_equal(cage_start(CAGE_INSPECT, &w, &fault), FAIL_BUSY);
    wait_for(&stops, 1);
    pthread_join(supervisor, NULL);
    assert_int_equal(cage_start(CAGE_INSPECT, &w, &fault), FAIL_BUSY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_message_and_descriptor_arrive),
        cmocka_unit_test(test_broken_messages_are_refused),
        cmocka_unit_test(test_more_descriptors_than_one_are_refused_and_closed),
        cmocka_unit_test(test_full_socket_is_busy),
        cmocka_unit_test(test_starts_are_answered_by_ticket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
