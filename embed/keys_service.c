// Signing keys and the exchange: what is asked at which address, and what follows from notices and
// from time.
#include <stdlib.h>
#include "edge/auth/auth.h"
#include "edge/base/log.h"
#include "edge/loop/pool.h"
#include "edge/route/embedders.h"
#include "edge/route/site.h"
#include "embed/embed.h"
#include "embed/exchange.h"
#include "embed/keys.h"
#include "embed/refusals.h"

enum { KEY_BODY_MAX = 64 * 1024, TOKEN_BODY_MAX = 24 * 1024 };

#define KEYS "/api/signing-keys"
static const struct endpoint endpoints[] = {
    {.lane = LANE_INGEST, // making one takes seconds
     .success = 201,
     .method = "POST",
     .path = KEYS,
     .id = "createSigningKey",
     .summary =
         "Make a signing key, or upload the public half of your own; the private half of one "
         "that is made is shown only here.",
     .scope = SCOPE_PLATFORM,
     .body = BODY_JSON,
     .body_max = KEY_BODY_MAX,
     .fields = key_create_fields,
     .answer = "NewSigningKey",
     .codes = "invalid_request bad_key too_many_keys busy",
     .run = keys_create},
    {.lane = LANE_API,
     .success = 200,
     .method = "GET",
     .path = KEYS,
     .id = "listSigningKeys",
     .summary = "The platform's signing keys, newest first.",
     .scope = SCOPE_PLATFORM,
     .query = key_list_query,
     .answer = "SigningKeyList",
     .codes = "invalid_cursor",
     .run = keys_list},
    {.lane = LANE_API,
     .success = 200,
     .method = "GET",
     .path = KEYS "/:key",
     .id = "getSigningKey",
     .summary = "A signing key, with its policy and when it was used last.",
     .scope = SCOPE_PLATFORM,
     .answer = "SigningKey",
     .codes = "signing_key_not_found",
     .run = keys_get},
    {.lane = LANE_API,
     .success = 200,
     .method = "PATCH",
     .path = KEYS "/:key",
     .id = "changeSigningKey",
     .summary = "Change what a signing key allows; what is left out stays.",
     .scope = SCOPE_PLATFORM,
     .body = BODY_JSON,
     .body_max = KEY_BODY_MAX,
     .fields = key_change_fields,
     .answer = "SigningKey",
     .codes = "invalid_request signing_key_not_found",
     .run = keys_change},
    {.lane = LANE_API,
     .success = 200,
     .method = "DELETE",
     .path = KEYS "/:key",
     .id = "deleteSigningKey",
     .summary = "End a signing key, and every session that came by it.",
     .scope = SCOPE_PLATFORM,
     .answer = "SigningKey",
     .codes = "signing_key_not_found",
     .run = keys_delete},
    {.lane = LANE_EXCHANGE,
     .success = 200,
     .method = "POST",
     .path = "/api/managed-authn/external-token",
     .id = "exchangeToken",
     .summary = "Exchange a provisioning token for a session.",
     .scope = SCOPE_NONE,
     .body = BODY_JSON,
     .body_max = TOKEN_BODY_MAX,
     .fields = exchange_fields,
     .answer = "ExternalTokenAnswer",
     .codes = "INVALID_BEARER_TOKEN origin_not_allowed user_inactive too_many_attempts",
     .run = exchange_token},
};

#define TEXT "{\"type\":\"string\"}"
#define BOOL "{\"type\":\"boolean\"}"
#define TEXT_OR_NULL "{\"type\":[\"string\",\"null\"]}"
#define TIME "{\"type\":\"string\",\"format\":\"date-time\"}"
#define TIME_OR_NULL "{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"}"
#define SECONDS "{\"type\":\"integer\"}"
#define SECONDS_OR_NULL "{\"type\":[\"integer\",\"null\"]}"
static const char schemas[] =
    "{\"SigningKey\":{\"type\":\"object\",\"required\":[\"id\",\"displayName\",\"algorithm\","
    "\"publicKey\",\"allowedOrigins\",\"audience\",\"maxLifetime\",\"sessionLength\","
    "\"absoluteLength\",\"singleUse\",\"status\",\"lastUsedAt\",\"longestLifetime\",\"createdBy\","
    "\"createdAt\"],\"properties\":{\"id\":" TEXT ",\"displayName\":" TEXT
    ",\"algorithm\":{\"enum\":[\"RS256\"]},\"publicKey\":" TEXT
    ",\"allowedOrigins\":{\"type\":\"array\",\"items\":" TEXT "},\"audience\":" TEXT_OR_NULL
    ",\"maxLifetime\":" SECONDS_OR_NULL ",\"sessionLength\":" SECONDS ",\"absoluteLength\":" SECONDS
    ",\"singleUse\":" BOOL
    ",\"status\":{\"enum\":[\"ACTIVE\",\"DISABLED\"]},\"lastUsedAt\":" TIME_OR_NULL
    ",\"longestLifetime\":" SECONDS_OR_NULL ",\"createdBy\":" TEXT ",\"createdAt\":" TIME
    ",\"sessionsEnded\":" SECONDS "}},"
    "\"NewSigningKey\":{\"allOf\":[{\"$ref\":\"#/components/schemas/SigningKey\"},"
    "{\"type\":\"object\",\"properties\":{\"privateKey\":" TEXT "}}]},"
    "\"SigningKeyList\":{\"type\":\"object\",\"required\":[\"data\",\"next\",\"previous\"],"
    "\"properties\":{\"data\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/"
    "SigningKey\"}},\"next\":" TEXT_OR_NULL ",\"previous\":" TEXT_OR_NULL "}},"
    "\"ExternalTokenAnswer\":{\"type\":\"object\",\"required\":[\"token\",\"projectId\",\"id\","
    "\"externalId\",\"firstName\",\"lastName\",\"platformId\",\"platformRole\",\"status\","
    "\"email\",\"verified\",\"trackEvents\",\"newsLetter\",\"role\",\"expiresAt\","
    "\"projectName\",\"endsAt\"],"
    "\"properties\":{\"token\":" TEXT ",\"projectId\":" TEXT ",\"id\":" TEXT ",\"externalId\":" TEXT
    ",\"firstName\":" TEXT ",\"lastName\":" TEXT ",\"platformId\":" TEXT ",\"platformName\":" TEXT
    ",\"platformRole\":{\"enum\":[\"MEMBER\"]},\"status\":{\"enum\":[\"ACTIVE\"]},\"email\":" TEXT
    ",\"verified\":" BOOL ",\"trackEvents\":" BOOL ",\"newsLetter\":" BOOL
    ",\"role\":{\"enum\":[\"Admin\",\"Editor\",\"Viewer\",\"Operator\"]},\"expiresAt\":" TIME
    ",\"projectName\":" TEXT ",\"endsAt\":" TIME ",\"stale\":" BOOL "}}}";

struct service *embed_keys_service(void)
{
    static struct service s = {.name = "signing keys",
                               .endpoints = endpoints,
                               .endpoint_count = sizeof endpoints / sizeof endpoints[0],
                               .schemas = schemas};
    return &s;
}

// A session works on the pages of its own platform's origins, and on ours. An API token is not
// looked at here: in the hands of a page that may ask at all it was refused before.
enum fail embed_check_origin(const struct principal *p, str origin, struct fault *fault)
{
    if (p->user_id[0] == '\0' || site_is_console_origin(origin) ||
        embedders_allow_for(p->platform_id, origin))
        return FAIL_NONE;
    return fault_set(fault, FAIL_DENIED, "origin_not_allowed",
                     "This page's origin is not among the allowedOrigins of the platform's signing "
                     "keys.");
}

void embed_keys_on_notice(str payload)
{
    signing_keys_publish_soon();
}

void embed_keys_on_listener_back(void)
{
    signing_keys_publish_soon();
}

// --- what time asks for ---

static void on_write(struct job *j)
{
    refusals_write(db_of_thread(), false);
}

static void on_written(struct job *j)
{
    free(j);
}

void embed_keys_tend(void)
{
    signing_keys_publish_soon(); // in case a notice was lost
    struct job *j = refusals_held() != 0 ? calloc(1, sizeof *j) : NULL;
    if (j == NULL)
        return;
    j->run = on_write;
    j->done = on_written;
    if (pool_post(LANE_LOAD, j) != FAIL_NONE)
        free(j); // busy: the next time
}

void embed_keys_stop(void)
{
    if (refusals_held() != 0)
        refusals_write(db_of_thread(), true);
}
