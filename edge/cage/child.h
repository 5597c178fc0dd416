// The caged program's half of the cage: it warms up, then closes the door behind itself, and only
// then takes a stranger's first byte. Linked by the caged programs alone (target stoa_cage_child).
//
// What is mandatory ends the program when it cannot be had: no new privileges, the limits and the
// system call filter. Namespaces and Landlock are taken where the machine offers them: containers
// often do not. Builds with a sanitizer have no address space limit and no filter, since neither
// leaves a sanitizer room to work.
#ifndef STOA_CAGE_CHILD_H
#define STOA_CAGE_CHILD_H
#include "edge/base/str.h"

enum {
    CAGE_FD = 3,            // the one socket to the server
    CAGE_EXIT_NO_CAGE = 97, // a mandatory layer could not be had; nothing was read
};

enum cage_layer {
    CAGE_USER_NAMESPACE = 1, // no user, no capability of the machine's own
    CAGE_NET_NAMESPACE = 2,  // no network device, not even loopback; no abstract sockets
    CAGE_IPC_NAMESPACE = 4,
    CAGE_LANDLOCK = 8, // no file can be opened, whatever its mode
    CAGE_FILTER = 16,
};

struct cage_profile {
    size_t memory;        // bytes of address space beyond what is mapped when the door closes
    unsigned cpu_seconds; // of processor time for the whole life; 0: no limit
    // System calls of this program's own beside those every caged program has; they are allowed
    // with any argument. May be NULL.
    const int *calls;
    size_t call_count;
    // It reads no stranger's byte itself but forks a process for each, which calls cage_seal. So it
    // has no filter (the kernel would not let a child swap it for the stricter one), one descriptor
    // more, and may fork.
    bool is_template;
};

// Closes all descriptors above CAGE_FD and enters the cage for good. Returns the layers it got (of
// enum cage_layer), or does not return: CAGE_EXIT_NO_CAGE.
//
// Inside, the program may read and write on CAGE_FD, manage memory that is anonymous and not
// executable, read the clock, and end. Opening or asking about files fails with EACCES (libraries
// try, and cope); every other call kills the process. fd 0, 1 and 2 are the spawner's to set
// (/dev/null) and cannot be used.
unsigned cage_enter(const struct cage_profile *profile);

// In a fork of a template, before it reads: `fd` becomes CAGE_FD and every other descriptor is closed;
// it dies with the template and after `cpu_seconds` of work, whoever is in control of it by then, and
// after `wall_seconds` of time. That last one a process that was taken over can put off, since
// returning from a signal sets what is blocked: it then lives no longer than the other end of its
// socket, without which nothing it may call waits. From here on it may read, write, return from a signal and end (by SYS_exit,
// not exit_group); any other call kills it, those for memory too: what malloc may need must be there.
void cage_seal(int fd, unsigned cpu_seconds, unsigned wall_seconds);

// The version of Landlock's interface that the kernel offers; 0: none.
int cage_landlock_version(void);
#endif
