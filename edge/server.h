// The server process: what the supervisor executes as `stoa serve-process`, with its sockets and
// settings on fixed descriptors.
#ifndef STOA_SERVER_H
#define STOA_SERVER_H

enum {
    SERVER_EXIT_CONFIG = 78
}; // what no restart can mend (sysexits' EX_CONFIG): the supervisor gives up
int server_main(void);
#endif
