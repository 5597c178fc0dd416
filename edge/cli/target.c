// The order of the header, straight down.
#include "edge/cli/target.h"
#include "edge/cli/credentials.h"
#include "edge/cli/files.h"
#include "edge/cli/ready.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { TOKEN_FILE_MAX = 8192 };

static char *env_dup(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? str_dup(str_from(value)) : NULL;
}

// $`xdg`/tail, or $HOME/`below`/tail; a relative XDG path is ignored, as its specification says.
static char *home_path(const char *xdg, const char *below, const char *tail)
{
    char path[PATH_MAX];
    const char *base = getenv(xdg), *home = getenv("HOME");
    int n = -1;
    if (base != NULL && base[0] == '/')
        n = snprintf(path, sizeof path, "%s/%s", base, tail);
    else if (home != NULL && home[0] == '/')
        n = snprintf(path, sizeof path, "%s/%s/%s", home, below, tail);
    return n > 0 && (size_t)n < sizeof path ? str_dup(str_of(path, (size_t)n)) : NULL;
}

void target_env_read(struct target_env *ret)
{
    ret->url = env_dup("STOA_URL");
    ret->token = env_dup("STOA_TOKEN");
    unsetenv("STOA_TOKEN");
    ret->credentials = home_path("XDG_CONFIG_HOME", ".config", "stoa/credentials.json");
    const char *data = getenv("STOA_DATA");
    ret->data_is_named =
        data != NULL && data[0] == '/'; // a relative one is the server's to resolve
    if (ret->data_is_named)
        ret->data_dir = str_dup(str_from(data));
    else
        ret->data_dir = geteuid() == 0 ? str_dup(STR("/var/lib/stoa"))
                                       : home_path("XDG_STATE_HOME", ".local/state", "stoa");
}

static void free_secret(char *secret)
{
    if (secret != NULL)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

void target_env_fini(struct target_env *env)
{
    free(env->url);
    free_secret(env->token);
    free(env->credentials);
    free(env->data_dir);
}

void target_fini(struct target *t)
{
    free_secret(t->token);
    t->token = NULL;
}

static bool is_visible_ascii(const char *s)
{
    for (; *s != '\0'; ++s)
        if (*s <= 0x20 || *s >= 0x7f)
            return false;
    return true;
}

static enum fail check_token(const char *token, struct fault *fault)
{
    if (token[0] != '\0' && is_visible_ascii(token))
        return FAIL_NONE;
    return fault_set(fault, FAIL_UNAUTHORISED, "bad_token",
                     "The token is empty, or holds characters that no token has.");
}

enum fail target_read_token(const char *path, char **ret, struct fault *fault)
{
    struct buf text;
    struct stat st;
    buf_init(&text, TOKEN_FILE_MAX);
    enum fail fail = strcmp(path, "-") == 0 ? files_read_fd(STDIN_FILENO, &text, fault)
                                            : files_read(path, &text, &st, fault);
    if (fail != FAIL_NONE) {
        buf_fini(&text);
        if (fail == FAIL_NOT_FOUND) // a file, not a thing of the server's
            fail =
                fault_set(fault, FAIL_INTERNAL, "local_io", "%.200s: there is no such file.", path);
        return fail;
    }
    while (text.n != 0 && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
        text.n--;
    char *token = str_dup(str_trim(buf_str(&text)));
    buf_fini(&text);
    fail = check_token(token, fault);
    if (fail == FAIL_NONE)
        *ret = token;
    else
        free_secret(token);
    return fail;
}

enum fail target_check_origin(const struct origin *origin, bool insecure, struct fault *fault)
{
    if (origin->is_https || origin->is_loopback || insecure)
        return FAIL_NONE;
    return fault_set(fault, FAIL_DENIED, "insecure_url",
                     "%.200s is not https://, so anyone on the way could read the token. Use "
                     "https://, or --insecure if you know that way.",
                     origin->text);
}

// Everything that target_find has in hand.
struct search {
    const struct options *o;
    const struct target_env *env;
    struct target *target;
    json_t *saved; // credentials, loaded when first asked for
};

static enum fail load_saved(struct search *s, struct fault *fault)
{
    if (s->saved != NULL)
        return FAIL_NONE;
    if (s->env->credentials != NULL)
        return credentials_load(s->env->credentials, &s->saved, fault);
    s->saved = json_pack("{s:{}}", "servers");
    return FAIL_NONE;
}

// Where the server is, its ready file says best; so does it how the server is to be called.
static void take_ready(struct target *t, const struct ready *ready)
{
    memcpy(t->host, ready->host, sizeof t->host);
    t->token = str_dup(str_from(ready->token));
}

static enum fail use_ready(struct search *s, const char *dir, const char *source,
                           struct fault *fault)
{
    struct ready ready;
    enum fail fail = ready_read(dir, geteuid(), &ready, fault);
    if (fail != FAIL_NONE)
        return fail;
    s->target->origin = ready.console;
    s->target->source = source;
    take_ready(s->target, &ready);
    return FAIL_NONE;
}

static enum fail use_url(struct search *s, const char *url, const char *source, struct fault *fault)
{
    s->target->source = source;
    return origin_parse(url, &s->target->origin, fault);
}

static enum fail use_data(struct search *s, const char *data, const char *source,
                          struct fault *fault)
{
    AUTOFREE char *dir = realpath(data, NULL);
    if (dir == NULL)
        return fault_set(fault, FAIL_INTERNAL, "local_io", "%.200s: %s.", data,
                         errno == ENOENT ? "there is no such directory" : strerror(errno));
    enum fail fail = use_ready(s, dir, source, fault);
    if (fail == FAIL_NOT_FOUND)
        return fault_set(fault, FAIL_BUSY, "no_server", "No server runs on %.200s.", dir);
    return fail;
}

static enum fail use_default(struct search *s, struct fault *fault)
{
    enum fail fail = s->env->data_dir != NULL
                         ? use_ready(s, s->env->data_dir, "the server on this machine", fault)
                         : FAIL_NOT_FOUND;
    if (fail != FAIL_NOT_FOUND)
        return fail;
    return fault_set(
        fault, FAIL_BUSY, "no_server",
        "No server runs here (there is no %.100s/ready.json) and none was named. Start "
        "one with `stoa serve`, or name one: its data directory by --data or STOA_DATA, or its "
        "address by `stoa login URL`, --url or STOA_URL.",
        s->env->data_dir != NULL ? s->env->data_dir : "~/.local/state/stoa");
}

static enum fail find_server(struct search *s, struct fault *fault)
{
    if (options_has(s->o, OPT_URL))
        return use_url(s, s->o->value[OPT_URL], "--url", fault);
    if (options_has(s->o, OPT_DATA))
        return use_data(s, s->o->value[OPT_DATA], "--data", fault);
    if (s->env->url != NULL) {
        return use_url(s, s->env->url, "STOA_URL", fault);
    }
    if (s->env->data_is_named)
        return use_data(s, s->env->data_dir, "STOA_DATA", fault);
    enum fail fail = load_saved(s, fault);
    if (fail != FAIL_NONE)
        return fail;
    if (credentials_current(s->saved) != NULL)
        return use_url(s, credentials_current(s->saved), "stoa login", fault);
    return use_default(s, fault);
}

const char *target_env_token(const struct target_env *env, const struct origin *origin)
{
    struct origin own;
    if (env->url == NULL ||
        (origin_parse(env->url, &own, NULL) == FAIL_NONE && origin_eq(&own, origin)))
        return env->token;
    return NULL;
}

static void replace_token(struct target *t, const char *token)
{
    free_secret(t->token);
    t->token = str_dup(str_from(token));
}

static enum fail find_token(struct search *s, struct fault *fault)
{
    struct target *t = s->target;
    struct ready ready;
    if (options_has(s->o, OPT_TOKEN)) {
        replace_token(t, s->o->value[OPT_TOKEN]);
        return check_token(t->token, fault);
    }
    if (options_has(s->o, OPT_TOKEN_FILE)) {
        target_fini(t);
        return target_read_token(s->o->value[OPT_TOKEN_FILE], &t->token, fault);
    }
    const char *env_token = target_env_token(s->env, &t->origin);
    if (env_token != NULL) {
        replace_token(t, env_token);
        return check_token(t->token, fault);
    }
    if (t->token != NULL) // of the ready file that named the server
        return FAIL_NONE;
    enum fail fail = load_saved(s, fault);
    if (fail != FAIL_NONE)
        return fail;
    const char *saved = credentials_token(s->saved, &t->origin);
    if (saved != NULL)
        replace_token(t, saved);
    else if (s->env->data_dir != NULL &&
             ready_read(s->env->data_dir, geteuid(), &ready, NULL) == FAIL_NONE &&
             origin_eq(&ready.console, &t->origin))
        take_ready(t, &ready);
    return FAIL_NONE;
}

enum fail target_find(const struct options *o, const struct target_env *env, bool needs_token,
                      struct target *ret, struct fault *fault)
{
    *ret = (struct target){.token = NULL};
    struct search s = {.o = o, .env = env, .target = ret};
    enum fail fail = find_server(&s, fault);
    if (fail == FAIL_NONE)
        fail = target_check_origin(&ret->origin, options_has(o, OPT_INSECURE), fault);
    if (fail == FAIL_NONE)
        fail = find_token(&s, fault);
    json_decref(s.saved);
    if (fail == FAIL_NONE && needs_token && ret->token == NULL)
        return fault_set(fault, FAIL_UNAUTHORISED, "no_token",
                         "There is no token for %.150s. Log in with `stoa login %.100s`, or give "
                         "--token-file or STOA_TOKEN.",
                         ret->origin.text, ret->origin.text);
    return fail;
}
