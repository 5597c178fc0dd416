// The owner's side of the folder: what the files api_*.c share, and the endpoint functions that
// service.c lists in its table.
#ifndef STOA_RUNS_API_H
#define STOA_RUNS_API_H
#include "edge/auth/auth.h"
#include "edge/http/endpoint.h"
#include "public-actions/runs/internal.h"

// A time of milliseconds, or null for 0; text, or null for ""; the JSON a stranger's text holds, or
// the text itself when it is none. New references.
json_t *run_time_json(int64_t real_ms);
json_t *run_text_json(str s);
json_t *run_value_json(str text);
// The page that the query's `limit` and `cursor` name.
enum fail run_page_of(const struct call *call, struct page *ret, struct fault *fault) MUST_CHECK;
// A row of EVENT_COLUMNS (queries.c): {"id","streamId","type",…,"data"}; streamId is what
// Last-Event-ID takes.
json_t *event_json(const struct db_rows *rows, size_t row);

enum fail run_api_list(struct call *call, struct answer *answer, struct fault *fault) MUST_CHECK;
enum fail run_api_get(struct call *call, struct answer *answer, struct fault *fault) MUST_CHECK;
enum fail event_api_list(struct call *call, struct answer *answer, struct fault *fault) MUST_CHECK;
enum fail event_api_stream(struct call *call, struct answer *answer,
                           struct fault *fault) MUST_CHECK;
enum fail event_api_subscribe(struct call *call, struct answer *answer,
                              struct fault *fault) MUST_CHECK;
enum fail event_api_subscriptions(struct call *call, struct answer *answer,
                                  struct fault *fault) MUST_CHECK;
enum fail event_api_subscription(struct call *call, struct answer *answer,
                                 struct fault *fault) MUST_CHECK;
enum fail event_api_unsubscribe(struct call *call, struct answer *answer,
                                struct fault *fault) MUST_CHECK;
#endif
