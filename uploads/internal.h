// What the .c files of this folder share: a file's row, what types mean, how links are made.
#ifndef STOA_UPLOADS_INTERNAL_H
#define STOA_UPLOADS_INTERNAL_H
#include "edge/base/digest.h"
#include "edge/catalog/files.h"
#include "edge/catalog/page.h"
#include "edge/inspect/inspect.h"
#include "uploads/upload.h"

enum { FILE_NAME_ROOM = 256, FILE_MIME_ROOM = 128 };

enum file_source { FILE_OF_VISITOR, FILE_OF_HANDLER };

struct file {
    char id[FILES_ID_ROOM]; // "file_…"
    struct files_owner owner;
    enum file_source source;
    char filename
        [FILE_NAME_ROOM]; // clean: multipart_clean_filename, its extension agreeing with `mime`
    char original[FILE_NAME_ROOM]; // as it was given, cleaned likewise
    char mime[FILE_MIME_ROOM];     // of our table (types.c); what it is served as
    struct digest digest;
    uint64_t size;
    int64_t created_at; // real ms
};

extern const struct uploads_options *uploads_options;

// --- queries.c: every one within a project. Pool threads. ---
// Takes it against the quota of (project, plugin), whose row it locks: FAIL_QUOTA "quota_exceeded",
// whose sentence holds the word quota; FAIL_BUSY "database_busy" when another holds it for two
// seconds. The blob is synced already. Fills in id and created_at.
enum fail file_insert(struct db *db, struct file *f, const char *visitor, const char *request_id,
                      struct fault *fault) MUST_CHECK;
// Whether it would be taken just now; fails as file_insert does, and changes nothing.
enum fail file_fits(struct db *db, const struct file *f, struct fault *fault) MUST_CHECK;
// A file on its way in, and who brings it.
struct file_arrival {
    struct file *file;
    const char *visitor, *request_id; // "" for a handler's
};
// The same for many of one plugin and project at once, in a transaction: all of them, or FAIL_QUOTA with
// nothing changed and no fault filled (one by one some may fit).
enum fail file_insert_together(struct db *db, const struct file_arrival *list, size_t n,
                               struct fault *fault) MUST_CHECK;
// By id, whatever the project when `project_id` is NULL (a signed link proves the right).
// FAIL_NOT_FOUND "file_not_found".
enum fail file_find(struct db *db, const char *project_id, str id, struct file *ret,
                    struct fault *fault) MUST_CHECK;
// The row goes, the quota is given back; its blob goes with the next collection.
enum fail file_delete(struct db *db, const char *project_id, str id,
                      struct fault *fault) MUST_CHECK;
// What a list shows. `type` is empty, a class ("image/*") or a type; asked for anything else,
// nothing is found.
struct file_filter {
    const char *project_id;
    const char *plugin_id, *instance_id; // at most one of them; NULL: any
    str type;
};
// A page, newest first (edge/catalog/page.h). *ret is the caller's to free.
enum fail file_list(struct db *db, const struct file_filter *filter, const struct page *page,
                    struct file **ret, size_t *ret_count, struct fault *fault) MUST_CHECK;
// What the plugin's files take up, in all projects.
struct file_usage {
    uint64_t bytes, count;
};
enum fail file_usage(struct db *db, const char *plugin_id, struct file_usage *ret,
                     struct fault *fault) MUST_CHECK;
// In one project: what its quota says.
enum fail file_quota_used(struct db *db, const char *project_id, const char *plugin_id,
                          struct file_usage *ret, struct fault *fault) MUST_CHECK;
// All of the plugin's, for good: nothing can be kept for it afterwards. In the deletion's
// transaction.
enum fail file_delete_all(struct db *db, const char *plugin_id, struct fault *fault) MUST_CHECK;
// Visitors' files older than so many days, at most `limit` of them: of one instance, or (NULL) of
// all.
enum fail file_delete_old(struct db *db, const char *instance_id, uint32_t days, unsigned limit,
                          size_t *ret_count, struct fault *fault) MUST_CHECK;
// The instance's settings go with it, what they promised does not: in its deletion's transaction.
enum fail file_retention_keep(struct db *db, const char *instance_id, uint32_t days,
                              struct fault *fault) MUST_CHECK;
// Visitors' files of instances that are gone, older than was promised; at most `limit` of them.
enum fail file_delete_outlived(struct db *db, unsigned limit, size_t *ret_count,
                               struct fault *fault) MUST_CHECK;
// Drops the promises that no file is left of, and none can be on its way.
enum fail file_retentions_prune(struct db *db, struct fault *fault) MUST_CHECK;
// The first instance of the plugin behind `after`, of any project; "" when there is none.
enum fail file_next_instance_of(struct db *db, const char *plugin_id, const char *after,
                                char ret[static CATALOG_ID_ROOM], struct fault *fault) MUST_CHECK;
// The first instance id behind `after` that visitors' files are kept for; "" when there is none.
enum fail file_next_instance(struct db *db, const char *after, char ret[static CATALOG_ID_ROOM],
                             struct fault *fault) MUST_CHECK;
bool file_names_blob(struct db *db,
                     const struct digest *d); // true, too, when it cannot be told now

// --- keep.c: the bytes, then the row. Pool threads. ---
// Puts the bytes into the blob store and fills in digest and size; nothing is durable yet. What
// cannot be kept is not written where that is known: FAIL_QUOTA, FAIL_NOT_FOUND as file_insert's.
enum fail file_put(struct db *db, struct file *f, str bytes, struct fault *fault) MUST_CHECK;
// Charges them to what may be written for a plugin in an hour: four times its quota, at least 1 GiB.
// What is deleted lies on the disk until it is collected, so the quota alone bounds nothing where
// files go as fast as they come.
bool file_may_write(const struct files_owner *o, uint64_t bytes);
// A file on its way from the store to its row. All but `_next` is the asker's, and is its own again
// when on_kept is called.
struct keeping {
    struct file *file;
    const char *visitor, *request_id; // "" for a handler's
    struct fault *fault;
    enum fail fail;                     // when it is over: whether the file is kept
    void (*on_kept)(struct keeping *k); // on the keeping thread: others wait meanwhile
    struct keeping *_next;
};
// file_insert once the bytes are durable. Files that come at the same time share one sync and one
// transaction. Comes back at once. FAIL_BUSY "busy": too many wait, and on_kept will not be called.
enum fail file_keep_start(struct keeping *k, struct fault *fault) MUST_CHECK;
// The same for a handler's file, waiting for it: when it returns, the file is kept, or it is not.
enum fail file_keep(struct file *f, struct fault *fault) MUST_CHECK;

// --- receive.c, ask.c, discard.c: what files.h asks, in struct files_keeper ---
void upload_receive(struct files_upload *u);
void files_answer(struct files_question *q, str op, str args);
void files_answer_cancel(struct files_question *q);
void upload_discard(const struct files_owner *owner, const char *file_id);
// Deletes what could not be deleted at once. Pool threads.
void upload_discard_all(struct db *db);

// --- collect.c ---
// What is kept of an instance that goes: the days its owner has set, if any. In its deletion's
// transaction.
enum fail uploads_promise_days(struct db *db, const char *instance_id,
                               struct fault *fault) MUST_CHECK;
enum fail uploads_collect_old(struct db *db, size_t *ret_count, struct fault *fault) MUST_CHECK;

// --- metrics.c: any thread ---
enum upload_outcome {
    UPLOAD_STORED,
    UPLOAD_INVALID, // no well-formed body of exactly one file
    UPLOAD_TYPE,
    UPLOAD_TOO_LARGE,
    UPLOAD_QUOTA,
    UPLOAD_BUSY,
    UPLOAD_FAILED,
    UPLOAD_OUTCOMES
};
void upload_count(enum file_source source, enum fail fail, uint64_t bytes);
void upload_count_deleted(size_t files);
void uploads_metrics(struct buf *to); // Prometheus text

// --- types.c: contract §5's rules. Pure. ---
// What the file is to be called and served as, from what the cage saw, its name and the declared
// type (may be empty). FAIL_BAD_TYPE "type_not_allowed" or "type_mismatch" with *ret_details =
// {"seen","extension","declared","expected"}; `is_owner`: a handler's own file, of any type.
enum fail type_decide(const struct inspect_seen *seen, str bytes, str filename, str declared,
                      bool is_owner, char ret_mime[static FILE_MIME_ROOM],
                      char ret_filename[static FILE_NAME_ROOM], json_t **ret_details,
                      struct fault *fault) MUST_CHECK;
// Whether a browser may show it in place: raster images, audio, video, plain text
// (security-rules.md 21), and the bytes bear it out.
bool type_is_inline(const char *mime, str head);

// --- links.c: signed URLs (contract §5, security-rules.md 21). ---
enum link_use { LINK_INLINE, LINK_ATTACHMENT };
// Whether links can be made: FAIL_BUSY "seal_not_ready" until the master key has been checked against
// the database, which may have been away at the start. Asked before anything is kept or shown.
enum fail link_check(struct fault *fault) MUST_CHECK;
// "{origin}/files/{id}/{filename}?exp=&sig=&d=", valid for 15 minutes from `now_ms` (real). What an
// anonymous uploader gets is LINK_ATTACHMENT.
void link_make(const struct file *f, enum link_use use, int64_t now_ms, struct buf *to);

// --- json ---
// {"id","filename","mimeType","size","sha256","createdAt","source","instanceId",…} for owners.
json_t *file_json(const struct file *f);
#endif
