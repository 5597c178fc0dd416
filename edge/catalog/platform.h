// Platforms (SaaSes that embed), and what their tokens bring into being: users and projects by the
// ids the platform gave them, and who is what where. Every statement names the platform. Pool
// threads.
#ifndef STOA_CATALOG_PLATFORM_H
#define STOA_CATALOG_PLATFORM_H
#include "edge/catalog/catalog.h"
#include "edge/catalog/page.h"

enum { CATALOG_UUID_ROOM = 37, CATALOG_EXTERNAL_ROOM = 4 * 256 + 1, CATALOG_ROLE_ROOM = 12 };

struct platform {
    char id[CATALOG_ID_ROOM], slug[CATALOG_SLUG_ROOM], display_name[CATALOG_NAME_ROOM];
    char owner_project_id[CATALOG_ID_ROOM];
    int64_t created_at; // real ms
};
// With its owner project, audited by the caller. In a transaction. The slug is one label of
// [a-z0-9-], 3–40 characters, checked by the caller. FAIL_CONFLICT "platform_slug_taken".
enum fail platform_create(struct db *db, str slug, str display_name, struct platform *ret,
                          struct fault *fault) MUST_CHECK;
// By id or slug. FAIL_NOT_FOUND "platform_not_found".
enum fail platform_find(struct db *db, str ref, struct platform *ret,
                        struct fault *fault) MUST_CHECK;

// A project that the platform asks for itself: its owner and the trail's beginning with it, audited
// by the caller. In a transaction. `external_id` may be absent (p == NULL): then no token ever comes
// to it. FAIL_CONFLICT "external_id_taken".
enum fail platform_project_create(struct db *db, const char *platform_id, str external_id,
                                  str display_name, char ret_id[static CATALOG_ID_ROOM],
                                  char ret_owner[static CATALOG_UUID_ROOM],
                                  struct fault *fault) MUST_CHECK;

// What a provisioning token that was found good asks for; texts are 1–256 characters.
struct provision {
    const char *platform_id;
    str external_user_id, external_project_id, first_name, last_name, email; // email may be empty
    const char *role;   // "Admin", "Editor", "Viewer", "Operator"
    bool has_filter;    // false: the project's stays as it is, as with a filter older than its own
    const char *filter; // "NONE", "ALLOWED"
    const json_t *tags; // array of strings, with ALLOWED
    int64_t issued_at;  // seconds: `iat`, else `exp`
};
struct provisioned {
    char user_id[CATALOG_UUID_ROOM], project_id[CATALOG_ID_ROOM], owner_id[CATALOG_UUID_ROOM];
    char role[CATALOG_ROLE_ROOM]; // in force now
    bool is_active;               // false: the user was switched off; nothing was changed
    bool is_stale; // older than one accepted before for this user and project: nothing was changed
    bool made_user, made_project;
};
// Insert or get on (platform, user) and (platform, project), names, role and filter as the token
// says (security-rules.md 25); a new project is called by its external id. In a transaction, which
// has the rows of user and project locked until it ends; of several at once for the same ids all
// succeed. What is made is audited by the caller. With is_active false, project_id is "" when there
// is no such project.
enum fail platform_provision(struct db *db, const struct provision *p, struct provisioned *ret,
                             struct fault *fault) MUST_CHECK;

// What is kept of a user's tokens as issued in time to come, as it is where `exp` stands for `iat`,
// was issued now: tokens that are signed from here on count again. So do the filters of their
// projects that none but they can have said. In a transaction that has the user's row locked, and no
// session's yet.
enum fail platform_forget_times_ahead(struct db *db, const char *platform_id, const char *user_id,
                                      struct fault *fault) MUST_CHECK;

// The trail, newest first, for page_rows_json: project id, seq, time, actor, action, subject,
// request id, address, facts. A key's id is the project's id, a dot and the seq. *ret is freed by
// the caller. The project's own, or those of all the platform's projects.
enum fail audit_project_page(struct db *db, const char *project_id, const struct page *page,
                             struct db_rows **ret, struct fault *fault) MUST_CHECK;
enum fail audit_platform_page(struct db *db, const char *platform_id, const struct page *page,
                              struct db_rows **ret, struct fault *fault) MUST_CHECK;
#endif
