// Directories with a known owner and mode. Blocking; any thread.
#ifndef STOA_BASE_DIRECTORY_H
#define STOA_BASE_DIRECTORY_H
#include <sys/types.h>
#include "edge/base/fail.h"

// Makes `path` (its parent exists), or takes the one that is there, and gives it exactly this owner
// and mode. Never one that belongs to anybody else than `uid` or ourselves, never through a
// symbolic link: FAIL_DENIED; FAIL_INTERNAL for what else may go wrong. Each with a sentence.
enum fail directory_make(const char *path, mode_t mode, uid_t uid, gid_t gid,
                         struct fault *fault) MUST_CHECK;
// Makes every missing directory above `path`, with mode 0755 less the umask.
enum fail directory_make_above(const char *path, struct fault *fault) MUST_CHECK;
#endif
