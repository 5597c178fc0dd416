// Management endpoints: straight-line functions that run on a pool thread with a database
// connection and return a reply. A feature lists them in a table; the router, authentication, the
// limits, and /api/openapi.json are all made from it.
#ifndef STOA_HTTP_ENDPOINT_H
#define STOA_HTTP_ENDPOINT_H
#include <jansson.h>
#include "edge/base/fail.h"
#include "edge/loop/pool.h"
#include "edge/store/db.h"

struct principal; // opaque here; edge/auth fills and reads it

enum scope {
    SCOPE_NONE,     // anyone (documents)
    SCOPE_READ,     // every token has at least this one
    SCOPE_DEPLOY,   // may deploy and roll back
    SCOPE_ADMIN,    // may manage tokens, delete, …
    SCOPE_PLATFORM, // an admin of the platform's owner project who may manage the platform too
    SCOPE_OPERATOR, // the first start's token only
};

// What sessions of embedded builders may ask for; which roles may is the one table of
// edge/auth/roles.c.
enum permission {
    PERMISSION_NONE,      // for API tokens only
    PERMISSION_VIEW,      // apps, their state, settings and domains
    PERMISSION_READ_DATA, // what visitors and handlers left: runs, events, files, rows
    PERMISSION_RUN,       // widget actions and tools
    PERMISSION_CONNECT,   // make, change and delete connections
    PERMISSION_BUILD,     // deploy, roll back, make instances
    PERMISSION_CONFIGURE, // settings, secrets
    PERMISSION_MANAGE,    // domains, webhooks, what deletes
};
enum { PERMISSION_COUNT = PERMISSION_MANAGE + 1 };

enum { ENDPOINT_PARAMS_MAX = 4, QUERY_PARAMS_MAX = 16 };

// A stream of bytes that is made on a pool thread, piece by piece, as the client takes it.
struct stream {
    // Fills `to` with up to `room` bytes; *ret_n = 0 is the end. Pool thread; blocks.
    enum fail (*pull)(struct stream *s, char *to, size_t room, size_t *ret_n);
    void (*close)(struct stream *s); // frees it; called once, on a pool or loop thread
};

struct call {
    const struct endpoint *endpoint;
    struct db *db;                     // this thread's
    const struct principal *principal; // NULL with SCOPE_NONE
    str params[ENDPOINT_PARAMS_MAX]; // of the path, decoded, in order; valid UTF-8 without control
                                     // characters, 1–256 bytes
    str content_type;                // as sent, may be empty
    str body;                        // all of it
    json_t *json; // the parsed body (an object) where that is BODY_JSON, else NULL; borrowed
    const char *request_id;
    str peer;   // the visitor's address as text
    str origin; // "Origin" as sent, may be empty
    struct {
        str name, value;
    } query[QUERY_PARAMS_MAX]; // decoded; only names the endpoint lists get here
    size_t query_count;
};
// A listed query parameter, or an absent str (p == NULL).
str call_query(const struct call *call, const char *name);
// true | false | absent (=default); anything else is FAIL_REFUSED.
enum fail call_query_bool(const struct call *call, const char *name, bool absent, bool *ret,
                          struct fault *fault) MUST_CHECK;
// limit (1–100, default 50) of contract §1's lists.
enum fail call_limit(const struct call *call, unsigned *ret, struct fault *fault) MUST_CHECK;

// An answer that waits for something no thread may wait for: made by an endpoint's function, which
// has authorised everything; `start` then has the request on its loop, and answers it by reply.h.
struct request;
struct later {
    // Takes `l` and the request; NULL when the client has left meanwhile: what was asked for is
    // done all the same.
    void (*start)(struct later *l, struct request *r);
    void (*drop)(struct later *l); // never started, since the endpoint failed after all
};

struct answer {
    struct later *later;       // taken; instead of everything else
    int status;                // 200 when left 0
    json_t *json;              // taken
    str text;                  // JSON that stays as long as the process; instead of json
    struct stream *stream;     // taken; instead of json
    const char *stream_type;   // "application/x-tar"; a literal
    char stream_filename[128]; // Content-Disposition, ASCII
    int64_t stream_size;       // -1 (or 0 with no stream): not known
    json_t *details;           // for failures: contract §1 `details`; taken
    unsigned retry_after;      // seconds, for 429 and 503; 0: none
};

struct endpoint_field {
    const char *name;
    const char *type; // "string" | "boolean" | "integer" | "object" | "array"
    bool required;
    const char *doc;
};

enum body_kind {
    BODY_NONE,
    BODY_JSON,       // an object of the fields listed, no others
    BODY_ANY_OBJECT, // an object that is somebody else's to read; in `body`, "{}" for none
    BODY_BYTES
};

struct endpoint {
    const char *method; // "GET"
    const char
        *path; // "/api/plugins/:plugin/deployments/:deployment/activate"; /api/v1/… is the same
    const char *id;             // operationId: "activateDeployment"
    const char *summary;        // a sentence
    enum scope scope;           // that an API token must have
    enum permission permission; // that a session's role must have
    enum lane lane;
    enum body_kind body;
    const char *body_types; // BODY_BYTES: "text/plain, multipart/form-data"
    size_t body_max; // bytes; 0: none. May be changed before the table is registered (settings)
    const struct endpoint_field *query; // ends with a NULL name; NULL: none
    const struct endpoint_field
        *fields; // of the JSON body; unknown ones are refused (422); NULL: none
    const char
        *answer; // the component schema's name of the 2xx answer: "Deployment", "PluginList", …
    int success; // 200 | 201; 302: the way to it, by a struct later
    const char *codes; // codes it may fail with beside the common ones: "invalid_pie has_domains"
    enum fail (*run)(struct call *call, struct answer *answer, struct fault *fault);
};
#endif
