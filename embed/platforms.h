// What the files about platforms share: their rows and statements (queries_platforms.c), and the
// endpoints of each file. Pool threads.
#ifndef STOA_EMBED_PLATFORMS_H
#define STOA_EMBED_PLATFORMS_H
#include "edge/auth/tokens.h"
#include "edge/catalog/platform.h"

// --- endpoints ---
enum fail platform_api_create(struct call *call, struct answer *answer,
                              struct fault *fault) MUST_CHECK;
enum fail platform_api_list(struct call *call, struct answer *answer,
                            struct fault *fault) MUST_CHECK;
enum fail platform_api_get(struct call *call, struct answer *answer,
                           struct fault *fault) MUST_CHECK;
enum fail platform_api_create_token(struct call *call, struct answer *answer,
                                    struct fault *fault) MUST_CHECK;
// platform_projects.c
enum fail platform_api_create_project(struct call *call, struct answer *answer,
                                      struct fault *fault) MUST_CHECK;
enum fail platform_api_list_projects(struct call *call, struct answer *answer,
                                     struct fault *fault) MUST_CHECK;
enum fail platform_api_get_project(struct call *call, struct answer *answer,
                                   struct fault *fault) MUST_CHECK;
enum fail platform_api_change_project(struct call *call, struct answer *answer,
                                      struct fault *fault) MUST_CHECK;
// platform_users.c
enum fail platform_api_list_users(struct call *call, struct answer *answer,
                                  struct fault *fault) MUST_CHECK;
enum fail platform_api_get_user(struct call *call, struct answer *answer,
                                struct fault *fault) MUST_CHECK;
enum fail platform_api_change_user(struct call *call, struct answer *answer,
                                   struct fault *fault) MUST_CHECK;
// platform_trail.c
enum fail platform_api_list_events(struct call *call, struct answer *answer,
                                   struct fault *fault) MUST_CHECK;

// --- what they share ---
// The page that `limit` and `cursor` ask for.
enum fail platform_page_of(const struct call *call, struct page *ret,
                           struct fault *fault) MUST_CHECK;
// Rows whose first column is the id and whose last is the time of making, in ms.
struct page_key platform_key_of(const struct db_rows *rows, size_t row);
json_t *platform_time_json(int64_t real_ms);                                       // null for 0
json_t *platform_text_json(const struct db_rows *rows, size_t row, size_t column); // null for NULL
// One row as an object, a new reference; `row` of what the statements below give.
json_t *platform_row_json(const struct db_rows *rows, size_t row);
json_t *platform_project_row_json(const struct db_rows *rows, size_t row);
json_t *platform_user_row_json(const struct db_rows *rows, size_t row);
// One of the platform's projects. FAIL_NOT_FOUND "project_not_found".
enum fail platform_find_project(struct db *db, const char *platform_id, str id, json_t **ret,
                                struct fault *fault) MUST_CHECK;
// A token for what was just made, or made before; `call` says who makes it. In a transaction.
enum fail platform_make_token(const struct call *call, const char *project_id, str name,
                              enum scope scope, struct token_row *ret,
                              char ret_secret[static AUTH_TOKEN_ROOM],
                              struct fault *fault) MUST_CHECK;

// --- queries_platforms.c: *ret is freed by the caller ---
enum fail platform_query_page(struct db *db, const struct page *page, struct db_rows **ret,
                              struct fault *fault) MUST_CHECK;
enum fail platform_query_projects(struct db *db, const char *platform_id, str external_id,
                                  const struct page *page, struct db_rows **ret,
                                  struct fault *fault) MUST_CHECK;
// The project of the platform; of any with platform_id NULL, which only its maker asks for.
enum fail platform_query_project(struct db *db, const char *platform_id, str id,
                                 struct db_rows **ret, struct fault *fault) MUST_CHECK;
// Locks its row until the transaction ends.
enum fail platform_query_rename_project(struct db *db, const char *platform_id, str id,
                                        str display_name, bool *ret_found,
                                        struct fault *fault) MUST_CHECK;
// Ids of users, the page's too, have the form of a UUID.
enum fail platform_query_users(struct db *db, const char *platform_id, str external_id,
                               str project_id, const struct page *page, struct db_rows **ret,
                               struct fault *fault) MUST_CHECK;
enum fail platform_query_user(struct db *db, const char *platform_id, str id, struct db_rows **ret,
                              struct fault *fault) MUST_CHECK;
// Locks the user's row until the transaction ends. FAIL_NOT_FOUND "user_not_found".
enum fail platform_query_lock_user(struct db *db, const char *platform_id, const char *id,
                                   bool *ret_is_active, struct fault *fault) MUST_CHECK;
enum fail platform_query_set_status(struct db *db, const char *platform_id, const char *id,
                                    bool is_active, struct fault *fault) MUST_CHECK;
enum fail platform_query_owner_project(struct db *db, const char *platform_id,
                                       char ret[static CATALOG_ID_ROOM],
                                       struct fault *fault) MUST_CHECK;
#endif
