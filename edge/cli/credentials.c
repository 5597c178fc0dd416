// The file is read and written whole; two logins at once: the later one stands.
#include "edge/cli/credentials.h"
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"
#include "edge/cli/files.h"
#include <stdlib.h>
#include <unistd.h>

enum { CREDENTIALS_MAX = 256 * 1024 };

static enum fail check_owner(const char *path, const struct stat *st, struct fault *fault)
{
    if (st->st_uid != geteuid() && st->st_uid != 0)
        return fault_set(fault, FAIL_DENIED, "credentials_exposed",
                         "%.200s belongs to another user, so it is not used.", path);
    if ((st->st_mode & 077) != 0)
        return fault_set(fault, FAIL_DENIED, "credentials_exposed",
                         "%.150s can be read by others, so it is not used: run `chmod 600` on it, "
                         "or log in again.",
                         path);
    return FAIL_NONE;
}

static enum fail parse(const char *path, str text, json_t **ret, struct fault *fault)
{
    json_t *all = jsonx_parse(text, NULL);
    if (!json_is_object(all) || !json_is_object(json_object_get(all, "servers"))) {
        json_decref(all);
        return fault_set(fault, FAIL_BAD_INPUT, "bad_credentials",
                         "%.200s is damaged: remove it and log in again.", path);
    }
    *ret = all;
    return FAIL_NONE;
}

enum fail credentials_load(const char *path, json_t **ret, struct fault *fault)
{
    struct buf text;
    struct stat st;
    buf_init(&text, CREDENTIALS_MAX);
    enum fail fail = files_read(path, &text, &st, fault);
    if (fail == FAIL_NOT_FOUND) {
        *ret = json_pack("{s:{}}", "servers");
        fail = FAIL_NONE;
    } else if (fail == FAIL_NONE) {
        fail = check_owner(path, &st, fault);
        if (fail == FAIL_NONE)
            fail = parse(path, buf_str(&text), ret, fault);
    }
    if (text.p != NULL)
        explicit_bzero(text.p, text.n);
    buf_fini(&text);
    return fail;
}

enum fail credentials_save(const char *path, const json_t *all, struct fault *fault)
{
    AUTOFREE char *text = json_dumps(all, JSON_INDENT(2));
    if (text == NULL)
        abort();
    return files_write_private(path, str_from(text), fault);
}

const char *credentials_token(const json_t *all, const struct origin *origin)
{
    json_t *server = json_object_get(json_object_get(all, "servers"), origin->text);
    return json_string_value(json_object_get(server, "token"));
}

const char *credentials_current(const json_t *all)
{
    return json_string_value(json_object_get(all, "current"));
}

void credentials_put(json_t *all, const struct origin *origin, const char *token)
{
    char now[CLOCK_RFC3339_ROOM];
    clock_rfc3339(clock_real_ms(), now);
    json_object_set_new(json_object_get(all, "servers"), origin->text,
                        json_pack("{s:s, s:s}", "token", token, "savedAt", now));
    json_object_set_new(all, "current", json_string(origin->text));
}

bool credentials_drop(json_t *all, const struct origin *origin)
{
    const char *current = credentials_current(all);
    if (json_object_del(json_object_get(all, "servers"), origin->text) != 0)
        return false;
    if (current != NULL && strcmp(current, origin->text) == 0)
        json_object_del(all, "current");
    return true;
}
