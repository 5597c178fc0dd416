// `stoa serve`: what its flags ask for; and the other end's view of the listeners.
#include "edge/supervisor.h"
#include <stdlib.h>
#include "edge/base/process.h"
#include "edge/cage/control.h"
#include "edge/listen.h"

// The flags again, for reloads: those of the command line are about to lose their secrets.
static char **copy_flags(int argc, char **argv)
{
    char **copy = calloc((size_t)argc + 1, sizeof *copy);
    if (copy == NULL)
        abort();
    for (int i = 0; i != argc; ++i)
        copy[i] = str_dup(str_from(argv[i]));
    return copy;
}

static void free_flags(int argc, char **flags)
{
    for (int i = 0; i != argc; ++i)
        free(flags[i]);
    free(flags);
}

static int report(bool is_check, struct problems *problems)
{
    bool is_fine = problems->count == 0;
    settings_print_problems(problems, is_check ? stdout : stderr);
    if (is_fine && is_check)
        puts("settings are fine");
    problems_fini(problems);
    return is_fine ? EXIT_SUCCESS : EXIT_FAILURE;
}

int supervisor_main(int argc, char **argv)
{
    struct settings settings;
    struct problems problems;
    bool is_check, is_help;
    problems_init(&problems);
    bool is_fine = settings_load(&settings, argc, argv, &problems, &is_check, &is_help);
    if (is_help || is_check || !is_fine) {
        settings_fini(&settings);
        if (!is_help)
            return report(is_check, &problems);
        settings_print_help(stdout);
        problems_fini(&problems);
        return EXIT_SUCCESS;
    }
    char **flags = copy_flags(argc, argv);
    settings_hide_flags(argc, argv);
    settings_clean_environment();
    process_forbid_inspection();
    int status = supervisor_run(&settings, argc, flags);
    free_flags(argc, flags);
    settings_fini(&settings);
    problems_fini(&problems);
    return status;
}

size_t supervisor_listeners(const struct listener_fd **ret)
{
    static struct listener_fd list[PROCESS_FDS_MAX];
    static size_t count;
    struct settings s;
    if (count == 0 && settings_from_fd(&s, SETTINGS_FD, NULL) == FAIL_NONE) {
        count = listen_unpack(s.listeners, list, PROCESS_FDS_MAX - LISTEN_FD_FIRST);
        settings_fini(&s);
    }
    *ret = list;
    return count;
}
