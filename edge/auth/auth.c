// From the Authorization header to a principal; and the first token of all.
#include "edge/auth/auth.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "edge/auth/internal.h"
#include "edge/auth/known.h"
#include "edge/auth/sessions.h"
#include "edge/base/token.h"
#include "edge/catalog/catalog.h"

// One sentence for every reason: whoever guesses learns nothing.
static enum fail unauthorised(struct fault *fault)
{
    return fault_set(fault, FAIL_UNAUTHORISED, "unauthorized",
                     "This needs a valid API token: send \"Authorization: Bearer stoa_...\". "
                     "`stoa login` or `stoa token create` gives one.");
}

// RFC 6750 §2.1: the scheme in any case, one or more spaces, the token. Empty when it is none.
static str bearer(str authorization)
{
    str rest = authorization, scheme = str_cut(&rest, ' ');
    return str_caseeq(scheme, STR("Bearer")) ? str_trim(rest) : STR("");
}

static bool is_api_token(str token)
{
    uint8_t bytes[32];
    size_t n = 0;
    return token.n == AUTH_TOKEN_ROOM - 1 && str_starts(token, STR("stoa_")) &&
           base64url_decode(str_skip(token, 5), bytes, sizeof bytes, &n);
}

static enum fail token_principal(struct db *db, str token, struct principal *ret,
                                 struct fault *fault)
{
    struct token_seen seen = {0};
    bool found = false;
    struct digest sha256 = digest_sha256(token);
    enum fail f = auth_query_token_by_hash(db, &sha256, &seen, &found, fault);
    if (f != FAIL_NONE)
        return f;
    if (!found || !digest_eq(&seen.sha256, &sha256))
        return unauthorised(fault);
    // When it cannot be noted (a standby, a full disk), reading goes on all the same.
    if (seen.wants_touch)
        (void)!auth_query_token_touch(db, seen.principal.project_id, seen.principal.token_id, NULL);
    *ret = seen.principal;
    return FAIL_NONE;
}

enum fail auth_principal(struct db *db, str authorization, const struct auth_asker *asker,
                         struct principal *ret, struct fault *fault)
{
    str token = bearer(authorization);
    if (is_api_token(token))
        return token_principal(db, token, ret, fault);
    return str_find(token, '.') != SIZE_MAX ? session_principal(db, token, asker, ret, fault)
                                            : unauthorised(fault);
}

enum fail auth_require(const struct principal *p, enum scope scope, struct fault *fault)
{
    if (scope == SCOPE_PLATFORM && p->scope == SCOPE_OPERATOR)
        return fault_set(fault, FAIL_DENIED, "platform_token_needed",
                         "This needs a platform's own token; the operator's belongs to no "
                         "platform. `stoa platform create` gives one.");
    if (p->scope >= scope && (scope != SCOPE_PLATFORM || p->platform_id[0] != '\0'))
        return FAIL_NONE;
    return fault_set(fault, FAIL_DENIED, "scope_too_low",
                     "This needs a token with the scope \"%s\"; this one has \"%s\".",
                     auth_scope_name(scope), auth_scope_name(p->scope));
}

enum fail auth_permit(const struct principal *p, enum permission permission, struct fault *fault)
{
    if (role_may(p->role, permission))
        return FAIL_NONE;
    if (permission == PERMISSION_NONE)
        return fault_set(fault, FAIL_DENIED, "not_for_sessions",
                         "This is done with an API token, not in an embedded session.");
    return fault_set(fault, FAIL_DENIED, "role_too_low", "The role \"%s\" may not do this here.",
                     role_name(p->role));
}

enum fail auth_authenticate(const struct call *call, str authorization, struct principal **ret,
                            struct fault *fault)
{
    struct principal p;
    const struct auth_asker asker = {call->request_id, call->peer};
    enum fail f = auth_principal(call->db, authorization, &asker, &p, fault);
    if (f == FAIL_NONE || f == FAIL_UNAUTHORISED) // else nobody could say
        auth_known_note(authorization, f == FAIL_NONE ? p.project_id : NULL);
    if (f == FAIL_NONE && p.role == ROLE_NONE)
        f = auth_require(&p, call->endpoint->scope, fault);
    else if (f == FAIL_NONE)
        f = auth_permit(&p, call->endpoint->permission, fault);
    if (f != FAIL_NONE)
        return f;
    *ret = malloc(sizeof **ret);
    if (*ret == NULL)
        abort();
    **ret = p;
    return FAIL_NONE;
}

enum fail auth_is_live(struct db *db, const char *project_id, const char *token_id, bool *ret,
                       struct fault *fault)
{
    if (str_starts(str_from(token_id), STR("ses_")))
        return session_is_live(db, token_id, ret, fault);
    return auth_query_token_is_live(db, project_id, token_id, ret, fault);
}

// --- the first start ---

static enum fail cannot_write(const char *what, struct fault *fault)
{
    int error = errno;
    fault_set(fault, FAIL_INTERNAL, "token_file",
              "The file for the first token could not be written.");
    fault_log(fault, "token file: cannot %s: %s", what, strerrordesc_np(error));
    return FAIL_INTERNAL;
}

static enum fail fill(int fd, const char *secret, struct fault *fault)
{
    char line[AUTH_TOKEN_ROOM + 1];
    int n = snprintf(line, sizeof line, "%s\n", secret);
    bool ok = fchmod(fd, 0600) == 0 && write(fd, line, (size_t)n) == n && fsync(fd) == 0;
    explicit_bzero(line, sizeof line);
    return ok ? FAIL_NONE : cannot_write("write", fault);
}

static enum fail sync_folder_of(const char *path, struct fault *fault)
{
    const char *slash = strrchr(path, '/');
    char *folder AUTOFREE =
        slash != NULL ? str_dup(str_of(path, (size_t)(slash + 1 - path))) : str_dup(STR("."));
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    enum fail f = ok ? FAIL_NONE : cannot_write("sync the folder", fault);
    if (fd >= 0)
        close(fd);
    return f;
}

// Whole or not at all: written beside, then renamed.
static enum fail write_token_file(const char *path, const char *secret, struct fault *fault)
{
    char beside[4096], tail[9];
    token_hex(tail, 8);
    if (snprintf(beside, sizeof beside, "%s.%s", path, tail) >= (int)sizeof beside)
        return fault_set(fault, FAIL_INTERNAL, "token_file", "The token file's path is too long.");
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return cannot_write("make", fault);
    enum fail f = fill(fd, secret, fault);
    close(fd);
    if (f == FAIL_NONE && rename(beside, path) != 0)
        f = cannot_write("rename", fault);
    if (f != FAIL_NONE)
        unlink(beside);
    return f == FAIL_NONE ? sync_folder_of(path, fault) : f;
}

static enum fail first_project(struct db *db, char id[static CATALOG_ID_ROOM], struct fault *fault)
{
    char owner[37];
    enum fail f = catalog_project_first(db, id, fault);
    if (f != FAIL_NOT_FOUND)
        return f;
    f = catalog_project_create(db, STR("First project"), id, owner, fault);
    return f != FAIL_NONE
               ? f
               : audit_append(db, id, "system", "project.create", id, "", STR(""), NULL, fault);
}

static enum fail first_token(struct db *db, const char *token_file, struct fault *fault)
{
    char project[CATALOG_ID_ROOM], secret[AUTH_TOKEN_ROOM];
    struct token_row token;
    bool has = false;
    enum fail f = auth_query_lock_tokens(db, fault);
    if (f == FAIL_NONE)
        f = auth_query_has_operator(db, &has, fault);
    if (f != FAIL_NONE || has)
        return f;
    f = first_project(db, project, fault);
    struct token_wish wish = {.project_id = project,
                              .name = STR("operator"),
                              .scope = SCOPE_OPERATOR,
                              .request_id = "",
                              .address = STR("")};
    if (f == FAIL_NONE)
        f = token_make(db, &wish, secret, &token, fault);
    // Before the commit: a crash in between leaves a file that opens nothing and is replaced, never
    // a token that nobody was told.
    if (f == FAIL_NONE)
        f = write_token_file(token_file, secret, fault);
    explicit_bzero(secret, sizeof secret);
    return f;
}

enum fail auth_first_start(struct db *db, const char *token_file, struct fault *fault)
{
    enum fail f = db_begin(db, fault);
    if (f != FAIL_NONE)
        return f;
    f = first_token(db, token_file, fault);
    if (f == FAIL_NONE)
        return db_commit(db, fault);
    db_rollback(db);
    return f;
}
