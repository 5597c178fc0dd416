// Two passes: a list first, so that everything wrong is told before a byte is copied.
#include "edge/cli/pack.h"
#include "edge/cli/files.h"
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// Far above what a server takes; they stop a folder given by mistake (/, a home directory).
enum { FILES_MAX = 100000, DEPTH_MAX = 64 };
static const uint64_t bytes_max = UINT64_C(4) << 30;

bool pack_ignores(const char *name)
{
    size_t n = strlen(name);
    if (name[0] == '.')
        return strcmp(name, ".well-known") != 0;
    return strcmp(name, "node_modules") == 0 || strcmp(name, "__MACOSX") == 0 ||
           strcmp(name, "Thumbs.db") == 0 || (n > 1 && name[n - 1] == '~');
}

void pack_fini(struct pack *pack)
{
    for (size_t i = 0; i != pack->count; ++i)
        free(pack->files[i].path);
    for (size_t i = 0; i != pack->left_out_count; ++i)
        free(pack->left_out[i]);
    free(pack->files);
    free(pack->left_out);
    files_close(&pack->fd);
    *pack = (struct pack){.fd = -1};
}

static enum fail local_io(struct fault *fault, const char *path)
{
    return fault_set(fault, FAIL_INTERNAL, "local_io", "%.200s: %s.", path, strerror(errno));
}

// Arrays grow at powers of two: `count` of them are in use.
static void *grown(void *array, size_t count, size_t size)
{
    if (count != 0 && (count & (count - 1)) != 0)
        return array;
    void *more = realloc(array, (count != 0 ? count * 2 : 1) * size);
    if (more == NULL)
        abort();
    return more;
}

static void add_file(struct pack *pack, const char *path, uint64_t bytes)
{
    pack->files = grown(pack->files, pack->count, sizeof *pack->files);
    pack->files[pack->count++] = (struct pack_file){str_dup(str_from(path)), bytes};
    pack->file_bytes += bytes;
}

static void add_left_out(struct pack *pack, const char *path, bool is_folder)
{
    char name[PATH_MAX];
    snprintf(name, sizeof name, "%s%s", path, is_folder ? "/" : "");
    pack->left_out = grown(pack->left_out, pack->left_out_count, sizeof *pack->left_out);
    pack->left_out[pack->left_out_count++] = str_dup(str_from(name));
}

struct walk {
    struct pack *pack;
    struct problems *problems;
    struct fault *fault;
    bool too_much;
};

static enum fail list_folder(struct walk *w, int fd, const char *path, unsigned depth);

static enum fail list_entry(struct walk *w, int dir, const char *path, const char *name,
                            unsigned depth)
{
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? FAIL_NONE : local_io(w->fault, path); // gone since it was listed
    if (pack_ignores(name)) {
        add_left_out(w->pack, path, S_ISDIR(st.st_mode));
    } else if (S_ISLNK(st.st_mode)) {
        problems_add(w->problems, 0, 0, path, "A symbolic link: put the file itself in its place.");
    } else if (S_ISREG(st.st_mode)) {
        add_file(w->pack, path, (uint64_t)st.st_size);
    } else if (!S_ISDIR(st.st_mode)) {
        problems_add(w->problems, 0, 0, path, "Neither a file nor a folder.");
    } else if (depth == DEPTH_MAX) {
        problems_add(w->problems, 0, 0, path, "Folders are nested too deep.");
    } else {
        int sub = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return sub < 0 ? local_io(w->fault, path) : list_folder(w, sub, path, depth + 1);
    }
    return FAIL_NONE;
}

// Takes `fd`.
static enum fail list_folder(struct walk *w, int fd, const char *path, unsigned depth)
{
    DIR *dir = fdopendir(fd);
    struct dirent *entry;
    enum fail fail = FAIL_NONE;
    if (dir == NULL) {
        close(fd);
        return local_io(w->fault, path);
    }
    while (fail == FAIL_NONE && !w->too_much && (entry = readdir(dir)) != NULL) {
        char below[PATH_MAX];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        int n = snprintf(below, sizeof below, "%s%s%s", path, path[0] != '\0' ? "/" : "",
                         entry->d_name);
        if (n < 0 || (size_t)n >= sizeof below)
            problems_add(w->problems, 0, 0, path, "The names below it are too long.");
        else
            fail = list_entry(w, dirfd(dir), below, entry->d_name, depth);
        w->too_much = w->pack->count > FILES_MAX || w->pack->file_bytes > bytes_max ||
                      w->pack->left_out_count > FILES_MAX;
    }
    closedir(dir);
    return fail;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct pack_file *)a)->path, ((const struct pack_file *)b)->path);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

enum fail pack_list(const char *folder, struct pack *ret, struct problems *problems,
                    struct fault *fault)
{
    struct walk w = {.pack = ret, .problems = problems, .fault = fault};
    *ret = (struct pack){.fd = -1};
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return local_io(fault, folder);
    enum fail fail = list_folder(&w, fd, "", 0);
    if (fail != FAIL_NONE)
        return fail;
    if (w.too_much)
        return fault_set(fault, FAIL_REFUSED, "invalid_bundle",
                         "%.200s holds far more than an app may. Is it the right folder?", folder);
    if (ret->count != 0)
        qsort(ret->files, ret->count, sizeof *ret->files, by_path);
    if (ret->left_out_count != 0)
        qsort(ret->left_out, ret->left_out_count, sizeof *ret->left_out, by_name);
    for (size_t i = 0; i != ret->count; ++i)
        if (!str_is_utf8(str_from(ret->files[i].path)))
            problems_add(problems, 0, 0, ret->files[i].path, "The name is not valid UTF-8.");
    if (problems->count == 0)
        return FAIL_NONE;
    return fault_set(fault, FAIL_REFUSED, "invalid_bundle",
                     "The folder cannot be deployed as it "
                     "is.");
}

bool pack_has(const struct pack *pack, const char *path)
{
    struct pack_file wanted = {.path = (char *)(uintptr_t)path};
    return pack->count != 0 &&
           bsearch(&wanted, pack->files, pack->count, sizeof wanted, by_path) != NULL;
}

static int temporary_file(void)
{
    char path[PATH_MAX];
    const char *dir = getenv("TMPDIR");
    dir = dir != NULL && dir[0] == '/' ? dir : "/tmp";
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    snprintf(path, sizeof path, "%s/stoa-XXXXXX", dir); // a file system without O_TMPFILE
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    return fd;
}

static enum fail changed(struct fault *fault, const char *path)
{
    return fault_set(fault, FAIL_CONFLICT, "changed_meanwhile", "%.200s changed while it was read.",
                     path);
}

static enum fail archive_failed(struct fault *fault, struct archive *a)
{
    const char *why = archive_error_string(a);
    return fault_set(fault, FAIL_INTERNAL, "local_io", "The archive cannot be written: %.200s.",
                     why != NULL ? why : "unknown reason");
}

static enum fail copy_content(struct archive *a, int fd, const struct pack_file *file,
                              struct fault *fault)
{
    char chunk[65536];
    uint64_t left = file->bytes;
    while (left != 0) {
        size_t want = left < sizeof chunk ? (size_t)left : sizeof chunk;
        ssize_t n = read(fd, chunk, want);
        if (n < 0)
            return local_io(fault, file->path);
        if (n == 0)
            return changed(fault, file->path);
        if (archive_write_data(a, chunk, (size_t)n) != n)
            return archive_failed(fault, a);
        left -= (uint64_t)n;
    }
    return FAIL_NONE;
}

static enum fail write_header(struct archive *a, const struct pack_file *file, struct fault *fault)
{
    struct archive_entry *entry = archive_entry_new();
    if (entry == NULL)
        abort();
    archive_entry_set_pathname(entry, file->path); // LC_CTYPE is UTF-8: cli_main
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, (la_int64_t)file->bytes);
    archive_entry_set_mtime(entry, 0, 0);
    int code = archive_write_header(a, entry);
    archive_entry_free(entry);
    return code == ARCHIVE_OK ? FAIL_NONE : archive_failed(fault, a);
}

static enum fail write_file(struct archive *a, int folder, const struct pack_file *file,
                            struct fault *fault)
{
    struct stat st;
    FD_AUTO int fd = openat(folder, file->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ELOOP))
        return changed(fault, file->path);
    if (fd < 0 || fstat(fd, &st) < 0)
        return local_io(fault, file->path);
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != file->bytes)
        return changed(fault, file->path);
    enum fail fail = write_header(a, file, fault);
    return fail == FAIL_NONE ? copy_content(a, fd, file, fault) : fail;
}

static enum fail write_all(struct archive *a, int folder, struct pack *pack, struct fault *fault)
{
    // Restricted pax: plain ustar wherever that can say it.
    if (archive_write_set_format_pax_restricted(a) != ARCHIVE_OK ||
        archive_write_add_filter_none(a) != ARCHIVE_OK ||
        archive_write_open_fd(a, pack->fd) != ARCHIVE_OK)
        return archive_failed(fault, a);
    for (size_t i = 0; i != pack->count; ++i) {
        enum fail fail = write_file(a, folder, &pack->files[i], fault);
        if (fail != FAIL_NONE)
            return fail;
    }
    return archive_write_close(a) == ARCHIVE_OK ? FAIL_NONE : archive_failed(fault, a);
}

enum fail pack_write(const char *folder, struct pack *pack, struct fault *fault)
{
    struct stat st;
    FD_AUTO int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return local_io(fault, folder);
    pack->fd = temporary_file();
    if (pack->fd < 0)
        return local_io(fault, "a temporary file");
    struct archive *a = archive_write_new();
    if (a == NULL)
        abort();
    enum fail fail = write_all(a, dir, pack, fault);
    archive_write_free(a);
    if (fail == FAIL_NONE && fstat(pack->fd, &st) < 0)
        fail = local_io(fault, "a temporary file");
    if (fail == FAIL_NONE)
        pack->bytes = (uint64_t)st.st_size;
    return fail;
}
