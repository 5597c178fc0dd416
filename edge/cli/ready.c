// Every check is made on what was opened, not on a name, so that nothing can be swapped in between.
#include "edge/cli/ready.h"
#include "edge/base/jsonx.h"
#include "edge/cli/files.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READY_FILE_MAX = 16 * 1024 };

static enum fail untrusted(struct fault *fault, const char *path, const char *why)
{
    return fault_set(fault, FAIL_DENIED, "untrusted_ready_file", "%.200s is not trusted: %s.", path,
                     why);
}

static enum fail unreadable(struct fault *fault, const char *path)
{
    return fault_set(fault, FAIL_DENIED, "unreadable_token",
                     "You may not read %.200s: use sudo, or `stoa login URL`.", path);
}

static bool is_api_token(str s)
{
    if (s.n != 5 + 43 || !str_starts(s, STR("stoa_")))
        return false;
    for (size_t i = 5; i != s.n; ++i) {
        char c = s.p[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_'))
            return false;
    }
    return true;
}

static enum fail read_token(const char *data_dir, const char *token_file, struct ready *ret,
                            struct fault *fault)
{
    AUTOFREE char *dir = realpath(data_dir, NULL);
    AUTOFREE char *file = realpath(token_file, NULL);
    if (file == NULL && errno == EACCES)
        return unreadable(fault, token_file);
    if (dir == NULL || file == NULL || token_file[0] != '/')
        return untrusted(fault, data_dir, "the tokenFile it names cannot be found");
    size_t n = strlen(dir);
    if (strncmp(file, dir, n) != 0 || file[n] != '/')
        return untrusted(fault, data_dir, "the tokenFile it names lies outside the directory");
    struct buf text;
    struct stat st;
    buf_init(&text, READY_TOKEN_ROOM);
    enum fail fail = files_read(file, &text, &st, fault);
    str token = str_trim(buf_str(&text));
    while (token.n != 0 && (token.p[token.n - 1] == '\n' || token.p[token.n - 1] == '\r'))
        token.n--;
    if (fail != FAIL_NONE && access(file, R_OK) != 0 && errno == EACCES)
        fail = unreadable(fault, file);
    if (fail == FAIL_NONE && !is_api_token(token))
        fail = untrusted(fault, file, "it holds something else than a token");
    if (fail == FAIL_NONE)
        snprintf(ret->token, sizeof ret->token, "%.*s", STR_FMT(token));
    buf_fini(&text);
    return fail;
}

// The authority of the origin that the server was told is its console's. Only a name to say to it:
// the connection goes to `console`.
static void take_host(const json_t *json, struct ready *ret)
{
    struct origin origin;
    const char *given = json_string_value(json_object_get(json, "consoleOrigin"));
    ret->host[0] = '\0';
    if (given != NULL && origin_parse(given, &origin, NULL) == FAIL_NONE)
        snprintf(ret->host, sizeof ret->host, "%s", strstr(origin.text, "://") + 3);
}

static enum fail take(const char *data_dir, const char *path, str text, struct ready *ret,
                      struct fault *fault)
{
    json_auto_t *json = jsonx_parse(text, NULL);
    const char *console = json_string_value(json_object_get(json, "console"));
    const char *token_file = json_string_value(json_object_get(json, "tokenFile"));
    if (console == NULL || token_file == NULL)
        return untrusted(fault, path, "it is no ready file");
    if (origin_parse(console, &ret->console, NULL) != FAIL_NONE || !ret->console.is_loopback)
        return untrusted(fault, path, "the console it names is not on this machine");
    take_host(json, ret);
    return read_token(data_dir, token_file, ret, fault);
}

enum fail ready_read(const char *data_dir, uid_t uid, struct ready *ret, struct fault *fault)
{
    char path[PATH_MAX];
    struct stat st;
    struct buf text;
    if ((size_t)snprintf(path, sizeof path, "%s/ready.json", data_dir) >= sizeof path)
        return fault_set(fault, FAIL_NOT_FOUND, "no_ready_file",
                         "The directory's name is too long.");
    buf_init(&text, READY_FILE_MAX);
    enum fail fail = files_read(path, &text, &st, fault);
    if (fail == FAIL_NOT_FOUND)
        fault_set(fault, fail, "no_ready_file", "No server runs on %.200s.", data_dir);
    else if (fail != FAIL_NONE)
        ;
    else if (st.st_uid != uid && st.st_uid != 0)
        fail = untrusted(fault, path, "it belongs to another user");
    else if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        fail = untrusted(fault, path, "others may write to it");
    else
        fail = take(data_dir, path, buf_str(&text), ret, fault);
    buf_fini(&text);
    return fail;
}
