// Every arming starts a new inotify instance over the tree as it is: simpler than following it, and
// as quick as the packing that comes after. The folder above is watched as well, for the renames
// that replace what is watched.
#include "edge/cli/watch.h"
#include "edge/base/clock.h"
#include "edge/cli/files.h"
#include "edge/cli/pack.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

enum { QUIET_MS = 150, SETTLE_MS = 2000, DEPTH_MAX = 64, FOLDERS_MAX = 8192 };

struct watch {
    char *path;   // absolute; its last part may be missing for a while
    char *parent; // the folder above
    int inotify, parent_id;
    size_t folders;
};

static int stop_event = -1;
static volatile sig_atomic_t stop_wanted;

static void on_stop(int number)
{
    int before = errno;
    uint64_t one = 1;
    stop_wanted = 1;
    if (write(stop_event, &one, sizeof one) < 0)
        errno = before; // it is full, so it wakes anyway
    errno = before;
}

bool watch_stop_wanted(void)
{
    return stop_wanted != 0;
}

static enum fail catch_signals(struct fault *fault)
{
    struct sigaction action = {.sa_handler = on_stop};
    if (stop_event < 0)
        stop_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (stop_event < 0 || sigaction(SIGINT, &action, NULL) < 0 ||
        sigaction(SIGTERM, &action, NULL) < 0)
        return fault_set(fault, FAIL_INTERNAL, "local_io", "Signals cannot be caught: %s.",
                         strerror(errno));
    return FAIL_NONE;
}

enum fail watch_create(const char *path, struct watch **ret, struct fault *fault)
{
    char *whole = realpath(path, NULL);
    if (whole == NULL)
        return fault_set(fault, FAIL_INTERNAL, "local_io", "%.200s: %s.", path, strerror(errno));
    enum fail fail = catch_signals(fault);
    if (fail != FAIL_NONE) {
        free(whole);
        return fail;
    }
    struct watch *w = calloc(1, sizeof *w);
    if (w == NULL)
        abort();
    w->path = whole;
    w->parent = str_dup(str_of(whole, (size_t)(strrchr(whole, '/') - whole) + 1));
    w->inotify = -1;
    watch_arm(w);
    if (w->inotify < 0 || w->parent_id < 0)
        fail = fault_set(fault, FAIL_INTERNAL, "local_io", "%.200s cannot be watched: %s.", path,
                         strerror(errno));
    if (fail == FAIL_NONE)
        *ret = w;
    else
        watch_destroy(w);
    return fail;
}

void watch_destroy(struct watch *w)
{
    if (w == NULL)
        return;
    files_close(&w->inotify);
    free(w->path);
    free(w->parent);
    free(w);
}

// IN_CREATE is for hard links and folders; a file that is written to tells IN_CLOSE_WRITE.
static const uint32_t interesting = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM |
                                    IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF;

static void watch_tree(struct watch *w, const char *folder, unsigned depth)
{
    if (depth == DEPTH_MAX || w->folders == FOLDERS_MAX ||
        inotify_add_watch(w->inotify, folder, interesting | IN_ONLYDIR | IN_DONT_FOLLOW) < 0)
        return;
    ++w->folders;
    DIR *dir = opendir(folder);
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char below[PATH_MAX];
        bool maybe_folder = entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN;
        if (!maybe_folder || pack_ignores(entry->d_name)) // "." and ".." among them
            continue;
        int n = snprintf(below, sizeof below, "%s/%s", folder, entry->d_name);
        if (n > 0 && (size_t)n < sizeof below)
            watch_tree(w, below, depth + 1);
    }
    if (dir != NULL)
        closedir(dir);
}

void watch_arm(struct watch *w)
{
    files_close(&w->inotify);
    w->folders = 0;
    w->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (w->inotify < 0)
        return;
    w->parent_id = inotify_add_watch(w->inotify, w->parent, interesting);
    watch_tree(w, w->path, 0); // a file is no folder: IN_ONLYDIR refuses it
}

static bool is_ours(const struct watch *w, const struct inotify_event *event)
{
    if ((event->mask & IN_Q_OVERFLOW) != 0)
        return true;
    if (event->wd == w->parent_id)
        return event->len != 0 && strcmp(event->name, files_basename(w->path)) == 0;
    return event->len == 0 || !pack_ignores(event->name);
}

// Reads what inotify has; true when something of it matters.
static bool drain(struct watch *w)
{
    alignas(struct inotify_event) char events[16384];
    bool found = false;
    for (;;) {
        ssize_t n = read(w->inotify, events, sizeof events);
        if (n <= 0)
            return found;
        for (char *p = events; p < events + n;) {
            const struct inotify_event *event = (const struct inotify_event *)(void *)p;
            found = is_ours(w, event) || found;
            p += sizeof *event + event->len;
        }
    }
}

// As watch_wait, but for a first sign only.
static enum watch_event wait_once(struct watch *w, int timeout_ms)
{
    struct pollfd fds[] = {{.fd = stop_event, .events = POLLIN},
                           {.fd = w->inotify, .events = POLLIN},
                           {.fd = STDOUT_FILENO}}; // says unasked when its reader has left
    uint64_t end = clock_monotonic_ms() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0);
    for (;;) {
        uint64_t now = clock_monotonic_ms();
        int left = timeout_ms < 0 ? -1 : now < end ? (int)(end - now) : 0;
        int n = poll(fds, 3, left);
        if (stop_wanted || (n > 0 && (fds[2].revents & (POLLERR | POLLHUP)) != 0))
            return WATCH_STOPPED;
        if (n == 0)
            return WATCH_TIMEOUT;
        if (n > 0 && drain(w))
            return WATCH_CHANGED;
    }
}

enum watch_event watch_wait(struct watch *w, int timeout_ms)
{
    enum watch_event event = wait_once(w, timeout_ms);
    uint64_t end = clock_monotonic_ms() + SETTLE_MS;
    if (event != WATCH_CHANGED)
        return event;
    while (event == WATCH_CHANGED && clock_monotonic_ms() < end)
        event = wait_once(w, QUIET_MS);
    return event == WATCH_STOPPED ? WATCH_STOPPED : WATCH_CHANGED;
}
