// Directories.
#include "edge/base/directory.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static enum fail cannot(struct fault *fault, const char *path)
{
    return fault_set(fault, FAIL_INTERNAL, "directory", "The directory %s cannot be made: %s.",
                     path, strerror(errno));
}

static enum fail own(int fd, const char *path, mode_t mode, uid_t uid, gid_t gid,
                     struct fault *fault)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return cannot(fault, path);
    if (st.st_uid != uid && st.st_uid != geteuid())
        return fault_set(fault, FAIL_DENIED, "directory",
                         "The directory %s belongs to the user with the number %u, not to the one "
                         "who would use it (%u).",
                         path, (unsigned)st.st_uid, (unsigned)uid);
    // the mode first: afterwards it is another's, and changing it would need one capability more
    if ((st.st_mode & 07777) != mode && fchmod(fd, mode) != 0)
        return cannot(fault, path);
    if ((st.st_uid != uid || st.st_gid != gid) && fchown(fd, uid, gid) != 0)
        return cannot(fault, path);
    return FAIL_NONE;
}

enum fail directory_make(const char *path, mode_t mode, uid_t uid, gid_t gid, struct fault *fault)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return cannot(fault, path);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return cannot(fault, path);
    enum fail fail = own(fd, path, mode, uid, gid, fault);
    close(fd);
    return fail;
}

enum fail directory_make_above(const char *path, struct fault *fault)
{
    AUTOFREE char *above = str_dup(str_from(path));
    for (char *slash = strchr(above + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(above, 0755) != 0 && errno != EEXIST)
            return cannot(fault, above);
        *slash = '/';
    }
    return FAIL_NONE;
}
