// File contents, kept by their SHA-256 in a directory: written aside, synced, renamed, so that a name either is absent or has all its bytes.
// Written before the row that names it, collected only when no row does. Pool threads (blocking).
#ifndef STOA_STORE_BLOB_H
#define STOA_STORE_BLOB_H
#include "edge/base/digest.h"

// `directory` (absolute) is made when absent; what a crash left half-written is removed. Start-up.
enum fail blob_open(const char *directory, struct fault *fault) MUST_CHECK;
// Keeps the bytes; a blob that is there already is only touched (its age is what collection looks at). FAIL_QUOTA when the disk is full.
// `ret_digest` may be NULL. Durable once blob_sync has returned.
enum fail blob_put(str bytes, struct digest *ret_digest, struct fault *fault) MUST_CHECK;
// Makes all that was put so far on any thread durable (directories too). Once a deploy, before its rows.
enum fail blob_sync(struct fault *fault) MUST_CHECK;
// The whole content, malloc'ed (`max` bytes at most). FAIL_NOT_FOUND, FAIL_INTERNAL (also when the bytes do not match their name: never served).
enum fail blob_get(const struct digest *d, size_t max, char **ret, size_t *ret_n, struct fault *fault) MUST_CHECK;
bool blob_exists(const struct digest *d);
// For streams: an open descriptor (caller closes) and the size.
enum fail blob_open_read(const struct digest *d, int *ret_fd, size_t *ret_n, struct fault *fault) MUST_CHECK;
// Removes blobs last touched before `older_than` (real ms) that `is_named` does not know; returns how many went.
size_t blob_collect(int64_t older_than, bool (*is_named)(void *arg, const struct digest *d), void *arg);
#endif
