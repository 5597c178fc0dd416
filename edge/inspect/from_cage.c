// Processes from the supervisor. In a file of its own, so that a program that brings its own source
// needs no supervisor.
#include "edge/inspect/inspect.h"

static enum fail start(struct cage_worker *ret, struct fault *fault)
{
    return cage_start(CAGE_INSPECT, ret, fault);
}

static enum fail start_files(struct cage_worker *ret, struct fault *fault)
{
    return cage_start(CAGE_INSPECT_FILES, ret, fault);
}

static void kill_worker(const struct cage_worker *worker)
{
    cage_kill(worker->number);
}

const struct inspect_source inspect_from_cage = {
    .start = start, .kill = kill_worker, .start_files = start_files};
