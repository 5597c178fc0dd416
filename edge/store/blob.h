// File contents, kept by their SHA-256 in a directory (`ab/cdef…` below it): written aside, then
// renamed, so that a name has all its bytes. They are written before the row that names them and
// collected only when no row does. A power cut may leave names of what was never synced; such a
// name is found out by blob_get and mended by the next blob_put of the same bytes. One process per
// directory. Blocking.
#ifndef STOA_STORE_BLOB_H
#define STOA_STORE_BLOB_H
#include "edge/base/digest.h"

// `directory` (absolute) is made when absent, with 0700; what a crash left half-written is removed.
// Start-up, before any other call.
enum fail blob_open(const char *directory, struct fault *fault) MUST_CHECK;
// Keeps the bytes; a blob that is there already, whole, is only touched (its age is what collection
// looks at). `ret_digest` may be NULL. Durable once blob_sync has returned. FAIL_QUOTA "disk_full",
// FAIL_BUSY "busy" (no descriptor to be had), FAIL_INTERNAL "storage_failed". Pool threads.
enum fail blob_put(str bytes, struct digest *ret_digest, struct fault *fault) MUST_CHECK;
// As blob_put, but always writes, and replaces what is there: how long it takes does not tell whether
// the bytes were here already, which may be more than whoever sends them has a right to know. For
// strangers' bytes.
enum fail blob_put_blindly(str bytes, struct digest *ret_digest, struct fault *fault) MUST_CHECK;
// Makes all that was put so far on any thread durable, directories too. Once a deploy, before its
// rows. After a failure the blobs newly made are gone, and (but for FAIL_QUOTA) every later call
// fails until the process is started again: what the disk holds is not known any more. Pool
// threads.
enum fail blob_sync(struct fault *fault) MUST_CHECK;
// The whole content, malloc'ed. FAIL_NOT_FOUND "blob_not_found", FAIL_TOO_LARGE (more than `max`
// bytes), FAIL_BUSY "busy", FAIL_INTERNAL "blob_damaged" (the bytes do not match their name: never
// served) or "storage_failed". Pool threads.
enum fail blob_get(const struct digest *d, size_t max, char **ret, size_t *ret_n,
                   struct fault *fault) MUST_CHECK;
bool blob_exists(const struct digest *d);
// Whether blobs can be put now, as far as can be told without writing: the directory is there, its
// file system takes writes and has room, and no sync has failed. Not on a loop.
bool blob_is_writable(void);
// For streams: an open descriptor (caller closes) and the size. The bytes are not checked. Failures
// as blob_get's.
enum fail blob_open_read(const struct digest *d, int *ret_fd, size_t *ret_n,
                         struct fault *fault) MUST_CHECK;
// Removes blobs last touched before `older_than` (real ms) that `is_named` does not know; returns
// how many went. A blob put meanwhile stays. Any one pool thread at a time.
size_t blob_collect(int64_t older_than, bool (*is_named)(void *arg, const struct digest *d),
                    void *arg);
#endif
