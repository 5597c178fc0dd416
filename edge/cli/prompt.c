// However a question ends, the terminal echoes again.
#include "edge/cli/prompt.h"
#include "edge/cli/files.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

static struct termios terminal_before;

static void on_stop(int number)
{
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal_before);
    signal(number, SIG_DFL);
    raise(number);
}

char *prompt_line(const char *question)
{
    char line[4096];
    fputs(question, stderr);
    fflush(stderr);
    if (tcgetattr(STDIN_FILENO, &terminal_before) < 0)
        return NULL;
    struct termios silent = terminal_before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    void (*on_int)(int) = signal(SIGINT, on_stop);
    void (*on_term)(int) = signal(SIGTERM, on_stop);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    char *got = fgets(line, sizeof line, stdin);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal_before);
    signal(SIGINT, on_int);
    signal(SIGTERM, on_term);
    fputc('\n', stderr);
    char *answer = got != NULL ? str_dup(str_of(line, strcspn(line, "\r\n"))) : NULL;
    explicit_bzero(line, sizeof line);
    return answer;
}

static enum fail ask(const char *question, struct buf *to)
{
    char *line = prompt_line(question);
    if (line == NULL)
        return FAIL_NONE; // said by the caller: nothing came
    buf_add(to, str_from(line));
    explicit_bzero(line, strlen(line));
    free(line);
    return FAIL_NONE;
}

static enum fail read_value(const char *question, const char *file, struct buf *to,
                            struct fault *fault)
{
    struct stat st;
    if (file != NULL && strcmp(file, "-") != 0)
        return files_read(file, to, &st, fault);
    if (file == NULL && isatty(STDIN_FILENO))
        return ask(question, to);
    return files_read_fd(STDIN_FILENO, to, fault);
}

enum fail prompt_value(const char *question, const char *file, struct buf *to, struct fault *fault)
{
    enum fail fail = read_value(question, file, to, fault);
    if (fail != FAIL_NONE)
        return fail;
    if (to->n != 0 && to->p[to->n - 1] == '\n')
        --to->n;
    if (to->n != 0 && to->p[to->n - 1] == '\r')
        --to->n;
    return to->n != 0 ? FAIL_NONE
                      : fault_set(fault, FAIL_BAD_INPUT, "no_value", "No value was given.");
}

void prompt_forget(struct buf *value)
{
    if (value->p != NULL)
        explicit_bzero(value->p, value->_room);
    buf_fini(value);
}
