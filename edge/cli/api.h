// One call of the HTTP API: the request, its answer as JSON, and what a failed one means for the
// command's exit code. Whatever goes wrong, on the way or at the server, is one error object of
// contract §1, so that commands have one way to show it.
#ifndef STOA_CLI_API_H
#define STOA_CLI_API_H
#include "edge/cli/internal.h"

struct api_request {
    const char *method, *path; // the path with its query, percent-encoded: api_path
    json_t *json;              // the body; borrowed; NULL = one of those below, or none
    const char *content_type;
    str body;
    int body_fd; // not negative: body_length bytes from its offset 0
    uint64_t body_length;
    int response_fd;    // not negative: a 2xx answer's bytes go there
    const char *label;  // of the progress line
    const char *origin; // another than the console's: sent without a token; NULL = the console's
    // A stream: a 2xx answer's bytes as they come; false ends it. Last-Event-ID may be NULL.
    bool (*on_body)(void *arg, str piece);
    void *body_arg;
    const char *last_event_id;
};
#define API_REQUEST(m, p)                                                                          \
    ((struct api_request){.method = (m), .path = (p), .body_fd = -1, .response_fd = -1})

struct api_reply {
    enum cli_exit exit; // EXIT_DONE for a 2xx
    unsigned status;    // 0 = no answer came
    json_t *body;       // the answer, or the error object; NULL when it went to response_fd
    uint64_t bytes;
    unsigned retry_after_s; // of Retry-After; 0 = none said
};

// Finds the server at the first call (target.h), sends, waits. Prints nothing but progress.
void api_send(struct cli *cli, const struct api_request *request, struct api_reply *ret);
void api_reply_fini(struct api_reply *reply);
// Prints a failed reply (on stderr, or as JSON on stdout) and returns its exit code. Problems are
// printed as `file:line:column: message`, their file being `file`, or inside it when it is a
// folder; `file` may be NULL. Fields that were refused stand below the sentence, each with its
// reason, and so do names that were not found.
enum cli_exit api_report(struct cli *cli, const struct api_reply *reply, const char *file,
                         bool is_folder);
// Sends a request; on failure reports it. On success `*ret` is a new reference.
MUST_CHECK enum cli_exit api_call(struct cli *cli, const struct api_request *request, json_t **ret);
// Deletes what is at `path`, and says `done` unless the output is quiet; as JSON: the answer.
enum cli_exit api_delete(struct cli *cli, const char *path, const char *done);
// All pages of a list, as one {"data":[…],"next":null,"previous":null}. `path` has no query.
MUST_CHECK enum cli_exit api_list(struct cli *cli, const char *path, json_t **ret);
// The id of the caller's instance of an app, or of the instance that `app` names. free() it.
MUST_CHECK enum cli_exit api_instance_of(struct cli *cli, const char *app, char **ret);
// A path from a format whose only conversion is %s, each argument percent-encoded as one segment.
// free() it.
char *api_path(const char *format, ...) __attribute__((format(printf, 1, 2)));
// Looks the server up anew at the next call: it may have moved.
void api_forget_server(struct cli *cli);
#endif
