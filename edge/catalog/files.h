// How visitors' uploads and handlers' runs reach the files of a plugin: asked here, answered by the
// one feature that keeps them. Nobody else knows how files are kept. All answers come by message on
// the loop that asked, never from inside the question.
#ifndef STOA_CATALOG_FILES_H
#define STOA_CATALOG_FILES_H
#include <jansson.h>
#include "edge/catalog/catalog.h"
#include "edge/loop/loop.h"

enum { FILES_ID_ROOM = CATALOG_ID_ROOM, FILES_VISITOR_ROOM = 46, FILES_REQUEST_ID_ROOM = 25 };
enum {
    FILES_FILE_MAX = 10 * 1024 * 1024,            // bytes of one file
    FILES_BODY_MAX = FILES_FILE_MAX + 512 * 1024, // of the whole body that brings it
};

// Whose files they are: out of our own tables, never of a frame or a body (security-rules.md 3).
struct files_owner {
    char project_id[CATALOG_ID_ROOM], plugin_id[CATALOG_ID_ROOM], instance_id[CATALOG_ID_ROOM];
    char instance_slug[CATALOG_SLUG_ROOM], owner_id[37];
};

struct body; // edge/http/body.h

// A visitor's upload, from the whole body to the kept file. Embed it; zero it; fill in the first
// part and give it away.
struct files_upload {
    struct files_owner owner;
    struct body *body;  // multipart/form-data; taken
    char *content_type; // the request's header, NUL-terminated, malloc'ed; taken
    char visitor[FILES_VISITOR_ROOM], request_id[FILES_REQUEST_ID_ROOM];
    bool strips_images;                        // the instance's switch: no EXIF, no place
    void (*on_stored)(struct files_upload *u); // once; the memory is the asker's again

    // Answered. Not FAIL_NONE: `fault` says why, in a code and a sentence for the visitor, with
    // contract §1's details (may be NULL). The asker drops the json with files_upload_fini.
    enum fail fail;
    struct fault fault;
    json_t *details;
    unsigned retry_after; // seconds, 0: none
    json_t *file;         // {"fileId","filename","url","mimeType","size","sha256"} of contract §5
    json_t *fields;       // {"name":"value",…}: the small parts beside the file
    char file_id[FILES_ID_ROOM];
    void *_;
};
void files_upload_fini(struct files_upload *u); // what was answered
// FAIL_* of an upload: BAD_INPUT (invalid_multipart …), BAD_TYPE (type_not_allowed, type_mismatch,
// unsupported_media_type), TOO_LARGE (file_too_large, multipart_too_large), REFUSED (no_file,
// too_many_files, empty_file), QUOTA (quota_exceeded, disk_full), BUSY, INTERNAL.

// What a handler asks: context.files.<op>(args…); `op` is "upload", "list", "get", "getUrl" or
// "delete", `args` the JSON array of its arguments. Embed it; both are copied.
struct files_question {
    struct files_owner owner;
    // Once, unless it was cancelled: `json` is the value (borrowed), or with `is_error` an object
    // {"message","code"} for the handler to catch.
    void (*on_answer)(struct files_question *q, bool is_error, str json);
    void *_;
};

struct files_keeper {
    void (*receive)(struct files_upload *u);
    void (*ask)(struct files_question *q, str op, str args);
    void (*cancel)(struct files_question *q);
    void (*discard)(const struct files_owner *owner, const char *file_id);
};
void files_keep_by(const struct files_keeper *keeper); // process start, once; kept

// Loop threads.
void files_receive(struct files_upload *u);
void files_ask(struct files_question *q, str op, str args);
// Nothing is heard of it any more; what was done stays done. The memory is the asker's again.
void files_cancel(struct files_question *q);
// The plugin did not want it after all: it is deleted, soon. Any thread.
void files_discard(const struct files_owner *owner, const char *file_id);
#endif
