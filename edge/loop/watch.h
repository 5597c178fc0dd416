// A descriptor watched by a loop: a worker's socket, a database connection's. Level-triggered: while
// there is something to read (or room to write), the callback comes again each turn. Loop thread
// only.
#ifndef STOA_LOOP_WATCH_H
#define STOA_LOOP_WATCH_H
#include "edge/loop/loop.h"

// Embed it; zero it; set the callbacks for what is watched. A hang-up or an error of the descriptor
// comes as whichever is watched: the read or the write that follows tells.
struct loop_watch {
    void (*on_readable)(struct loop_watch *w);
    void (*on_writable)(struct loop_watch *w); // not called when on_readable stopped the watch
    int _fd;
    bool _is_running, _readable, _writable;
};
// `fd` stays the caller's, who stops the watch before it is closed (or replaced, as libpq does while
// it connects). Again with the same fd: changes what is watched for; neither is allowed, and means
// that nothing is called back.
void loop_watch_start(struct loop_watch *w, int fd, bool readable, bool writable);
// From inside a callback too; the watch's memory is then its owner's at once. May be called on a
// stopped one.
void loop_watch_stop(struct loop_watch *w);
// Makes what this loop needs for watching, so that its first watch finds it. Loop thread.
void loop_watch_prepare(void);
#endif
