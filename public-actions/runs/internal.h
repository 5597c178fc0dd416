// What the .c files of this folder share: the options, the queue's entries, and the statements.
#ifndef STOA_RUNS_INTERNAL_H
#define STOA_RUNS_INTERNAL_H
#include "edge/base/digest.h"
#include "edge/catalog/hooks.h"
#include "edge/catalog/page.h"
#include "public-actions/runs/runs.h"

enum {
    RUN_BATCH_MAX = 256,
    EVENT_TYPE_ROOM = 101,
    SUBSCRIPTION_URL_MAX = 2048,
    SUBSCRIPTIONS_MAX = 50,
    SUBSCRIPTION_EVENTS_MAX = 50,
    // Of one project. Beyond it events are recorded, and not sent: a run may raise 20 for 50
    // subscribers, a thousand rows that stay for a day when nobody answers.
    DELIVERIES_WAITING_MAX = 20000,
    RUNS_NOTICES_MAX = 16, // instances named by one batch's notices; beyond it, all
};

extern struct runs_options runs_options; // as runs_init was given them, with defaults

const char *run_source_name(enum run_source source);
// The id of the event of that type which this run raised: the same whenever it is asked for.
void run_event_id(const char *run_id, str type, char to[static CATALOG_ID_ROOM]);
// Replaces what PostgreSQL refuses in text (NUL, invalid UTF-8), in place, by '?'.
void run_text_clean(char *p, size_t n);

// --- writer.c ---
void runs_writer_start(void);
void runs_writer_stop(void);
void runs_writer_metrics(struct buf *to);

// --- record.c
// Charges a record's text to its project's part of the day; over it a line says why there is no log.
void run_record_bound(struct run_record *r, uint64_t bytes_per_day);

// --- writer_room.c: what the writer holds, queued or in its transaction ---
// One bound for all. Records nobody waits for fill three quarters of it, one project's a quarter;
// one project's that are waited for fill half: so that no app's long logs and payloads cost a visitor
// of another's the answer. Not locked: the writer does.
enum { WRITER_COUNT_MAX = 20000, WRITER_BYTES_MAX = 64 << 20 };
// False, and nothing taken, when there is no room. Else runs_room_vacate once, with the same.
bool runs_room_occupy(const char *project_id, size_t bytes, bool is_waited) MUST_CHECK;
void runs_room_vacate(const char *project_id, size_t bytes, bool is_waited);

// --- collect.c: blocking ---
enum fail runs_collect_all(struct db *db, size_t *ret_removed, struct fault *fault) MUST_CHECK;

// --- deliver.c ---
void deliver_start(void);
void deliver_wake(void); // there may be something due. Any thread
void deliver_stop(void);
void deliver_metrics(struct buf *to);

// --- sign.c: Standard Webhooks ---
enum { EVENT_KEY_SIZE = 32, EVENT_SECRET_ROOM = 6 + 44 + 1, EVENT_SIGNATURE_ROOM = 3 + 44 + 1 };
// "whsec_" and the key in base64: what the subscriber is shown, once.
void event_secret(const uint8_t key[static EVENT_KEY_SIZE], char to[static EVENT_SECRET_ROOM]);
// "v1,{base64}" of HMAC-SHA256 over "{id}.{timestamp}.{body}".
void event_sign(const uint8_t key[static EVENT_KEY_SIZE], const char *id, int64_t at_seconds,
                str body, char to[static EVENT_SIGNATURE_ROOM]);
// The key sealed for its row, and back.
enum fail event_key_seal(const uint8_t key[static EVENT_KEY_SIZE], const char *project_id,
                         const char *subscription_id, struct buf *ret,
                         struct fault *fault) MUST_CHECK;
enum fail event_key_unseal(str sealed, const char *project_id, const char *subscription_id,
                           uint8_t ret[static EVENT_KEY_SIZE], struct fault *fault) MUST_CHECK;

// --- queries_write.c: one transaction a batch ---
// Inserts the runs, their events and the deliveries of these; commits. Rows that are there already
// stay as they are. *ret_deliveries: whether there are any. `is_waited` makes the commit durable
// before it returns.
enum fail runs_query_insert(struct db *db, struct run_record *const *list, size_t count,
                            bool is_waited, bool *ret_deliveries, struct fault *fault) MUST_CHECK;
// An event that no run raised, and its deliveries; in the caller's transaction.
enum fail runs_query_tell(struct db *db, const struct catalog_event *e,
                          struct fault *fault) MUST_CHECK;
enum fail runs_query_writer_session(struct db *db, struct fault *fault) MUST_CHECK;

// --- queries.c: the owner's view ---
struct run_filter {
    const char *project_id, *instance_id;
    str action, outcome; // p == NULL: any
};
// Rows as run_json_of reads them.
enum fail runs_query_page(struct db *db, const struct run_filter *filter, const struct page *page,
                          struct db_rows **ret, struct fault *fault) MUST_CHECK;
enum fail runs_query_find(struct db *db, const char *project_id, str id, struct db_rows **ret,
                          struct fault *fault) MUST_CHECK;
enum fail runs_query_events_of(struct db *db, const char *project_id, const char *run_id,
                               struct db_rows **ret, struct fault *fault) MUST_CHECK;
enum fail runs_query_event_page(struct db *db, const char *project_id, const char *instance_id,
                                const struct page *page, struct db_rows **ret,
                                struct fault *fault) MUST_CHECK;
// In the order of `seq`, behind `after`.
enum fail runs_query_events_after(struct db *db, const char *project_id, const char *instance_id,
                                  int64_t after, unsigned limit, struct db_rows **ret,
                                  struct fault *fault) MUST_CHECK;
enum fail runs_query_last_event(struct db *db, const char *project_id, const char *instance_id,
                                int64_t *ret, struct fault *fault) MUST_CHECK;

struct subscription_wish {
    const char *id, *project_id, *instance_id; // instance_id: NULL for all
    str url;
    json_t *events;
    str secret; // sealed
};
// FAIL_CONFLICT "too_many_subscriptions".
enum fail runs_query_subscription_insert(struct db *db, const struct subscription_wish *w,
                                         struct fault *fault) MUST_CHECK;
// FAIL_NOT_FOUND "subscription_not_found".
enum fail runs_query_subscription_find(struct db *db, const char *project_id, str id,
                                       struct db_rows **ret, struct fault *fault) MUST_CHECK;
enum fail runs_query_subscription_page(struct db *db, const char *project_id,
                                       const struct page *page, struct db_rows **ret,
                                       struct fault *fault) MUST_CHECK;
// With what is still to be delivered to it.
enum fail runs_query_subscription_delete(struct db *db, const char *project_id, const char *id,
                                         struct fault *fault) MUST_CHECK;

// --- queries_deliver.c: crosses projects ---
struct due_delivery {
    int64_t id;
    unsigned attempts; // this one included
    int64_t created_at;
    char event_id[CATALOG_ID_ROOM], subscription_id[CATALOG_ID_ROOM], project_id[CATALOG_ID_ROOM];
    char type[EVENT_TYPE_ROOM];
    int64_t event_at;
    str secret;       // sealed; secret, url and data are its own
    char *url, *data; // data is a JSON object
    char run_id[CATALOG_ID_ROOM], instance_id[CATALOG_ID_ROOM];
};
void deliver_due_fini(struct due_delivery *d);
// Projects that have something due, an array of ids: all of them while little is due; else those of
// the next hundred or so behind `behind`, which moves on, and is "" when all have been walked.
enum fail runs_query_due_projects(struct db *db, char behind[static CATALOG_ID_ROOM], json_t **ret,
                                  struct fault *fault) MUST_CHECK;
struct delivery_claim {
    const json_t *turns;             // of these projects: {id: how many it has under way}
    unsigned limit;                  // places that are free
    unsigned per_project, kept_free; // of the places, for projects that have none under way
    uint64_t lease_ms;
};
// Claims what is due, the first ones of all projects before any second one, no more than
// `per_project` of one with what it has under way. Those whose event or subscription has gone come
// without an URL.
enum fail runs_query_deliveries_claim(struct db *db, const struct delivery_claim *c,
                                      struct due_delivery **ret, size_t *ret_count,
                                      struct fault *fault) MUST_CHECK;
// Nothing changes when the claim was lost to another meanwhile. Real ms.
enum fail runs_query_delivery_done(struct db *db, const struct due_delivery *d,
                                   struct fault *fault) MUST_CHECK;
enum fail runs_query_delivery_failed(struct db *db, const struct due_delivery *d, bool is_dead,
                                     uint64_t again_in_ms, str why, struct fault *fault) MUST_CHECK;
// Milliseconds until the next one is due; *ret_any is false when none waits.
enum fail runs_query_deliveries_next(struct db *db, bool *ret_any, int64_t *ret_in_ms,
                                     struct fault *fault) MUST_CHECK;

// --- queries_collect.c: crosses projects; each removes at most `limit` rows ---
// `instance_id`: NULL for all.
enum fail runs_query_remove_old(struct db *db, const char *instance_id, uint64_t days,
                                unsigned limit, size_t *ret_removed,
                                struct fault *fault) MUST_CHECK;
// The first instance behind `after` (in the order of ids) that has runs or events; "" at the end.
enum fail runs_query_next_instance(struct db *db, const char *after,
                                   char ret[static CATALOG_ID_ROOM], bool *ret_exists,
                                   struct fault *fault) MUST_CHECK;
enum fail runs_query_remove_over(struct db *db, const char *instance_id, uint64_t keep,
                                 unsigned limit, size_t *ret_removed,
                                 struct fault *fault) MUST_CHECK;
enum fail runs_query_remove_orphans(struct db *db, unsigned limit, size_t *ret_removed,
                                    struct fault *fault) MUST_CHECK;

// --- reseal.c: blocking ---
// Seals again the subscriptions' keys that an older master key holds.
enum fail runs_reseal(struct db *db, size_t *ret_done, struct fault *fault) MUST_CHECK;
struct sealed_key {
    char id[CATALOG_ID_ROOM], project_id[CATALOG_ID_ROOM];
    str sealed; // malloc'ed
};
// Those that were not sealed under the key with this id, behind `after` in the order of ids; crosses
// projects.
enum fail runs_query_old_keys(struct db *db, str key_id, const char *after, unsigned limit,
                              struct sealed_key *ret, size_t *ret_count,
                              struct fault *fault) MUST_CHECK;
enum fail runs_query_key_replace(struct db *db, const struct sealed_key *before, str after,
                                 struct fault *fault) MUST_CHECK;
#endif
