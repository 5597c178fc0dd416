// A plugin's role: its password, and putting back what it changed about itself.
#include <stdio.h>
#include "edge/base/digest.h"
#include "public-actions/managed_db/provision.h"

enum { PASSWORD_BYTES = 24, SALT_BYTES = 16, BASE64_ROOM = 64 };

void managed_db_password_make(char to[static MANAGED_DB_PASSWORD_ROOM])
{
    uint8_t bytes[PASSWORD_BYTES];
    random_bytes(bytes, sizeof bytes);
    base64url_encode(str_of(bytes, sizeof bytes), to, MANAGED_DB_PASSWORD_ROOM);
    explicit_bzero(bytes, sizeof bytes);
}

// RFC 4648 §4, of at most 32 bytes.
static void base64(const void *bytes, size_t n, char to[static BASE64_ROOM])
{
    size_t length = base64url_encode(str_of(bytes, n), to, BASE64_ROOM);
    for (size_t i = 0; i != length; ++i)
        to[i] = to[i] == '-' ? '+' : to[i] == '_' ? '/' : to[i];
    while (length % 4 != 0)
        to[length++] = '=';
    to[length] = '\0';
}

static str digest_str(const struct digest *d)
{
    return str_of(d->b, sizeof d->b);
}

// Hi() of RFC 5802 §2.2.
static struct digest stretch(str password, const uint8_t salt[static SALT_BYTES],
                             unsigned iterations)
{
    uint8_t first[SALT_BYTES + 4] = {0};
    memcpy(first, salt, SALT_BYTES);
    first[SALT_BYTES + 3] = 1;
    struct digest u = digest_hmac_sha256(password, str_of(first, sizeof first)), sum = u;
    for (unsigned i = 1; i < iterations; ++i) {
        u = digest_hmac_sha256(password, digest_str(&u));
        for (size_t j = 0; j != sizeof sum.b; ++j)
            sum.b[j] ^= u.b[j];
    }
    return sum;
}

// The password is ASCII: SASLprep leaves it as it is.
void managed_db_verifier(const char *password, unsigned iterations,
                         char to[static MANAGED_DB_VERIFIER_ROOM])
{
    uint8_t salt[SALT_BYTES];
    char salt64[BASE64_ROOM], stored64[BASE64_ROOM], server64[BASE64_ROOM];
    random_bytes(salt, sizeof salt);
    struct digest salted = stretch(str_from(password), salt, iterations);
    struct digest client = digest_hmac_sha256(digest_str(&salted), STR("Client Key"));
    struct digest server = digest_hmac_sha256(digest_str(&salted), STR("Server Key"));
    struct digest stored = digest_sha256(digest_str(&client));
    base64(salt, sizeof salt, salt64);
    base64(stored.b, sizeof stored.b, stored64);
    base64(server.b, sizeof server.b, server64);
    snprintf(to, MANAGED_DB_VERIFIER_ROOM, "SCRAM-SHA-256$%u:%s$%s:%s", iterations, salt64,
             stored64, server64);
    explicit_bzero(&salted, sizeof salted);
    explicit_bzero(&client, sizeof client);
}

enum fail managed_db_role_restore(struct db *db, const char *project_id, const char *plugin_id,
                                  struct fault *fault)
{
    struct managed_db_place place;
    struct managed_db_link link = {0};
    enum fail fail = managed_db_query_place(db, project_id, plugin_id, &place, fault);
    if (fail == FAIL_NONE)
        fail = managed_db_provision_open(db, NULL, &link, fault);
    if (fail == FAIL_NONE)
        fail = managed_db_cluster_reset(&link, &place, false, fault);
    managed_db_link_close(&link);
    explicit_bzero(&place, sizeof place);
    return fail;
}
