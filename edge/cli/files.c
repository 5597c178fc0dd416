// Open first, judge what was opened, then read.
#include "edge/cli/files.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

static enum fail local_io(struct fault *fault, const char *path)
{
    return fault_set(fault, FAIL_INTERNAL, "local_io", "%.200s: %s.", path, strerror(errno));
}

void files_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

bool files_write_all(int fd, str bytes)
{
    while (bytes.n != 0) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        bytes = str_skip(bytes, (size_t)n);
    }
    return true;
}

enum fail files_read_fd(int fd, struct buf *to, struct fault *fault)
{
    char chunk[16384];
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return local_io(fault, "reading");
        if (n == 0)
            return FAIL_NONE;
        buf_add(to, str_of(chunk, (size_t)n));
        if (to->full)
            return fault_set(fault, FAIL_TOO_LARGE, "file_too_large",
                             "This is longer than it may be.");
    }
}

enum fail files_read(const char *path, struct buf *to, struct stat *ret_stat, struct fault *fault)
{
    // Not blocking, so that a FIFO in the file's place hangs nobody.
    FD_AUTO int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return fault_set(fault, FAIL_NOT_FOUND, "no_such_file", "%.200s: there is no such file.",
                         path);
    if (fd < 0 || fstat(fd, ret_stat) < 0)
        return local_io(fault, path);
    if (!S_ISREG(ret_stat->st_mode))
        return fault_set(fault, FAIL_INTERNAL, "local_io", "%.200s: not a regular file.", path);
    enum fail fail = files_read_fd(fd, to, fault);
    if (fail == FAIL_TOO_LARGE)
        return fault_set(fault, fail, "file_too_large", "%.200s: longer than it may be.", path);
    return fail;
}

static void make_parents(const char *path)
{
    char dir[PATH_MAX];
    if ((size_t)snprintf(dir, sizeof dir, "%s", path) >= sizeof dir)
        return;
    for (char *p = dir + 1; (p = strchr(p, '/')) != NULL; ++p) {
        *p = '\0';
        mkdir(dir, 0700); // what is wrong shows when the file itself is opened
        *p = '/';
    }
}

enum fail files_write_private(const char *path, str content, struct fault *fault)
{
    char aside[PATH_MAX];
    if ((size_t)snprintf(aside, sizeof aside, "%s.%ld~", path, (long)getpid()) >= sizeof aside)
        return fault_set(fault, FAIL_INTERNAL, "local_io", "The path is too long.");
    make_parents(path);
    unlink(aside); // of a process that had our number and was killed
    FD_AUTO int fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return local_io(fault, aside);
    if (files_write_all(fd, content) && fsync(fd) == 0 && rename(aside, path) == 0)
        return FAIL_NONE;
    local_io(fault, path);
    unlink(aside);
    return FAIL_INTERNAL;
}

const char *files_basename(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}
