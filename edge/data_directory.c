// The data directory.
#include "edge/data_directory.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "edge/base/directory.h"

char *data_path(const struct settings *s, const char *name)
{
    struct buf b;
    buf_init(&b, 64 << 10);
    buf_addf(&b, "%s/%s", s->data, name);
    return buf_take(&b);
}

// As root, others pass through it to their own part of it, and see no names.
static mode_t new_mode(void)
{
    return geteuid() == 0 ? 0711 : 0700;
}

static enum fail enter(const char *data, struct fault *fault)
{
    bool is_new = mkdir(data, 0700) == 0;
    if (!is_new && errno != EEXIST)
        return fault_set(fault, FAIL_INTERNAL, "data_directory",
                         "The data directory %s cannot be made: %s.", data, strerror(errno));
    struct stat st;
    if (stat(data, &st) != 0 || !S_ISDIR(st.st_mode))
        return fault_set(fault, FAIL_INTERNAL, "data_directory", "%s is no directory.", data);
    if (st.st_uid != geteuid())
        return fault_set(fault, FAIL_DENIED, "data_directory",
                         "The data directory %s belongs to the user with the number %u. Start "
                         "Stoa as that user, or give it another directory (--data).",
                         data, (unsigned)st.st_uid);
    if (st.st_mode & 022)
        return fault_set(fault, FAIL_DENIED, "data_directory",
                         "Others may write to %s. Close it (chmod go-w), or give Stoa another "
                         "directory (--data).",
                         data);
    mode_t mode = is_new ? new_mode() : (st.st_mode & 07777) | (geteuid() == 0 ? 0111 : 0);
    if (mode != (st.st_mode & 07777) && chmod(data, mode) != 0)
        return fault_set(fault, FAIL_INTERNAL, "data_directory", "%s: %s.", data, strerror(errno));
    return FAIL_NONE;
}

static enum fail lock_it(const struct settings *s, int *ret_lock, struct fault *fault)
{
    AUTOFREE char *path = data_path(s, "lock");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    char pid[24] = "";
    if (fd < 0)
        return fault_set(fault, FAIL_INTERNAL, "data_directory", "%s cannot be opened: %s.", path,
                         strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
        pid[n > 0 ? strspn(pid, "0123456789") : 0] = '\0';
        close(fd);
        return fault_set(fault, FAIL_CONFLICT, "data_directory_taken",
                         "Another Stoa%s%s%s uses the data directory %s. Stop it, or give this one "
                         "another directory (--data).",
                         pid[0] != '\0' ? ", process " : "", pid, pid[0] != '\0' ? "," : "",
                         s->data);
    }
    int n = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)n, 0) != n) {
        close(fd);
        return fault_set(fault, FAIL_INTERNAL, "data_directory", "%s cannot be written: %s.", path,
                         strerror(errno));
    }
    *ret_lock = fd;
    return FAIL_NONE;
}

enum fail data_directory_open(const struct settings *s, uid_t server_uid, gid_t server_gid,
                              int *ret_lock, struct fault *fault)
{
    static const char *const parts[] = {DATA_BLOBS, DATA_BODIES, DATA_TOKENS, DATA_LOGS, DATA_KEYS};
    enum fail fail = directory_make_above(s->data, fault);
    if (fail == FAIL_NONE)
        fail = enter(s->data, fault);
    if (fail == FAIL_NONE)
        fail = lock_it(s, ret_lock, fault);
    uid_t uid = geteuid() == 0 ? server_uid : geteuid();
    gid_t gid = geteuid() == 0 ? server_gid : getegid();
    for (size_t i = 0; fail == FAIL_NONE && i != sizeof parts / sizeof parts[0]; ++i) {
        AUTOFREE char *path = data_path(s, parts[i]);
        fail = directory_make(path, 0700, uid, gid, fault);
    }
    return fail;
}
