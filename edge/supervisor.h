// The process a person starts: it alone keeps privileges. It opens the listening sockets, starts
// the private PostgreSQL and the server, restarts a dead server on the same sockets, starts and
// reaps caged workers on the server's request, and takes everything down with it.
#ifndef STOA_SUPERVISOR_H
#define STOA_SUPERVISOR_H
#include "edge/settings.h"

// What each inherited listening socket is for; in this order from LISTEN_FD_FIRST on, as text in
// the settings ("listeners").
enum listener_kind { LISTENER_APPS, LISTENER_CONSOLE, LISTENER_ADMIN, LISTENER_TLS };
struct listener_fd {
    enum listener_kind kind;
    int fd;
    char address[64]; // as bound: "127.0.0.1:43210", "[::1]:43210"
};

// The server's exit status for "starting me again will not help" (a schema newer than the binary,
// say), after it has said why: the supervisor then ends too, with status 1.
enum { SERVER_EXIT_REFUSED = 78 };

// `stoa serve` with the flags behind it: loads the settings and runs, or answers --help and
// --check. Returns the exit status: 0, or 1 after having said why on standard error.
int supervisor_main(int argc, char **argv);

// Runs until SIGTERM or SIGINT, then returns the exit status. Single-threaded. SIGHUP loads the
// settings again, from the same flags. `settings` is completed in place (listeners, origins, the
// database's URL) and stays the caller's.
int supervisor_run(struct settings *settings, int argc, char **argv);

// The server's side: the listeners it was handed. Returns how many; the array lives as long as the
// process.
size_t supervisor_listeners(const struct listener_fd **ret);
#endif
