// A pipe to `node tests/harness/dns.mjs` and one back; Node ends when the first closes.
#include "tests/harness/dns.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct dns_servers servers;
static pid_t node;
static FILE *to_node, *from_node;

static void give_up(const char *what, const char *why)
{
    fprintf(stderr, "dns for tests: %s: %s\n", what, why);
    exit(1);
}

static void read_line(char *to, int room)
{
    if (fgets(to, room, from_node) == NULL)
        give_up("node tests/harness/dns.mjs", "ended");
    to[strcspn(to, "\n")] = '\0';
}

const struct dns_servers *dns_servers_start(void)
{
    int down[2], up[2];
    if (pipe(down) != 0 || pipe(up) != 0)
        give_up("pipe", "failed");
    if ((node = fork()) == 0) {
        if (dup2(down[0], 0) < 0 || dup2(up[1], 1) < 0)
            _exit(126);
        for (int fd = 3; fd != 64; ++fd)
            close(fd);
        execlp("node", "node", "tests/harness/dns.mjs", (char *)NULL);
        _exit(127);
    }
    close(down[0]);
    close(up[1]);
    to_node = fdopen(down[1], "w");
    from_node = fdopen(up[0], "r");
    read_line(servers.root_hints, sizeof servers.root_hints);
    read_line(servers.trust_anchor, sizeof servers.trust_anchor);
    return &servers;
}

void dns_servers_set(const char *zone, const char *records)
{
    char said[512];
    fprintf(to_node, "%s\t%s\n", zone, records);
    fflush(to_node);
    read_line(said, sizeof said);
    if (strcmp(said, "ok") != 0)
        give_up(zone, said);
}

const char *dns_servers_start_forwarder(void)
{
    static char address[64];
    fprintf(to_node, "forwarder\n");
    fflush(to_node);
    read_line(address, sizeof address);
    if (strchr(address, '@') == NULL)
        give_up("unbound", address);
    return address;
}

void dns_servers_stop(void)
{
    fclose(to_node);
    fclose(from_node);
    waitpid(node, NULL, 0);
}
