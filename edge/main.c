// `stoa serve` is the supervisor, `stoa serve-process` the server it starts, everything else the
// command line.
#include <stdio.h>
#include <string.h>
#include "edge/cli/cli.h"
#include "edge/server.h"
#include "edge/settings.h"
#include "edge/supervisor.h"

int main(int argc, char **argv)
{
    if (argc >= 2 && strcmp(argv[1], "serve") == 0)
        return supervisor_main(argc - 2, argv + 2);
    if (argc == 2 && strcmp(argv[1], "serve-process") == 0)
        return server_main();
    if (argc == 3 && strcmp(argv[1], "settings") == 0 && strcmp(argv[2], "--markdown") == 0) {
        settings_print_markdown(stdout);
        return 0;
    }
    return cli_main(argc, argv);
}
