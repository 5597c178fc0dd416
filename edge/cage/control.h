// What the supervisor and the server say to each other: fixed messages over one SOCK_SEQPACKET
// pair, never a path, an argument or an environment (security-rules.md 1). Little-endian as the
// machine is; both ends are the same binary.
#ifndef STOA_CAGE_CONTROL_H
#define STOA_CAGE_CONTROL_H
#include "edge/base/fail.h"

enum control_type {
    CONTROL_READY = 1, // server -> supervisor: it serves; the supervisor writes the ready file
    CONTROL_DRAINED,   // server -> supervisor: nothing is in flight any more
    CONTROL_START,   // server -> supervisor: start a process of `kind`; `ticket` comes back in the
                     // answer
    CONTROL_KILL,    // server -> supervisor: SIGKILL worker `number`
    CONTROL_STARTED, // supervisor -> server: worker `number`; its socket comes along (SCM_RIGHTS);
                     // status != 0: it could not be started
    CONTROL_ENDED,   // supervisor -> server: worker `number` ended with wait status `status`
    CONTROL_RELOAD,  // supervisor -> server: new settings; a sealed memfd comes along
    CONTROL_STOP,    // supervisor -> server: stop accepting, finish what is in flight, say drained,
                     // exit
};

// The kinds of caged process. The supervisor's table says which program, profile and uid each one
// gets.
enum cage_kind {
    CAGE_INSPECT,       // stoa-inspect: one archive or image per process life
    CAGE_HANDLER,       // stoa-handler: one instance per process life
    CAGE_INSPECT_FILES, // stoa-inspect-files: forks a process for each file
    CAGE_KINDS
};

struct control_message {
    uint8_t type; // enum control_type; anything else is a broken peer
    uint8_t kind; // enum cage_kind
    uint16_t zero;
    uint32_t number; // of the worker: given by the supervisor, never used twice in a server's life
    uint32_t ticket;
    int32_t status;
    int32_t pid; // CONTROL_STARTED: of the worker, to look up its memory by; it names nothing here
};

enum {
    CONTROL_FD = 3,
    SETTINGS_FD = 4,
    LISTEN_FD_FIRST = 5
}; // descriptors the supervisor leaves open in the server

// One whole message, with at most one descriptor (`fd` -1: none). FAIL_INTERNAL when the peer is
// gone or the message is none of ours; FAIL_BUSY when the socket is non-blocking (the supervisor's
// end is, so that no server can stall it) and would block. The caller owns *ret_fd (-1 when none
// came), and still owns what it sent.
enum fail control_send(int socket, const struct control_message *m, int fd) MUST_CHECK;
enum fail control_receive(int socket, struct control_message *ret, int *ret_fd) MUST_CHECK;
#endif
