// The ready file of a server on this machine (contract §8): found in its data directory, believed
// only under the rules of security-rules.md 22.
#ifndef STOA_CLI_READY_H
#define STOA_CLI_READY_H
#include <sys/types.h>
#include "edge/client/origin.h"

enum { READY_TOKEN_ROOM = 128 };

struct ready {
    struct origin console;
    char host[ORIGIN_ROOM];       // the authority of console_origin, which the server goes by
    char token[READY_TOKEN_ROOM]; // of the token file that it names
};

// Reads `data_dir`/ready.json for a person with the user id `uid`. FAIL_NOT_FOUND (`no_ready_file`)
// when there is none, so no server runs there. FAIL_DENIED (`untrusted_ready_file`) when it, or the
// token file it names, does not count: the file belongs to `uid` or root and nobody else may write
// to it, `console` is on loopback, `tokenFile` lies inside the directory (links followed) and holds
// a token and nothing else.
MUST_CHECK enum fail ready_read(const char *data_dir, uid_t uid, struct ready *ret,
                                struct fault *fault);
#endif
