// Outbound HTTP on libcurl: the one door. This is the operator's profile, for servers that the
// operator or owner named himself (the command line's own server, later S3): it blocks, verifies
// TLS, never follows a redirect, never asks a proxy for loopback hosts, reads no .netrc. A profile
// for strangers' URLs (security-rules.md 20) stands beside it when something needs one; this one
// must never be given a URL that a tenant or visitor chose.
//
// A client keeps connections alive between its requests; one thread at a time uses it. All text in
// a response is hostile: who prints it escapes it.
#ifndef STOA_CLIENT_HTTP_CLIENT_H
#define STOA_CLIENT_HTTP_CLIENT_H
#include "edge/base/fail.h"

enum { HTTP_CLIENT_BODY_MAX = 16 * 1024 * 1024 }; // a response kept in memory, by default

struct http_client_options {
    const char *user_agent;     // required; copied
    const char *ca_file;        // PEM, instead of the system's authorities; NULL = the system's
    unsigned connect_timeout_s; // 0 = 10
    unsigned stall_timeout_s; // no byte either way for this long, 0 = 60; longer than any endpoint
};

// Bytes so far and in all (0 = not known), both ways; called at least once a second while a request
// runs. True ends the request (FAIL_INTERNAL, `interrupted`).
typedef bool (*http_client_on_progress)(void *arg, uint64_t sent, uint64_t send_total,
                                        uint64_t received, uint64_t receive_total);

// All of it is borrowed until http_client_do returns.
struct http_request {
    const char *method;       // "GET", "POST", …
    const char *url;          // http or https
    const char *host;         // sent as Host instead of the URL's own (RFC 9110 §7.2); NULL = that
    const char *token;        // sent as `Authorization: Bearer`; NULL = none
    const char *content_type; // of the body; NULL = none
    const char *accept;       // NULL = application/json
    str body;                 // from memory; or, when body_fd is not negative,
    int body_fd;              // body_length bytes of this file from its offset 0 (pread)
    uint64_t body_length;
    int response_fd; // not negative: the body of a 2xx goes there instead of into memory
    // Set: the body of a 2xx goes here, as it comes; false ends the request (FAIL_INTERNAL,
    // `interrupted`).
    bool (*on_body)(void *arg, str piece);
    void *body_arg;
    const char *last_event_id; // of a stream of events; NULL = none
    size_t response_max; // bytes kept in memory, 0 = HTTP_CLIENT_BODY_MAX; no limit for a file
    http_client_on_progress on_progress; // may be NULL
    void *progress_arg;
};
// A request with no body and the response in memory: fill in the rest.
#define HTTP_REQUEST(m, u)                                                                         \
    ((struct http_request){.method = (m), .url = (u), .body_fd = -1, .response_fd = -1})

struct http_response {
    unsigned status;
    struct buf body; // empty when it went to a file
    uint64_t body_length;
    char content_type[128];
    char request_id[80]; // X-Request-Id
    char location[512];
    char replay_nonce[128]; // Replay-Nonce (RFC 8555 §6.5)
    unsigned retry_after_s; // 0 = none said
};

struct http_client;
struct http_client *http_client_create(const struct http_client_options *options);
void http_client_destroy(struct http_client *client);

// Sends and waits for the whole answer, whatever its status. `ret` is initialised in every case and
// is to be finished by http_response_fini. FAIL_UPSTREAM (`unreachable`, `tls_failed`: no
// connection, or a broken one), FAIL_TIMEOUT (`timeout`), FAIL_TOO_LARGE (the answer),
// FAIL_BAD_INPUT (`bad_url`), FAIL_INTERNAL (`interrupted`, `local_io`).
MUST_CHECK enum fail http_client_do(struct http_client *client, const struct http_request *request,
                                    struct http_response *ret, struct fault *fault);
void http_response_fini(struct http_response *response);
#endif
