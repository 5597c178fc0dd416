// From the supervisor to the server: one JSON object in a memfd that nobody can change any more.
#include "edge/settings_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "edge/base/jsonx.h"

enum { PASSED_MAX = 64 << 20 };

static json_t *to_json(const struct setting *t, const struct settings *s)
{
    if (setting_is_text(t))
        return json_string(*setting_text(s, t));
    if (t->type == SETTING_ACCEPTED)
        return json_boolean(*setting_bool(s, t));
    return json_integer((json_int_t)*setting_number(s, t));
}

static bool from_json(const struct setting *t, const json_t *value, struct settings *s)
{
    if (setting_is_text(t) && json_is_string(value))
        *setting_text(s, t) = str_dup(str_from(json_string_value(value)));
    else if (t->type == SETTING_ACCEPTED && json_is_boolean(value))
        *setting_bool(s, t) = json_is_true(value);
    else if (!setting_is_text(t) && json_is_integer(value))
        *setting_number(s, t) = (uint64_t)json_integer_value(value);
    else
        return false;
    return true;
}

static json_t *pack(const struct settings *s)
{
    json_t *o = json_object(), *certificates = json_array();
    for (size_t i = 0; i != settings_count; ++i)
        json_object_set_new(o, settings_table[i].name, to_json(&settings_table[i], s));
    for (size_t i = 0; i != s->certificate_count; ++i)
        json_array_append_new(certificates,
                              json_pack("[ss]", s->certificates[i].chain, s->certificates[i].key));
    json_object_set_new(o, "certificates", certificates);
    json_object_set_new(o, "listeners", json_string(s->listeners));
    json_object_set_new(o, "master_key", json_string(s->master_key));
    json_object_set_new(o, "has_private_plugins", json_boolean(s->has_private_plugins));
    return o;
}

static bool write_all(int fd, const char *p, size_t n)
{
    while (n != 0) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno != EINTR)
            return false;
        if (done > 0) {
            p += done;
            n -= (size_t)done;
        }
    }
    return true;
}

int settings_to_fd(const struct settings *s)
{
    json_t *o = pack(s);
    size_t n;
    char *text = jsonx_dump(o, &n);
    json_decref(o);
    int fd = memfd_create("settings", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    bool is_done =
        fd >= 0 && write_all(fd, text, n) &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0;
    explicit_bzero(text, n);
    free(text);
    if (!is_done)
        abort(); // memory, or a kernel without memfd: nothing can be started without
    return fd;
}

static bool unpack_certificates(const json_t *list, struct settings *s)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        const char *chain, *key;
        if (i == SETTINGS_CERTIFICATES_MAX || json_unpack(item, "[ss]", &chain, &key) != 0)
            return false;
        s->certificates[s->certificate_count++] =
            (struct settings_certificate){str_dup(str_from(chain)), str_dup(str_from(key))};
    }
    return json_is_array(list);
}

static bool unpack(const json_t *o, struct settings *s)
{
    for (size_t i = 0; i != settings_count; ++i)
        if (!from_json(&settings_table[i], json_object_get(o, settings_table[i].name), s))
            return false;
    str listeners = jsonx_str(o, "listeners");
    if (listeners.p == NULL)
        return false;
    s->listeners = str_dup(listeners);
    str master_key = jsonx_str(o, "master_key");
    s->master_key = str_dup(master_key);
    s->has_private_plugins = json_is_true(json_object_get(o, "has_private_plugins"));
    return unpack_certificates(json_object_get(o, "certificates"), s);
}

static enum fail bad_fd(struct fault *fault, const char *why)
{
    return fault_set(fault, FAIL_INTERNAL, "bad_settings",
                     "The settings that the supervisor handed over cannot be used: %s. Start the "
                     "server by `stoa serve`.",
                     why);
}

enum fail settings_from_fd(struct settings *ret, int fd, struct fault *fault)
{
    struct stat st;
    *ret = (struct settings){0};
    if (fstat(fd, &st) != 0 || st.st_size <= 0 || st.st_size > PASSED_MAX)
        return bad_fd(fault, "no such descriptor");
    size_t n = (size_t)st.st_size;
    AUTOFREE char *text = malloc(n);
    if (text == NULL)
        abort();
    if (pread(fd, text, n, 0) != (ssize_t)n)
        return bad_fd(fault, "they are cut short");
    json_t *o = jsonx_parse(str_of(text, n), fault);
    explicit_bzero(text, n);
    bool is_whole = o != NULL && unpack(o, ret);
    json_decref(o);
    if (is_whole)
        return FAIL_NONE;
    settings_fini(ret);
    return bad_fd(fault, "they are of another version");
}
