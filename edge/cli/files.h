// Small files of this machine, read whole and written whole. One thread; blocking.
#ifndef STOA_CLI_FILES_H
#define STOA_CLI_FILES_H
#include <sys/stat.h>
#include "edge/base/fail.h"

// Adds the content of a regular file to `to`, which sets the limit; `*ret_stat` is of what was
// read. A symbolic link as the last part of the path is refused. FAIL_NOT_FOUND (`no_such_file`),
// FAIL_TOO_LARGE (`file_too_large`), FAIL_INTERNAL (`local_io`).
MUST_CHECK enum fail files_read(const char *path, struct buf *to, struct stat *ret_stat,
                                struct fault *fault);
// Adds what a descriptor holds up to its end: stdin, a pipe.
MUST_CHECK enum fail files_read_fd(int fd, struct buf *to, struct fault *fault);
// Puts a new file of mode 0600 in the place of `path`, whole or not at all; makes the directories
// above it (0700). FAIL_INTERNAL (`local_io`).
MUST_CHECK enum fail files_write_private(const char *path, str content, struct fault *fault);
// True when all bytes were written.
bool files_write_all(int fd, str bytes);
// Closes *fd unless it is negative: a cleanup attribute.
void files_close(int *fd);
#define FD_AUTO __attribute__((cleanup(files_close)))
// The last part of a path; "." and "/" as they are.
const char *files_basename(const char *path);
#endif
