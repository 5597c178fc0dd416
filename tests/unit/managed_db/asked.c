// The way to a loop and back.
#include "edge/http/service.h"
#include "tests/unit/managed_db/asked.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void on_done(void *arg, bool is_error, str json)
{
    struct asked *a = arg;
    a->query = NULL;
    a->is_error = is_error;
    a->json = str_dup(json);
    if (a->on_answer != NULL)
        a->on_answer(a);
    else
        a->is_done = true;
}

static void on_ask(struct loop_message *m)
{
    struct asked *a = (struct asked *)m;
    a->query = managed_db_query_start(a->project, a->plugin, "user-1", str_from(a->args),
                                      loop_now(a->loop) + a->within_ms, on_done, a);
}

static void start(struct asked *a, const char *project, const char *plugin, const char *format,
                  va_list ap)
{
    if (a->loop == NULL)
        a->loop = loop_at(0);
    if (a->within_ms == 0)
        a->within_ms = 60000;
    a->project = project;
    a->plugin = plugin;
    a->is_done = false;
    a->json = NULL;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (vasprintf(&a->args, format, ap) < 0)
        abort();
#pragma GCC diagnostic pop
    a->message.run = on_ask;
    loop_post(a->loop, &a->message);
}

void ask_start(struct asked *a, const char *project, const char *plugin, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    start(a, project, plugin, format, ap);
    va_end(ap);
}

void ask_wait(struct asked *a)
{
    for (unsigned i = 0; !a->is_done; ++i) {
        usleep(i < 100 ? 100 : 1000);
        if (i == 60000) {
            fprintf(stderr, "no answer to %s\n", a->args);
            abort();
        }
    }
}

static void on_cancel(struct loop_message *m)
{
    struct asked *a = (struct asked *)((char *)m - offsetof(struct asked, cancel));
    if (a->query != NULL)
        managed_db_query_cancel(a->query);
    a->query = NULL;
    a->is_done = true;
}

void ask_cancel(struct asked *a)
{
    a->cancel.run = on_cancel;
    a->is_done = false;
    loop_post(a->loop, &a->cancel);
    ask_wait(a);
}

void ask_forget(struct asked *a)
{
    free(a->args);
    free(a->json);
    a->args = a->json = NULL;
}

bool ask_is_error;

const char *ask(const char *project, const char *plugin, const char *format, ...)
{
    static struct asked a;
    ask_forget(&a);
    va_list ap;
    va_start(ap, format);
    start(&a, project, plugin, format, ap);
    va_end(ap);
    ask_wait(&a);
    ask_is_error = a.is_error;
    return a.json;
}
