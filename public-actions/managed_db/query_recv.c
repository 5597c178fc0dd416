// How much libpq reads at once. PQconsumeInput goes on as long as a long message keeps coming: a
// row of a gigabyte would be in memory, and the loop away, before anybody could look at its size.
// There is no setting for that; but libpq reads with recv, and the program's own recv comes before
// the C library's. For other callers this one does what theirs did.
#include "public-actions/managed_db/connections.h"
#include <dlfcn.h>
#include <errno.h>
#include <sys/socket.h>

enum { PIECE = 256 * 1024 };

static __thread struct {
    bool is_counted;
    size_t left, taken;
} piece;

ssize_t recv(int fd, void *to, size_t n, int flags)
{
    if (!piece.is_counted)
        return recvfrom(fd, to, n, flags, NULL, NULL);
    if (piece.left == 0) {
        errno = EAGAIN;
        return -1;
    }
    ssize_t got = recvfrom(fd, to, n < piece.left ? n : piece.left, flags, NULL, NULL);
    if (got > 0) {
        piece.left -= (size_t)got;
        piece.taken += (size_t)got;
    }
    return got;
}

bool managed_db_consume(PGconn *pg, size_t *ret_taken)
{
    piece.is_counted = true;
    piece.left = PIECE;
    piece.taken = 0;
    bool is_alive = PQconsumeInput(pg) == 1;
    piece.is_counted = false;
    *ret_taken = piece.taken;
    return is_alive;
}

bool managed_db_consume_is_bounded(void)
{
    return dlsym(RTLD_DEFAULT, "recv") == (void *)recv;
}
