// The catalogue as its files share it: pieces are plugins of a platform's owner project, offered to
// the platform's other projects and tagged; what a project may use; and the statements
// (queries_catalogue.c). Pool threads.
#ifndef STOA_EMBED_CATALOGUE_H
#define STOA_EMBED_CATALOGUE_H
#include "edge/auth/auth.h"
#include "edge/catalog/hooks.h"
#include "edge/catalog/page.h"
#include "embed/embed.h"

enum {
    PIECES_AT_ONCE_MAX = 100, // ids of one change
    PIECE_TAGS_MAX = 50,      // of one plugin, and of one change
    PIECE_TAG_MAX = 64,       // characters
    PIECES_USABLE_MAX = 1000, // that are looked through for a piece name
};

struct piece {
    struct plugin plugin;
    bool is_offered;
    json_t *tags; // owned
    int place;    // of pieces_query_usable: 1 offered, 2 it has apps of, 3 its own
};
// Takes NULL.
void pieces_free(struct piece *list, size_t count);

// What answers to the name (a plugin's id or slug, or one of its manifest's pieceNames) among what the
// project may use: what its platform offers it, then what it has apps of, then its own plugins, so
// that nobody who may deploy in a project can have the platform's names for a plugin that collects
// what is meant for the platform's. In each of these slugs come before piece names, and the older
// first. With what it has deployed (deployed_fini). FAIL_NOT_FOUND "piece_not_found".
enum fail piece_find(struct db *db, const char *project_id, str name, struct plugin *ret,
                     struct deployed *ret_deployed, struct fault *fault) MUST_CHECK;
// catalog_find_offered's answer.
enum fail piece_find_offered(struct db *db, const char *project_id, str ref, struct plugin *ret,
                             struct fault *fault) MUST_CHECK;
// "https://{slug}.apps.example.com/", or below the apps origin. A new reference.
json_t *catalogue_url_json(const char *plugin_slug, const char *instance_slug);

// --- endpoints ---

enum fail pieces_api_list(struct call *call, struct answer *a, struct fault *fault);
enum fail pieces_api_get(struct call *call, struct answer *a, struct fault *fault);
enum fail pieces_api_change(struct call *call, struct answer *a, struct fault *fault);
enum fail catalogue_api_flows(struct call *call, struct answer *a, struct fault *fault);
enum fail catalogue_api_flow(struct call *call, struct answer *a, struct fault *fault);

// --- queries_catalogue.c ---

// Whether the project is its platform's owner project, whose plugins are the catalogue.
enum fail pieces_query_is_owner(struct db *db, const char *project_id, bool *ret,
                                struct fault *fault) MUST_CHECK;
// The owner project's plugins (`all`), or what its platform offers the project by the filter that
// its last exchange left: page_fetch rows at most, in the order of the page's direction.
enum fail pieces_query_page(struct db *db, const char *project_id, bool all,
                            const struct page *page, struct piece **ret, size_t *ret_count,
                            struct fault *fault) MUST_CHECK;
// One of those by id or slug, *ret_found false when it is none of them.
enum fail pieces_query_offered(struct db *db, const char *project_id, str ref, struct plugin *ret,
                               bool *ret_found, struct fault *fault) MUST_CHECK;
// Everything the project may use, as piece_find prefers it.
enum fail pieces_query_usable(struct db *db, const char *project_id, struct piece **ret,
                              size_t *ret_count, struct fault *fault) MUST_CHECK;
// The owner project's plugins that the JSON array names by id or slug, by id.
enum fail pieces_query_named(struct db *db, const char *project_id, const json_t *refs,
                             struct piece **ret, size_t *ret_count, struct fault *fault) MUST_CHECK;
// Of those: offers or withdraws (NULL: neither), adds and takes tags. The most tags that one has
// then.
enum fail pieces_query_change(struct db *db, const char *project_id, const json_t *refs,
                              const json_t *is_offered, const json_t *add, const json_t *remove,
                              int64_t *ret_most_tags, struct fault *fault) MUST_CHECK;
// The project's apps: id, slug, time of making, then plugin id, slug, display name, version.
enum fail catalogue_query_apps(struct db *db, const char *project_id, const struct page *page,
                               struct db_rows **ret, struct fault *fault) MUST_CHECK;
enum fail catalogue_query_app(struct db *db, const char *project_id, str ref, struct db_rows **ret,
                              struct fault *fault) MUST_CHECK;
#endif
