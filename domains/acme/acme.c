// Each step is a signed POST and a look at its answer. The CA's texts are hostile: bounded, and its
// words are cut and stripped before anybody reads them. URLs it gives must be of its own scheme.
#include "domains/acme/acme.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "edge/base/clock.h"
#include "edge/base/digest.h"
#include "edge/base/jsonx.h"

enum {
    ANSWER_MAX = 256 * 1024,
    NONCE_TRIES = 10,
    PATIENCE_MS = 60 * 1000,
    PAUSE_MS = 250, // the first; doubled up to the last
    PAUSE_MAX_MS = 5000,
    WORDS_MAX = 160,
};

struct acme {
    struct acme_options options;
    struct http_client *http;
    json_t *directory; // NULL until it was read
    EVP_PKEY *key;     // a reference
    char kid[ACME_URL_ROOM], nonce[128];
    unsigned retry_after;
};

struct acme *acme_open(const struct acme_options *o)
{
    struct acme *a = calloc(1, sizeof *a);
    if (a == NULL)
        abort();
    a->options = *o;
    if (a->options.patience_ms == 0)
        a->options.patience_ms = PATIENCE_MS;
    a->http = http_client_create(&(struct http_client_options){.user_agent = "stoa/" STOA_VERSION,
                                                               .ca_file = o->ca_file,
                                                               .connect_timeout_s = 10,
                                                               .stall_timeout_s = 30});
    return a;
}

void acme_close(struct acme *a)
{
    if (a == NULL)
        return;
    http_client_destroy(a->http);
    EVP_PKEY_free(a->key);
    json_decref(a->directory);
    free(a);
}

unsigned acme_retry_after(const struct acme *a)
{
    return a->retry_after;
}

// --- one request ---

struct reply {
    struct http_response response;
    json_t *json; // NULL: no object
};

static void reply_fini(struct reply *r)
{
    http_response_fini(&r->response);
    json_decref(r->json);
    *r = (struct reply){0};
}

static enum fail unreadable(struct fault *fault, const char *what)
{
    fault_set(fault, FAIL_UPSTREAM, "acme_unreachable",
              "The certificate authority's answer cannot be read.");
    fault_log(fault, "acme: %s", what);
    return FAIL_UPSTREAM;
}

static enum fail unreachable(struct fault *fault)
{
    char words[200];
    snprintf(words, sizeof words, "%s", fault->public_text);
    fault_set(fault, FAIL_UPSTREAM, "acme_unreachable",
              "The certificate authority cannot be reached.");
    fault_log(fault, "acme: %s", words);
    return FAIL_UPSTREAM;
}

static enum fail send_request(struct acme *a, const char *method, const char *url, str body,
                              struct reply *ret, struct fault *fault)
{
    struct http_request request = HTTP_REQUEST(method, url);
    request.body = body;
    request.content_type = body.p != NULL ? "application/jose+json" : NULL;
    request.accept = "*/*";
    request.response_max = ANSWER_MAX;
    *ret = (struct reply){0};
    enum fail f = http_client_do(a->http, &request, &ret->response, fault);
    a->retry_after = ret->response.retry_after_s;
    if (ret->response.replay_nonce[0] != '\0')
        memcpy(a->nonce, ret->response.replay_nonce, sizeof a->nonce);
    if (f != FAIL_NONE)
        return unreachable(fault);
    if (str_find_str(str_from(ret->response.content_type), STR("json")) != SIZE_MAX)
        ret->json = jsonx_parse(buf_str(&ret->response.body), NULL);
    return FAIL_NONE;
}

// A CA's own words, for people: printable ASCII, cut.
static void take_words(const json_t *problem, char to[static WORDS_MAX + 1])
{
    str detail = jsonx_str(problem, "detail");
    size_t n = 0;
    for (size_t i = 0; i != detail.n && n != WORDS_MAX; ++i)
        to[n++] = detail.p[i] >= 0x20 && detail.p[i] < 0x7f ? detail.p[i] : '?';
    to[n] = '\0';
}

static bool is_problem(const json_t *problem, const char *type)
{
    str t = jsonx_str(problem, "type");
    return str_starts(t, STR("urn:ietf:params:acme:error:")) &&
           str_eq(str_skip(t, sizeof "urn:ietf:params:acme:error:" - 1), str_from(type));
}

// RFC 8555 §6.7, of a whole request or of a challenge.
static enum fail refused(const json_t *problem, unsigned status, struct fault *fault)
{
    char words[WORDS_MAX + 1];
    take_words(problem, words);
    if (status == 429 || is_problem(problem, "rateLimited"))
        return fault_set(fault, FAIL_TOO_MANY, "acme_rate_limited",
                         "The certificate authority takes no more orders for now: %s", words);
    if (status >= 500 || is_problem(problem, "serverInternal"))
        return fault_set(fault, FAIL_UPSTREAM, "acme_unreachable",
                         "The certificate authority has trouble of its own: %s", words);
    if (is_problem(problem, "accountDoesNotExist"))
        return fault_set(fault, FAIL_REFUSED, "acme_account_gone",
                         "The certificate authority does not know this server's account.");
    return fault_set(fault, FAIL_REFUSED, "acme_refused", "The certificate authority refused: %s",
                     words[0] != '\0' ? words : "it gives no reason.");
}

static bool is_url_of(const struct acme *a, str url)
{
    bool wants_tls = str_starts(str_from(a->options.directory), STR("https://"));
    return url.n < ACME_URL_ROOM && str_find(url, '\0') == SIZE_MAX &&
           str_starts(url, wants_tls ? STR("https://") : STR("http://"));
}

static const char *directory_url(const struct acme *a, const char *name)
{
    str url = jsonx_str(a->directory, name);
    return url.p != NULL && is_url_of(a, url) ? url.p : NULL;
}

static enum fail read_directory(struct acme *a, struct fault *fault)
{
    struct reply r;
    if (a->directory != NULL)
        return FAIL_NONE;
    enum fail f = send_request(a, "GET", a->options.directory, (str){0}, &r, fault);
    if (f == FAIL_NONE && r.response.status != 200)
        f = refused(r.json, r.response.status >= 400 ? r.response.status : 500, fault);
    if (f == FAIL_NONE && r.json != NULL)
        a->directory = json_incref(r.json);
    reply_fini(&r);
    if (f == FAIL_NONE &&
        (directory_url(a, "newNonce") == NULL || directory_url(a, "newAccount") == NULL ||
         directory_url(a, "newOrder") == NULL))
        f = unreadable(fault, "no directory");
    return f;
}

static enum fail need_nonce(struct acme *a, struct fault *fault)
{
    struct reply r;
    if (a->nonce[0] != '\0')
        return FAIL_NONE;
    enum fail f = send_request(a, "HEAD", directory_url(a, "newNonce"), (str){0}, &r, fault);
    reply_fini(&r);
    if (f == FAIL_NONE && a->nonce[0] == '\0')
        f = unreadable(fault, "no nonce");
    return f;
}

static enum fail post_once(struct acme *a, const char *url, bool as_account, str payload,
                           struct reply *ret, struct fault *fault)
{
    struct buf body;
    *ret = (struct reply){0};
    enum fail f = need_nonce(a, fault);
    if (f != FAIL_NONE)
        return f;
    buf_init(&body, 512 * 1024);
    acme_key_sign(a->key, as_account ? a->kid : NULL, a->nonce, url, payload, &body);
    a->nonce[0] = '\0'; // each is good for one request
    f = send_request(a, "POST", url, buf_str(&body), ret, fault);
    buf_fini(&body);
    return f;
}

// A nonce may have grown old, or be another server's of theirs: the answer brings a new one (§6.5).
static enum fail post(struct acme *a, const char *url, bool as_account, str payload,
                      struct reply *ret, struct fault *fault)
{
    for (int tries = 1;; ++tries) {
        enum fail f = post_once(a, url, as_account, payload, ret, fault);
        if (f == FAIL_NONE && ret->response.status < 400)
            return FAIL_NONE;
        bool again = f == FAIL_NONE && is_problem(ret->json, "badNonce") && tries != NONCE_TRIES;
        if (f == FAIL_NONE && !again)
            f = refused(ret->json, ret->response.status, fault);
        reply_fini(ret);
        if (!again)
            return f;
    }
}

static enum fail post_json(struct acme *a, const char *url, bool as_account, json_t *payload,
                           struct reply *ret, struct fault *fault)
{
    AUTOFREE char *text = jsonx_dump(payload, NULL);
    json_decref(payload);
    enum fail f = post(a, url, as_account, str_from(text), ret, fault);
    if (f == FAIL_NONE && ret->json == NULL) {
        reply_fini(ret);
        f = unreadable(fault, "no JSON");
    }
    return f;
}

// POST-as-GET (§6.3).
static enum fail get(struct acme *a, const char *url, struct reply *ret, struct fault *fault)
{
    enum fail f = post(a, url, true, (str){0}, ret, fault);
    if (f == FAIL_NONE && ret->json == NULL) {
        reply_fini(ret);
        f = unreadable(fault, "no JSON");
    }
    return f;
}

static bool copy_url(const struct acme *a, str url, char to[static ACME_URL_ROOM])
{
    if (url.p == NULL || !is_url_of(a, url))
        return false;
    memcpy(to, url.p, url.n);
    to[url.n] = '\0';
    return true;
}

// --- the account ---

static void take_key(struct acme *a, EVP_PKEY *key)
{
    EVP_PKEY_up_ref(key);
    EVP_PKEY_free(a->key);
    a->key = key;
}

enum fail acme_use_account(struct acme *a, EVP_PKEY *key, const char *url, struct fault *fault)
{
    enum fail f = read_directory(a, fault);
    if (f != FAIL_NONE)
        return f;
    take_key(a, key);
    return copy_url(a, str_from(url), a->kid) ? FAIL_NONE : unreadable(fault, "no account's URL");
}

bool acme_has_account(const struct acme *a)
{
    return a->kid[0] != '\0';
}

void acme_identities(const struct acme *a, struct buf *to)
{
    const json_t *list = json_object_get(json_object_get(a->directory, "meta"), "caaIdentities");
    for (size_t i = 0; i != json_array_size(list); ++i) {
        const char *one = json_string_value(json_array_get(list, i));
        if (one != NULL)
            buf_addf(to, "%s%.253s", to->n != 0 ? "," : "", one);
    }
}

static bool has_binding(const struct acme *a)
{
    return a->options.eab_kid != NULL && a->options.eab_kid[0] != '\0';
}

static bool asks_for_binding(const struct acme *a)
{
    return json_is_true(
        json_object_get(json_object_get(a->directory, "meta"), "externalAccountRequired"));
}

static void add_binding(const struct acme *a, json_t *payload)
{
    struct buf jws;
    buf_init(&jws, 8192);
    acme_key_bind(a->key, a->options.eab_kid, str_from(a->options.eab_key),
                  directory_url(a, "newAccount"), &jws);
    json_object_set_new(payload, "externalAccountBinding", jsonx_parse(buf_str(&jws), NULL));
    buf_fini(&jws);
}

enum fail acme_account(struct acme *a, EVP_PKEY *key, char ret_url[static ACME_URL_ROOM],
                       struct fault *fault)
{
    struct reply r;
    enum fail f = read_directory(a, fault);
    if (f != FAIL_NONE)
        return f;
    if (asks_for_binding(a) && !has_binding(a))
        return fault_set(
            fault, FAIL_REFUSED, "acme_account_needed",
            "The certificate authority asks for an account made with it beforehand: the "
            "operator sets acme_eab_kid and acme_eab_key.");
    take_key(a, key);
    json_t *payload = json_pack("{s:b}", "termsOfServiceAgreed", 1);
    if (a->options.contact[0] != '\0')
        json_object_set_new(payload, "contact", json_pack("[s]", a->options.contact));
    if (has_binding(a))
        add_binding(a, payload);
    f = post_json(a, directory_url(a, "newAccount"), false, payload, &r, fault);
    if (f != FAIL_NONE)
        return f;
    bool ok = copy_url(a, str_from(r.response.location), a->kid) &&
              str_eq(jsonx_str(r.json, "status"), STR("valid"));
    reply_fini(&r);
    if (!ok)
        return unreadable(fault, "no account");
    memcpy(ret_url, a->kid, ACME_URL_ROOM);
    return FAIL_NONE;
}

// --- the order ---

static bool is_token(str s)
{
    for (size_t i = 0; i != s.n; ++i) {
        char c = s.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_'))
            return false;
    }
    return s.n >= 16 && s.n < ACME_TOKEN_ROOM;
}

static enum fail take_challenge(struct acme *a, const json_t *authorization,
                                struct acme_challenge *ret, struct fault *fault)
{
    const json_t *list = json_object_get(authorization, "challenges");
    for (size_t i = 0; i != json_array_size(list); ++i) {
        const json_t *c = json_array_get(list, i);
        str token = jsonx_str(c, "token");
        if (!str_eq(jsonx_str(c, "type"), STR("http-01")))
            continue;
        if (!is_token(token) || !copy_url(a, jsonx_str(c, "url"), ret->url))
            return unreadable(fault, "no challenge");
        char thumbprint[ACME_THUMBPRINT_ROOM];
        acme_key_thumbprint(a->key, thumbprint);
        snprintf(ret->token, sizeof ret->token, "%.*s", STR_FMT(token));
        snprintf(ret->answer, sizeof ret->answer, "%s.%s", ret->token, thumbprint);
        return FAIL_NONE;
    }
    return fault_set(fault, FAIL_REFUSED, "acme_refused",
                     "The certificate authority does not offer HTTP-01 for this name.");
}

static enum fail read_authorization(struct acme *a, struct acme_challenge *ret, struct fault *fault)
{
    struct reply r;
    enum fail f = get(a, ret->authorization_url, &r, fault);
    if (f != FAIL_NONE)
        return f;
    str status = jsonx_str(r.json, "status");
    ret->is_needed = !str_eq(status, STR("valid"));
    if (ret->is_needed && !str_eq(status, STR("pending")))
        f = fault_set(fault, FAIL_REFUSED, "acme_refused",
                      "The certificate authority has given up on this order.");
    else if (ret->is_needed)
        f = take_challenge(a, r.json, ret, fault);
    reply_fini(&r);
    return f;
}

enum fail acme_order(struct acme *a, const char *name, char ret_order[static ACME_URL_ROOM],
                     struct acme_challenge *ret, struct fault *fault)
{
    struct reply r;
    assert(a->kid[0] != '\0');
    *ret = (struct acme_challenge){0};
    json_t *payload = json_pack("{s:[{s:s, s:s}]}", "identifiers", "type", "dns", "value", name);
    enum fail f = post_json(a, directory_url(a, "newOrder"), true, payload, &r, fault);
    if (f != FAIL_NONE)
        return f;
    const json_t *list = json_object_get(r.json, "authorizations"),
                 *first = json_array_get(list, 0);
    bool ok = json_array_size(list) == 1 && json_is_string(first) &&
              copy_url(a, str_from(json_string_value(first)), ret->authorization_url) &&
              copy_url(a, str_from(r.response.location), ret_order);
    reply_fini(&r);
    return ok ? read_authorization(a, ret, fault) : unreadable(fault, "no order");
}

// --- waiting ---

static void pause_ms(unsigned ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000},
              NULL);
}

// Reads the resource until its status is none of the two it passes through.
static enum fail wait_for(struct acme *a, const char *url, const char *through,
                          const char *also_through, struct reply *ret, struct fault *fault)
{
    uint64_t until = clock_monotonic_ms() + a->options.patience_ms;
    for (unsigned pause = PAUSE_MS;; pause = pause * 2 < PAUSE_MAX_MS ? pause * 2 : PAUSE_MAX_MS) {
        enum fail f = get(a, url, ret, fault);
        if (f != FAIL_NONE)
            return f;
        str status = jsonx_str(ret->json, "status");
        if (!str_eq(status, str_from(through)) && !str_eq(status, str_from(also_through)))
            return FAIL_NONE;
        reply_fini(ret);
        if (clock_monotonic_ms() + pause > until)
            return fault_set(fault, FAIL_TIMEOUT, "acme_slow",
                             "The certificate authority has not decided yet.");
        pause_ms(pause);
    }
}

static const json_t *error_of(const json_t *authorization)
{
    const json_t *list = json_object_get(authorization, "challenges");
    for (size_t i = 0; i != json_array_size(list); ++i) {
        const json_t *error = json_object_get(json_array_get(list, i), "error");
        if (error != NULL)
            return error;
    }
    return NULL;
}

enum fail acme_prove(struct acme *a, const struct acme_challenge *c, struct fault *fault)
{
    struct reply r;
    if (!c->is_needed)
        return FAIL_NONE;
    enum fail f = post_json(a, c->url, true, json_object(), &r, fault);
    if (f != FAIL_NONE)
        return f;
    reply_fini(&r);
    f = wait_for(a, c->authorization_url, "pending", "processing", &r, fault);
    if (f != FAIL_NONE)
        return f;
    if (!str_eq(jsonx_str(r.json, "status"), STR("valid")))
        f = refused(error_of(r.json), 403, fault);
    reply_fini(&r);
    return f;
}

// --- the certificate ---

static enum fail send_csr(struct acme *a, const char *finalize, const char *name, EVP_PKEY *key,
                          struct fault *fault)
{
    struct buf der;
    struct reply r;
    char text[4096];
    buf_init(&der, 2048);
    enum fail f = acme_key_request(key, name, &der, fault);
    if (f == FAIL_NONE) {
        base64url_encode(buf_str(&der), text, sizeof text);
        f = post_json(a, finalize, true, json_pack("{s:s}", "csr", text), &r, fault);
        if (f == FAIL_NONE)
            reply_fini(&r);
    }
    buf_fini(&der);
    return f;
}

static enum fail fetch_chain(struct acme *a, const char *url, struct buf *ret, struct fault *fault)
{
    struct reply r;
    enum fail f = post(a, url, true, (str){0}, &r, fault);
    if (f != FAIL_NONE)
        return f;
    str pem = buf_str(&r.response.body);
    if (pem.n == 0 || pem.n > ACME_CHAIN_MAX)
        f = unreadable(fault, "no certificate");
    else
        buf_add(ret, pem);
    reply_fini(&r);
    return f;
}

enum fail acme_finish(struct acme *a, const char *order, const char *name, EVP_PKEY *key,
                      struct buf *ret_pem, struct fault *fault)
{
    struct reply r;
    char url[ACME_URL_ROOM];
    enum fail f = wait_for(a, order, "pending", "processing", &r, fault);
    if (f != FAIL_NONE)
        return f;
    if (str_eq(jsonx_str(r.json, "status"), STR("ready"))) {
        bool ok = copy_url(a, jsonx_str(r.json, "finalize"), url);
        reply_fini(&r);
        f = ok ? send_csr(a, url, name, key, fault) : unreadable(fault, "nowhere to finalize");
        if (f == FAIL_NONE)
            f = wait_for(a, order, "ready", "processing", &r, fault);
        if (f != FAIL_NONE)
            return f;
    }
    if (!str_eq(jsonx_str(r.json, "status"), STR("valid")))
        f = refused(json_object_get(r.json, "error"), 403, fault);
    else if (!copy_url(a, jsonx_str(r.json, "certificate"), url))
        f = unreadable(fault, "no certificate's URL");
    reply_fini(&r);
    return f == FAIL_NONE ? fetch_chain(a, url, ret_pem, fault) : f;
}
