// Server-sent events (HTML Living Standard §9.2): an answer that stays open for minutes, fed by its
// loop and by nobody else, so that it holds no pool thread while nothing happens. What is sent is on
// its way until on_ready says that the client took it: nobody piles up what is not read. Comments
// keep it alive; it ends after an hour, or when the server is to end; clients then ask again with
// Last-Event-ID. Everything here is for the request's loop thread.
#ifndef STOA_HTTP_EVENT_STREAM_H
#define STOA_HTTP_EVENT_STREAM_H
#include "edge/http/reply.h"

enum { EVENT_STREAM_TICK_MS = 15000, EVENT_STREAM_AGE_MS = 3600 * 1000 };

// Embed it; set all three.
struct event_source {
    // What was sent has been taken (or the head is out): event_stream_send may be called.
    void (*on_ready)(struct event_source *s);
    // Every 15 s: time to look whether it may go on. Must neither send nor end.
    void (*on_tick)(struct event_source *s);
    // Once, last: the client left, or the stream ended. Must not use the stream any more.
    void (*on_closed)(struct event_source *s);
};

struct event_stream;
// Begins the answer (200, text/event-stream). The source is kept until on_closed. Never called for a
// HEAD request: event_stream_head answers that.
struct event_stream *event_stream_open(struct request *r, struct event_source *source);
void event_stream_head(struct request *r);
bool event_stream_is_ready(const struct event_stream *s);
// One or several whole events ("id: …\ndata: …\n\n"). Copies; only when it is ready, as the last
// statement.
void event_stream_send(struct event_stream *s, str events);
// Ends it, behind what was sent. on_closed follows, perhaps before this returns: make it the last
// statement.
void event_stream_end(struct event_stream *s);
// Ends all of this loop's: the server is to end.
void event_stream_end_all(void);
#endif
