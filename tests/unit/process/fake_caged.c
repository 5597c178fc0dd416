// Stands in for the caged programs: says on its socket what it was born with, then waits for its end.
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

extern char **environ;

int main(void)
{
    char line[512], byte;
    int open_fds = 0, variables = 0;
    for (int fd = 0; fd != 256; ++fd) {
        char path[64], to[256];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        open_fds += readlink(path, to, sizeof to) > 0;
    }
    while (environ[variables] != NULL)
        ++variables;
    int n = snprintf(line, sizeof line, "uid=%u fds=%d nnp=%d variables=%d\n", (unsigned)getuid(),
                     open_fds, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), variables);
    if (write(3, line, (size_t)n) != n)
        return 1;
    return read(3, &byte, 1) == 0 ? 0 : 7;
}
