// Where the tests' inspecting processes come from: no supervisor, a plain fork. The program is told
// by argv of the test, or is the one of this build without sanitizers (the cage is complete in
// that one only).
#ifndef TESTS_INSPECT_WORKERS_H
#define TESTS_INSPECT_WORKERS_H
#include "edge/inspect/inspect.h"

// The program that workers_source starts from now on.
extern const char *workers_program, *workers_files_program;
extern const struct inspect_source workers_source, workers_source_of_files;
// When set, a worker is not a program but this function in a forked child, with its socket.
extern void (*workers_liar)(int fd);
// How many were started, and how many of those have not been reaped (0 after inspect_fini).
extern size_t workers_started, workers_alive;
// The largest resident size of any worker that ended, in KiB.
extern long workers_peak_kib;
#endif
