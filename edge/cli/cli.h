// The command line, except `stoa serve` (edge/main.c starts that itself): thin clients of the HTTP
// API. One thread; nothing here touches a data directory but to read the ready file and the token
// it names (security-rules.md 22).
#ifndef STOA_CLI_CLI_H
#define STOA_CLI_CLI_H

// What a command ends with. Part of the documented interface: `stoa help` and stoa(1) list them.
enum cli_exit {
    EXIT_DONE = 0,
    EXIT_REFUSED = 1,     // problems in the file, or the server refused what was asked
    EXIT_USAGE = 2,       // the command line is wrong
    EXIT_NOT_FOUND = 3,   // no such app, deployment, instance or token
    EXIT_AUTH = 4,        // no token, a bad one, or one that may not do this
    EXIT_UNAVAILABLE = 5, // no server answers, or it says: later
    EXIT_CONFLICT = 6,    // somebody else was faster, or something stands in the way
    EXIT_LOCAL = 7,       // a file of this machine cannot be read or written
};

// Runs the command that argv names (argv[0] is the program) and returns its exit code. Prints to
// stdout and stderr. A token given as an argument is wiped from argv, so that `ps` no longer shows
// it; nothing else of argv changes, and all of it must outlive the call.
int cli_main(int argc, char **argv);
#endif
