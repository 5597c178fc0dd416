// One directory of files named by their SHA-256.
//
// Writing: tmp/<number>, then a rename to ab/cdef… . Names that were made since the last sync stand
// in `unsynced`; blob_sync makes them durable together, with the whole file system when they are
// many. That is left to many: it writes out everybody's bytes, those of request bodies too, which
// are nobody's in a moment. What is there already is compared byte by byte before it is taken for
// granted: after a power cut a name may have other bytes than it promises.
//
// Collecting: the look at a blob's age and its removal happen under `names_lock`, and so do a put's
// touch and rename. Hence a put either makes the blob young before it is looked at, or finds it
// gone and writes it anew.
#include "edge/store/blob.h"
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "edge/store/faults.h"

enum {
    NAME_ROOM = 2 + 1 + 62 + 1,
    TEMPORARY_ROOM = 4 + 16 + 1,
    FEW = 32, // so many are synced by themselves
};

static int root = -1;
static pthread_mutex_t names_lock = PTHREAD_MUTEX_INITIALIZER; // see above; has_new_folder
static bool has_new_folder; // since the root was synced, as far as is known
static pthread_mutex_t sync_lock = PTHREAD_MUTEX_INITIALIZER; // one sync at a time; sync_broken
static bool sync_broken;
static pthread_mutex_t unsynced_lock = PTHREAD_MUTEX_INITIALIZER; // unsynced
struct name {
    struct digest digest;
    bool is_new;    // made by the put; otherwise found, perhaps left unsynced by a process that was
                    // killed
    bool has_bytes; // these are on the disk; only the name is not
};
static struct unsynced {
    struct name *list;
    size_t count, room;
} unsynced;

static void name_of(const struct digest *d, char to[static NAME_ROOM])
{
    char hex[DIGEST_HEX_ROOM];
    digest_hex(d, hex);
    snprintf(to, NAME_ROOM, "%.2s/%.62s", hex, hex + 2);
}

static enum fail failed(struct fault *fault, const char *what, int error)
{
    enum fail f = error == ENOSPC || error == EDQUOT
                      ? fault_set(fault, FAIL_QUOTA, "disk_full",
                                  "The server's disk is full. Its operator must make room.")
                  : error == EMFILE || error == ENFILE || error == ENOMEM
                      ? fault_set(fault, FAIL_BUSY, "busy",
                                  "The server has too many files open. Try again in a moment.")
                      : fault_set(fault, FAIL_INTERNAL, "storage_failed",
                                  "The server could not use its storage. Its log has the reason.");
    fault_log(fault, "blobs: %s: %s", what, strerrordesc_np(error));
    return f;
}

static void fd_autoclose(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
#define FD_AUTO __attribute__((cleanup(fd_autoclose))) int

// --- start-up ---

static enum fail make_directory(const char *path, struct fault *fault)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return failed(fault, "cannot make the directory", errno);
    return FAIL_NONE;
}

static void remove_leftovers(void)
{
    int fd = openat(root, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL)
        return;
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (e->d_name[0] != '.')
            unlinkat(fd, e->d_name, 0);
    }
    closedir(dir);
}

enum fail blob_open(const char *directory, struct fault *fault)
{
    assert(directory[0] == '/');
    enum fail f = make_directory(directory, fault);
    if (f != FAIL_NONE)
        return f;
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return failed(fault, "cannot open the directory", errno);
    if (mkdirat(fd, "tmp", 0700) != 0 && errno != EEXIST) {
        f = failed(fault, "cannot make tmp", errno);
        close(fd);
        return f;
    }
    if (root >= 0)
        close(root);
    root = fd;
    sync_broken = false;
    has_new_folder = true; // perhaps, of a process that was killed
    remove_leftovers();
    return FAIL_NONE;
}

// --- reading ---

static enum fail open_name(const char *name, int *ret_fd, size_t *ret_n, struct fault *fault)
{
    struct stat st;
    int fd = openat(root, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return fault_set(fault, FAIL_NOT_FOUND, "blob_not_found", "This content is not kept here.");
    if (fd < 0)
        return failed(fault, "cannot open", errno);
    if (fstat(fd, &st) != 0) {
        enum fail f = failed(fault, "cannot look at", errno);
        close(fd);
        return f;
    }
    *ret_fd = fd;
    *ret_n = (size_t)st.st_size;
    return FAIL_NONE;
}

enum fail blob_open_read(const struct digest *d, int *ret_fd, size_t *ret_n, struct fault *fault)
{
    char name[NAME_ROOM];
    if (faults_due())
        return failed(fault, "a fault was injected", EIO);
    name_of(d, name);
    return open_name(name, ret_fd, ret_n, fault);
}

bool blob_exists(const struct digest *d)
{
    char name[NAME_ROOM];
    name_of(d, name);
    return faccessat(root, name, F_OK, 0) == 0;
}

// All n bytes; fewer when the file has become shorter.
static ssize_t read_all(int fd, char *to, size_t n)
{
    size_t got = 0;
    while (got != n) {
        ssize_t r = read(fd, to + got, n - got);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -1;
        if (r == 0)
            break;
        got += (size_t)r;
    }
    return (ssize_t)got;
}

enum fail blob_get(const struct digest *d, size_t max, char **ret, size_t *ret_n,
                   struct fault *fault)
{
    FD_AUTO fd = -1;
    size_t n = 0;
    enum fail f = blob_open_read(d, &fd, &n, fault);
    if (f != FAIL_NONE)
        return f;
    if (n > max)
        return fault_set(fault, FAIL_TOO_LARGE, "blob_too_large", "This content is too large.");
    char *bytes = malloc(n + 1);
    if (bytes == NULL)
        abort();
    ssize_t got = read_all(fd, bytes, n);
    struct digest found = digest_sha256(str_of(bytes, got > 0 ? (size_t)got : 0));
    if (got >= 0 && (size_t)got == n && digest_eq(&found, d)) {
        bytes[n] = '\0';
        *ret = bytes;
        *ret_n = n;
        return FAIL_NONE;
    }
    free(bytes);
    if (got < 0)
        return failed(fault, "cannot read", errno);
    char hex[DIGEST_HEX_ROOM];
    digest_hex(d, hex);
    fault_set(fault, FAIL_INTERNAL, "blob_damaged",
              "The stored content is damaged. Deploy it again to mend it.");
    fault_log(fault, "blobs: %s does not have the bytes of its name", hex);
    return FAIL_INTERNAL;
}

// --- writing ---

static bool has_bytes(int fd, size_t n, str bytes)
{
    char piece[32768];
    if (n != bytes.n)
        return false;
    while (bytes.n != 0) {
        size_t want = bytes.n < sizeof piece ? bytes.n : sizeof piece;
        if (read_all(fd, piece, want) != (ssize_t)want || memcmp(piece, bytes.p, want) != 0)
            return false;
        bytes = str_skip(bytes, want);
    }
    return true;
}

// Whether the blob is there and whole; it is young then.
static bool touch_whole(const char *name, str bytes)
{
    FD_AUTO fd = -1;
    size_t n = 0;
    if (open_name(name, &fd, &n, NULL) != FAIL_NONE || !has_bytes(fd, n, bytes))
        return false;
    pthread_mutex_lock(&names_lock);
    bool there =
        utimensat(root, name, NULL, 0) == 0; // by name: not one that collection took meanwhile
    pthread_mutex_unlock(&names_lock);
    return there;
}

static enum fail write_temporary(char name[static TEMPORARY_ROOM], str bytes, bool is_synced,
                                 struct fault *fault)
{
    static _Atomic unsigned long long count; // tmp is emptied at the start, and no one else's
    snprintf(name, TEMPORARY_ROOM, "tmp/%llx", atomic_fetch_add(&count, 1));
    FD_AUTO fd = openat(root, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return failed(fault, "cannot make a file", errno);
    while (bytes.n != 0) {
        ssize_t w = write(fd, bytes.p, bytes.n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0) {
            enum fail f = failed(fault, "cannot write", errno);
            unlinkat(root, name, 0);
            return f;
        }
        bytes = str_skip(bytes, (size_t)w);
    }
    if (is_synced && fdatasync(fd) != 0) {
        enum fail f = failed(fault, "cannot sync", errno);
        unlinkat(root, name, 0);
        return f;
    }
    return FAIL_NONE;
}

static enum fail move_into_place(const char *temporary, const char *name, struct fault *fault)
{
    pthread_mutex_lock(&names_lock);
    int failure = renameat(root, temporary, root, name) == 0 ? 0 : errno;
    if (failure == ENOENT) { // the first one with these two letters
        char folder[3] = {name[0], name[1], '\0'};
        failure = mkdirat(root, folder, 0700) == 0 || errno == EEXIST ? 0 : errno;
        has_new_folder = true;
        if (failure == 0 && renameat(root, temporary, root, name) != 0)
            failure = errno;
    }
    pthread_mutex_unlock(&names_lock);
    if (failure == 0)
        return FAIL_NONE;
    unlinkat(root, temporary, 0);
    return failed(fault, "cannot rename", failure);
}

static void remember_unsynced(struct name name)
{
    pthread_mutex_lock(&unsynced_lock);
    if (unsynced.count == unsynced.room) {
        unsynced.room = unsynced.room != 0 ? unsynced.room * 2 : 64;
        unsynced.list = reallocarray(unsynced.list, unsynced.room, sizeof *unsynced.list);
        if (unsynced.list == NULL)
            abort();
    }
    unsynced.list[unsynced.count++] = name;
    pthread_mutex_unlock(&unsynced_lock);
}

enum fail blob_put(str bytes, struct digest *ret_digest, struct fault *fault)
{
    struct digest d = digest_sha256(bytes);
    char name[NAME_ROOM], temporary[TEMPORARY_ROOM];
    if (faults_due())
        return failed(fault, "a fault was injected", EIO);
    name_of(&d, name);
    bool is_new = !touch_whole(name, bytes);
    if (is_new) {
        enum fail f = write_temporary(temporary, bytes, false, fault);
        if (f == FAIL_NONE)
            f = move_into_place(temporary, name, fault);
        if (f != FAIL_NONE)
            return f;
    }
    remember_unsynced((struct name){.digest = d, .is_new = is_new});
    if (ret_digest != NULL)
        *ret_digest = d;
    return FAIL_NONE;
}

// The bytes are synced before they take the name: it may be another's, whose bytes must not go when
// they cannot be.
enum fail blob_put_blindly(str bytes, struct digest *ret_digest, struct fault *fault)
{
    struct digest d = digest_sha256(bytes);
    char name[NAME_ROOM], temporary[TEMPORARY_ROOM];
    if (faults_due())
        return failed(fault, "a fault was injected", EIO);
    name_of(&d, name);
    enum fail f = write_temporary(temporary, bytes, true, fault);
    if (f == FAIL_NONE)
        f = move_into_place(temporary, name, fault);
    if (f != FAIL_NONE)
        return f;
    remember_unsynced((struct name){.digest = d, .has_bytes = true});
    *ret_digest = d;
    return FAIL_NONE;
}

// --- making it durable ---

// 0, or the errno. `sync` is fsync or fdatasync.
static int sync_path(const char *path, int flags, int (*sync)(int))
{
    FD_AUTO fd = openat(root, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | flags);
    return fd < 0 ? (errno == ENOENT ? 0 : errno) : sync(fd) == 0 ? 0 : errno;
}

static int sync_root(void)
{
    pthread_mutex_lock(&names_lock);
    bool is_due = has_new_folder;
    has_new_folder = false;
    pthread_mutex_unlock(&names_lock);
    int failure = is_due ? sync_path(".", O_DIRECTORY, fsync) : 0;
    if (failure != 0) {
        pthread_mutex_lock(&names_lock);
        has_new_folder = true;
        pthread_mutex_unlock(&names_lock);
    }
    return failure;
}

// The disk is given all the bytes before the first is waited for: the file system's journal takes
// them in one go then, and what is waited for next is there already.
static int sync_files(const struct unsynced *u, int fds[static FEW])
{
    char name[NAME_ROOM];
    int failure = 0;
    for (size_t i = 0; i != u->count; ++i) {
        fds[i] = -1;
        if (u->list[i].has_bytes)
            continue;
        name_of(&u->list[i].digest, name);
        fds[i] = openat(root, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fds[i] >= 0) // only a hint: fdatasync tells what fails
            sync_file_range(fds[i], 0, 0, SYNC_FILE_RANGE_WRITE);
        else if (errno != ENOENT && failure == 0)
            failure = errno;
    }
    for (size_t i = 0; failure == 0 && i != u->count; ++i)
        if (fds[i] >= 0 && fdatasync(fds[i]) != 0)
            failure = errno;
    return failure;
}

// Each once: the first byte of a digest is its folder.
static int sync_folders(const struct unsynced *u)
{
    bool is_synced[256] = {0};
    char name[NAME_ROOM];
    int failure = 0;
    for (size_t i = 0; failure == 0 && i != u->count; ++i) {
        uint8_t folder = u->list[i].digest.b[0];
        if (is_synced[folder])
            continue;
        is_synced[folder] = true;
        name_of(&u->list[i].digest, name);
        name[2] = '\0';
        failure = sync_path(name, O_DIRECTORY, fsync);
    }
    return failure;
}

static int sync_list(const struct unsynced *u)
{
    int fds[FEW];
    if (u->count > FEW)
        return syncfs(root) == 0 ? 0 : errno;
    int failure = sync_files(u, fds);
    for (size_t i = 0; i != u->count; ++i)
        if (fds[i] >= 0)
            close(fds[i]);
    if (failure == 0)
        failure = sync_folders(u);
    return failure != 0 ? failure : sync_root();
}

// The kernel tells of a failed write once: a second look would find the bytes in memory and believe
// them.
static void remove_new(const struct unsynced *u)
{
    char name[NAME_ROOM];
    for (size_t i = 0; i != u->count; ++i) {
        name_of(&u->list[i].digest, name);
        if (u->list[i].is_new)
            unlinkat(root, name, 0);
    }
}

static struct unsynced take_unsynced(void)
{
    pthread_mutex_lock(&unsynced_lock);
    struct unsynced u = unsynced;
    unsynced = (struct unsynced){0};
    pthread_mutex_unlock(&unsynced_lock);
    return u;
}

enum fail blob_sync(struct fault *fault)
{
    if (faults_due())
        return failed(fault, "a fault was injected", EIO);
    // Held throughout: whoever finds nothing left to sync must not return before what another took
    // is safe.
    pthread_mutex_lock(&sync_lock);
    struct unsynced u = take_unsynced();
    int failure = sync_broken ? EIO : u.count != 0 ? sync_list(&u) : 0;
    if (failure != 0) {
        remove_new(&u);
        sync_broken = sync_broken || (failure != ENOSPC && failure != EDQUOT);
    }
    pthread_mutex_unlock(&sync_lock);
    free(u.list);
    return failure == 0 ? FAIL_NONE : failed(fault, "cannot sync", failure);
}

bool blob_is_writable(void)
{
    struct stat st;
    struct statvfs fs;
    pthread_mutex_lock(&sync_lock);
    bool is_broken = sync_broken;
    pthread_mutex_unlock(&sync_lock);
    return !is_broken && fstat(root, &st) == 0 && st.st_nlink != 0 &&
           faccessat(root, "tmp", W_OK | X_OK, AT_EACCESS) == 0 && fstatvfs(root, &fs) == 0 &&
           (fs.f_flag & ST_RDONLY) == 0 && fs.f_bavail != 0;
}

// --- collecting ---

static bool is_old(const char *name, int64_t older_than)
{
    struct stat st;
    return fstatat(root, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000 < older_than;
}

static bool remove_when_old(const char *name, int64_t older_than)
{
    pthread_mutex_lock(&names_lock);
    bool gone = is_old(name, older_than) && unlinkat(root, name, 0) == 0;
    pthread_mutex_unlock(&names_lock);
    return gone;
}

static size_t collect_folder(const char *folder, int64_t older_than,
                             bool (*is_named)(void *arg, const struct digest *d), void *arg)
{
    size_t gone = 0;
    int fd = openat(root, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL)
        return 0;
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        char hex[DIGEST_HEX_ROOM], name[NAME_ROOM];
        struct digest d;
        if (strlen(e->d_name) != 62)
            continue;
        snprintf(hex, sizeof hex, "%.2s%.62s", folder, e->d_name);
        if (!digest_from_hex(str_from(hex), &d))
            continue; // none of ours
        name_of(&d, name);
        if (is_old(name, older_than) && !is_named(arg, &d))
            gone += remove_when_old(name, older_than);
    }
    closedir(dir);
    return gone;
}

size_t blob_collect(int64_t older_than, bool (*is_named)(void *arg, const struct digest *d),
                    void *arg)
{
    size_t gone = 0;
    for (unsigned i = 0; i != 256; ++i) {
        char folder[3];
        snprintf(folder, sizeof folder, "%02x", i);
        gone += collect_folder(folder, older_than, is_named, arg);
    }
    return gone;
}
