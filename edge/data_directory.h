// The data directory: who may enter it, what lies in it, and that one supervisor alone uses it.
// Single-threaded; blocking.
#ifndef STOA_DATA_DIRECTORY_H
#define STOA_DATA_DIRECTORY_H
#include "edge/settings.h"
#include <sys/types.h>

// What lies in it, besides lock and the clusters (state-pg). Each but
// ready.json, which is the starter's, is the server's user's, 0700.
#define DATA_READY "ready.json"
#define DATA_BLOBS "blobs"
#define DATA_BODIES "bodies" // request bodies while they come in: files without names
#define DATA_TOKENS "tokens"
#define DATA_OWNER_TOKEN "tokens/owner.token" // 0600, made at the first start
#define DATA_LOGS "logs"
#define DATA_KEYS "keys"
#define DATA_MASTER_KEY "keys/master.key" // 0600, made at the first start

// `{data}/{name}`, malloc'ed.
char *data_path(const struct settings *s, const char *name);

// Makes it and its parts when they are absent, and takes the lock, which ends with the process (or
// by closing *ret_lock). FAIL_CONFLICT when another supervisor has it; FAIL_DENIED when it is not
// ours alone to write to. With a sentence.
enum fail data_directory_open(const struct settings *s, uid_t server_uid, gid_t server_gid,
                              int *ret_lock, struct fault *fault) MUST_CHECK;
#endif
