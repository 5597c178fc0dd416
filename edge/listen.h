// Addresses to listen on: their text form, and the sockets. The supervisor opens them once; they
// outlive every server it starts.
#ifndef STOA_LISTEN_H
#define STOA_LISTEN_H
#include <sys/socket.h>
#include "edge/supervisor.h"

struct listen_address {
    struct sockaddr_storage sa;
    socklen_t size;
};

// "127.0.0.1:8080" or "[::1]:8080": a literal address and a port. FAIL_BAD_INPUT with a sentence.
enum fail listen_parse(str text, struct listen_address *ret, struct fault *fault) MUST_CHECK;
void listen_text(const struct listen_address *a, char *to, size_t room);
unsigned listen_port(const struct listen_address *a);
bool listen_is_loopback(const struct listen_address *a);
bool listen_is_wildcard(const struct listen_address *a); // every address of this machine
// The next address of a comma-separated list, or an empty view at its end.
str listen_next(str *list);

// Opens every address of `list`, adding to `to` (which has room for `room`). Addresses of one list
// that all ask for port 0 get the same port where that can be had. With `is_standard`, an address
// family that the machine lacks is left out, and logged. A port that is taken is waited for a
// second: a server killed a moment ago may still hold it. FAIL_CONFLICT with a sentence that says
// what to do.
enum fail listen_open(enum listener_kind kind, const char *list, bool is_standard,
                      struct listener_fd *to, size_t room, size_t *count,
                      struct fault *fault) MUST_CHECK;

// The text that stands in the settings for what was opened, one line each, and back: descriptors
// count from LISTEN_FD_FIRST. listen_unpack returns how many; at most `room`.
char *listen_pack(const struct listener_fd *list, size_t count);
size_t listen_unpack(const char *text, struct listener_fd *to, size_t room);
const char *listen_kind_name(enum listener_kind kind);
#endif
