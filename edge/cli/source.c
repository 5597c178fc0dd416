// Content decides what a file is, as it does on the server; the name counts only for ".pie".
#include "edge/cli/source.h"
#include "edge/base/jsonx.h"
#include "edge/cli/files.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

bool source_is_slug(const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i != n; ++i)
        if (!islower((unsigned char)text[i]) && !isdigit((unsigned char)text[i]) && text[i] != '-')
            return false;
    return n != 0 && n <= SOURCE_SLUG_MAX && text[0] != '-' && text[n - 1] != '-';
}

void source_slug_of(const char *name, char to[static SOURCE_SLUG_MAX + 1])
{
    size_t n = 0;
    for (; *name != '\0' && n != SOURCE_SLUG_MAX; ++name) {
        unsigned char c = (unsigned char)*name;
        if (c < 0x80 && isalnum(c))
            to[n++] = (char)tolower(c);
        else if (n != 0 && to[n - 1] != '-')
            to[n++] = '-';
    }
    while (n != 0 && to[n - 1] == '-')
        --n;
    to[n] = '\0';
}

char *source_display_name(const char *name)
{
    char *text = str_dup(str_from(name));
    for (char *c = text; *c != '\0'; ++c)
        if (*c == '-' || *c == '_')
            *c = ' ';
    text[0] = (char)toupper((unsigned char)text[0]);
    return text;
}

char *source_minimal_pie(const char *slug, const char *display_name)
{
    // A JSON string is a YAML string: nothing in the name can end it.
    json_auto_t *name = jsonx_string(str_from(display_name));
    AUTOFREE char *quoted = json_dumps(name, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    struct buf text;
    buf_init(&text, 65536);
    buf_addf(&text, "---\nname: \"%s\"\ndisplayName: %s\nversion: 0.1.0\ntier: tool\n---\n", slug,
             quoted);
    return buf_take(&text);
}

void source_fini(struct source *source)
{
    if (source->kind != SOURCE_FOLDER)
        files_close(&source->fd);
    pack_fini(&source->pack);
    free(source->path);
    free(source->display_name);
    source->path = source->display_name = NULL;
}

// Folders that build tools write to are named alike everywhere: the one above names the app.
static bool is_generic(const char *name)
{
    static const char *const generic[] = {"dist",    "build", "out",  "output", "public",
                                          ".output", "www",   "html", "site",   "_site"};
    for (size_t i = 0; i != sizeof generic / sizeof *generic; ++i)
        if (strcmp(name, generic[i]) == 0)
            return true;
    return false;
}

static void name_after_folder(struct source *s)
{
    AUTOFREE char *whole = realpath(s->path, NULL);
    if (whole == NULL)
        return;
    char *slash = strrchr(whole, '/');
    if (is_generic(slash + 1) && slash != whole) {
        *slash = '\0';
        slash = strrchr(whole, '/');
    }
    source_slug_of(slash + 1, s->slug);
    s->display_name = source_display_name(slash + 1);
}

static bool is_archive(str head)
{
    return str_starts(head, STR("PK\003\004")) || str_starts(head, STR("PK\005\006")) ||
           str_starts(head, STR("\x1f\x8b")) || str_starts(head, STR("\xfd\x37zXZ")) ||
           str_starts(head, STR("\x28\xb5\x2f\xfd")) ||
           (head.n >= 262 && memcmp(head.p + 257, "ustar", 5) == 0);
}

static bool is_pie(const char *path, str head)
{
    if (str_ends(str_from(path), STR(".pie")))
        return true;
    head = str_starts(head, STR("\xef\xbb\xbf")) ? str_skip(head, 3) : head;
    return str_starts(head, STR("---\n")) || str_starts(head, STR("---\r\n"));
}

static enum fail open_file(struct source *s, struct fault *fault)
{
    char head[512];
    struct stat st;
    s->fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = s->fd >= 0 && fstat(s->fd, &st) == 0 ? pread(s->fd, head, sizeof head, 0) : -1;
    if (n < 0)
        return fault_set(fault, FAIL_INTERNAL, "local_io", "%.200s: %s.", s->path, strerror(errno));
    s->bytes = (uint64_t)st.st_size;
    str text = str_of(head, (size_t)n);
    s->kind = is_pie(s->path, text) ? SOURCE_PIE : SOURCE_ARCHIVE;
    if (s->kind == SOURCE_PIE || is_archive(text))
        return FAIL_NONE;
    return fault_set(fault, FAIL_REFUSED, "not_deployable",
                     "%.200s is neither a .pie file nor an archive (zip, tar, tar.gz, tar.xz, "
                     "tar.zst).",
                     s->path);
}

// The name of the only .pie file directly in the folder, or NULL.
static char *only_pie(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    char *found = NULL;
    size_t count = 0;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.' || !str_ends(str_from(entry->d_name), STR(".pie")))
            continue;
        if (count++ == 0)
            found = str_dup(str_from(entry->d_name));
    }
    if (dir != NULL)
        closedir(dir);
    if (count == 1)
        return found;
    free(found);
    return NULL;
}

// Nothing to open at the root: say what would help.
static enum fail no_entry(const struct source *s, struct fault *fault)
{
    static const char *const built[] = {"dist", "build", "out", "public", "www", "_site"};
    char below[PATH_MAX];
    for (size_t i = 0; i != sizeof built / sizeof *built; ++i) {
        snprintf(below, sizeof below, "%s/index.html", built[i]);
        if (pack_has(&s->pack, below))
            return fault_set(fault, FAIL_REFUSED, "not_deployable",
                             "%.150s has no index.html and no public-config.yaml. Did you mean "
                             "%.100s/%s?",
                             s->path, s->path, built[i]);
    }
    return fault_set(fault, FAIL_REFUSED, "not_deployable",
                     "%.200s has no index.html and no public-config.yaml at its root, so it is no "
                     "app.",
                     s->path);
}

static enum fail open_folder(struct source *s, struct problems *problems, struct fault *fault)
{
    s->kind = SOURCE_FOLDER;
    enum fail fail = pack_list(s->path, &s->pack, problems, fault);
    if (fail != FAIL_NONE)
        return fail;
    if (!pack_has(&s->pack, "index.html") && !pack_has(&s->pack, "public-config.yaml"))
        return no_entry(s, fault);
    name_after_folder(s);
    fail = pack_write(s->path, &s->pack, fault);
    s->fd = s->pack.fd;
    s->bytes = s->pack.bytes;
    return fail;
}

static bool folder_is_app(const char *folder)
{
    char path[PATH_MAX];
    static const char *const roots[] = {"index.html", "public-config.yaml"};
    for (size_t i = 0; i != 2; ++i) {
        snprintf(path, sizeof path, "%s/%s", folder, roots[i]);
        if (access(path, F_OK) == 0)
            return true;
    }
    return false;
}

enum fail source_open(const char *path, struct source *ret, struct problems *problems,
                      struct fault *fault)
{
    struct stat st;
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        --n;
    *ret = (struct source){.fd = -1, .pack = {.fd = -1}, .path = str_dup(str_of(path, n))};
    if (stat(path, &st) < 0)
        return fault_set(fault, FAIL_INTERNAL, "local_io", "%.200s: %s.", path, strerror(errno));
    if (S_ISREG(st.st_mode))
        return open_file(ret, fault);
    if (!S_ISDIR(st.st_mode))
        return fault_set(fault, FAIL_INTERNAL, "local_io", "%.200s is neither a file nor a folder.",
                         path);
    AUTOFREE char *pie = folder_is_app(ret->path) ? NULL : only_pie(ret->path);
    if (pie == NULL)
        return open_folder(ret, problems, fault);
    struct buf inner;
    buf_init(&inner, 2 * PATH_MAX);
    buf_addf(&inner, "%s/%s", ret->path, pie);
    free(ret->path);
    ret->path = buf_take(&inner);
    return open_file(ret, fault);
}
