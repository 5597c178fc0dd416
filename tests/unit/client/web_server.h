// A small web server for tests: a thread a connection, on loopback, plain or with TLS (a certificate
// for "localhost" made at the start). What it answers depends on the path alone:
//   /echo        the request, head and body, as it came
//   /redirect?N URL, percent-free: status N to the URL    /status/N    that status, "status"
//   /bytes/N     N bytes, with Content-Length              /endless     bytes without end
//   /gzip/N      N zero bytes, compressed                  /silent      nothing, until it is closed
//   /twice/HOW   "hello" in gzip, in gzip: "list", "lines", "early" (named in a 103 already),
//                "transfer" (one of them is a transfer coding); "once": in one gzip, and "identity"
//   /headers/N   N headers of a hundred bytes              /cut         half of what was promised
//   /connection  the number of the connection              /close       closes at once
//   /early       a 103 and then the answer, with trailers  /garbage     no HTTP
#ifndef STOA_TESTS_WEB_SERVER_H
#define STOA_TESTS_WEB_SERVER_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct web_server {
    char origin[64]; // "http://127.0.0.1:4711"
    char address[64];
    char ca_file[64]; // with TLS
    uint16_t port;
    int listener;
    void *tls;
    _Atomic unsigned connections, requests;
};
void web_server_start(struct web_server *s, const char *address, bool with_tls);
#endif
