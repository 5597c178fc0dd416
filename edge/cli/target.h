// Where the server is, and with which token: decided once per command, from the command line, the
// environment, what `stoa login` saved, and the ready file of a server on this machine.
//
// The server: --url, else --data, else STOA_URL, else STOA_DATA, else the saved login, else the default data
// directory's ready file. The token: --token or --token-file; else STOA_TOKEN, unless it is
// STOA_URL's and another server was named; else the one saved for that very origin; else the ready
// file's, when its console is that very origin.
#ifndef STOA_CLI_TARGET_H
#define STOA_CLI_TARGET_H
#include "edge/cli/options.h"
#include "edge/client/origin.h"

// What the environment says; paths are absolute. Owned strings, NULL = not set.
struct target_env {
    char *url, *token;
    char *credentials;  // the path of the file that `stoa login` keeps
    char *data_dir;     // STOA_DATA, or the default data directory
    bool data_is_named; // by STOA_DATA
};

// Reads STOA_URL, STOA_TOKEN, STOA_DATA, XDG_CONFIG_HOME, XDG_STATE_HOME, HOME, and removes STOA_TOKEN from
// the environment, so that no program started from here inherits it.
void target_env_read(struct target_env *ret);
void target_env_fini(struct target_env *env);

// STOA_TOKEN, when it may go to `origin`: it is STOA_URL's, or without one, anybody's who is named;
// else NULL. Borrowed.
const char *target_env_token(const struct target_env *env, const struct origin *origin);

struct target {
    struct origin origin;
    char host[ORIGIN_ROOM]; // what the server at `origin` goes by, of its ready file; "" = origin
    char *token;            // NULL = none is known
    const char *source;     // what named the server, for sentences: "--url", "STOA_URL", …
};

// Finds both. FAIL_BUSY (`no_server`) when nothing names a server, FAIL_UNAUTHORISED (`no_token`)
// when none has a token for it and `needs_token`, FAIL_DENIED (`insecure_url`) when the token would
// travel in the clear to another machine; else the codes of origin.h, ready.h and credentials.h.
// `ret` is to be finished in every case.
MUST_CHECK enum fail target_find(const struct options *o, const struct target_env *env,
                                 bool needs_token, struct target *ret, struct fault *fault);
void target_fini(struct target *t);
// The token in a file, or in stdin for "-": one line of visible ASCII.
MUST_CHECK enum fail target_read_token(const char *path, char **ret, struct fault *fault);
// Refuses http:// to another machine unless `insecure`.
MUST_CHECK enum fail target_check_origin(const struct origin *origin, bool insecure,
                                         struct fault *fault);
#endif
