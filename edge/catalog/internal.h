// What the .c files of this folder share: the statements (queries.c) behind typed functions.
#ifndef STOA_CATALOG_INTERNAL_H
#define STOA_CATALOG_INTERNAL_H
#include "edge/base/digest.h"
#include "edge/catalog/catalog.h"
#include "edge/catalog/page.h"
#include "edge/catalog/platform.h"

// One event as the chain's hash covers it.
struct audit_event {
    int64_t seq, at; // real ms
    const char *project_id, *actor, *action, *subject, *request_id;
    str address, facts; // facts: JSON as stored, p == NULL when there are none
};
struct digest audit_hash(const struct digest *previous, const struct audit_event *e);

struct new_project {
    char id[CATALOG_ID_ROOM], owner_id[CATALOG_UUID_ROOM];
    const char *platform_id; // NULL: none
    str external_id;         // p == NULL: none
    str display_name;        // what is over 100 characters is cut off
};
// With its owner and the trail's beginning; *ret_is_new is false, and nothing is made, when the
// platform has one with that external id.
enum fail catalog_query_project_insert(struct db *db, const struct new_project *p, bool *ret_is_new,
                                       struct fault *fault) MUST_CHECK;
// Inserts `p` (id, project, slug) or updates the one with that slug.
enum fail catalog_query_plugin_upsert(struct db *db, const struct plugin *p, str display_name,
                                      str version, str tier, struct plugin *ret, bool *ret_created,
                                      struct fault *fault) MUST_CHECK;
// Up to page_fetch rows in the order of the page's direction; malloc'ed.
enum fail catalog_query_plugin_page(struct db *db, const char *project_id, const struct page *page,
                                    struct plugin **ret, size_t *ret_count,
                                    struct fault *fault) MUST_CHECK;
// Remembers the slug for good; false when it was issued before.
enum fail catalog_query_slug_issue(struct db *db, const char *slug, const char *project_id,
                                   bool *ret_is_new, struct fault *fault) MUST_CHECK;
enum fail catalog_query_instance_insert(struct db *db, const struct instance *i,
                                        int64_t *ret_created_at, struct fault *fault) MUST_CHECK;
// Locks the chain's head until the transaction ends.
enum fail catalog_query_audit_head(struct db *db, const char *project_id, int64_t *ret_seq,
                                   struct digest *ret_hash, struct fault *fault) MUST_CHECK;
enum fail catalog_query_audit_insert(struct db *db, const struct audit_event *e,
                                     const struct digest *hash, struct fault *fault) MUST_CHECK;
// The chain from `after` on, at most `limit` rows: seq, at, actor, action, subject, request id,
// address, facts, hash.
enum fail catalog_query_audit_rows(struct db *db, const char *project_id, int64_t after,
                                   unsigned limit, struct db_rows **ret,
                                   struct fault *fault) MUST_CHECK;

// --- queries_platform.c ---
// *ret_is_new is false when the slug is taken.
enum fail catalog_query_platform_insert(struct db *db, const struct platform *p, bool *ret_is_new,
                                        int64_t *ret_created_at, struct fault *fault) MUST_CHECK;
// Locks the user's row; fills user_id and is_active.
enum fail catalog_query_user_lock(struct db *db, const struct provision *p, struct provisioned *ret,
                                  bool *ret_found, struct fault *fault) MUST_CHECK;
enum fail catalog_query_user_insert(struct db *db, const struct provision *p, const char *id,
                                    bool *ret_is_new, struct fault *fault) MUST_CHECK;
enum fail catalog_query_user_update(struct db *db, const struct provision *p, const char *user_id,
                                    struct fault *fault) MUST_CHECK;
// Fills project_id and owner_id; locks the row when told to.
enum fail catalog_query_external_project(struct db *db, const struct provision *p, bool locks,
                                         struct provisioned *ret, bool *ret_found,
                                         struct fault *fault) MUST_CHECK;
// Unless a newer token, whosever, has said another; the project's row is locked.
enum fail catalog_query_filter_update(struct db *db, const struct provision *p,
                                      const char *project_id, struct fault *fault) MUST_CHECK;
// Fills the role.
enum fail catalog_query_member_find(struct db *db, const struct provision *p,
                                    struct provisioned *ret, int64_t *ret_issued_at,
                                    bool *ret_found, struct fault *fault) MUST_CHECK;
enum fail catalog_query_member_put(struct db *db, const struct provision *p,
                                   const struct provisioned *r, struct fault *fault) MUST_CHECK;
#endif
