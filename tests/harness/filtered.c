// filtered FILE PROGRAM [ARGUMENT…]: runs a program under a system call filter as a service manager or a container sets one: the calls
// that FILE names, one a line, are allowed, all others fail with EPERM. Names that this machine's library does not know are passed over.
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char name[128];
    FILE *list = argc > 2 ? fopen(argv[1], "r") : NULL;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (list == NULL || filter == NULL)
        return 2;
    while (fgets(name, sizeof name, list) != NULL) {
        name[strcspn(name, "\n")] = '\0';
        int call = seccomp_syscall_resolve_name(name);
        if (call != __NR_SCMP_ERROR && seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0) != 0)
            return 3;
    }
    fclose(list);
    if (seccomp_load(filter) != 0)
        return 4;
    execvp(argv[2], argv + 2);
    return 5;
}
