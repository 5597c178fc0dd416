// What feeds an event stream: woken by notices and by the stream's ticks, it reads the events behind
// the last one sent on a pool thread, and gives them to the stream when that is ready. One read at a
// time; each also looks whether the token is still good.
#ifndef STOA_RUNS_FEED_H
#define STOA_RUNS_FEED_H
#include "edge/http/endpoint.h"

struct event_feed;
// The events of an instance behind number `after`, for a token's holder. FAIL_TOO_MANY
// "too_many_streams". Pool thread.
enum fail event_feed_create(const char *project_id, const char *instance_id, const char *token_id,
                            int64_t after, struct event_feed **ret, struct fault *fault) MUST_CHECK;
// The answer it is: takes the feed.
struct later *event_feed_later(struct event_feed *f);
// New events of that instance, or of any ("*"). What is neither an id of ours nor the star is
// dropped. Any thread.
void event_feed_wake(str instance_id);
void event_feed_metrics(struct buf *to);
#endif
