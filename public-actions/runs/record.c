// A run's record, from its making to the shape PostgreSQL takes.
#include "public-actions/runs/internal.h"
#include <stdlib.h>
#include "edge/limits/limits.h"

enum { TEXT_FREE = 4 * 1024, UNIT = 1024, DAY_S = 24 * 3600 };

struct run_record *run_record_create(void)
{
    struct run_record *r = calloc(1, sizeof *r);
    if (r == NULL)
        abort();
    token_ordered_id("run_", r->id);
    r->outcome = "";
    buf_init(&r->log, RUN_LOG_MAX);
    buf_init(&r->error, RUN_ERROR_MAX);
    buf_init(&r->facts, RUN_FACTS_MAX);
    buf_init(&r->payload, RUN_PAYLOAD_MAX);
    return r;
}

void run_record_destroy(struct run_record *r)
{
    if (r == NULL)
        return;
    buf_fini(&r->log);
    buf_fini(&r->error);
    buf_fini(&r->facts);
    buf_fini(&r->payload);
    json_decref(r->events);
    free(r);
}

void run_record_bound(struct run_record *r, uint64_t bytes_per_day)
{
    size_t bytes = r->log.n + r->facts.n;
    if (bytes <= TEXT_FREE || bytes_per_day == 0)
        return;
    struct limit_check check = {.key = limits_key(LIMIT_RUN_TEXT, str_from(r->project_id)),
                                .policy = {.name = "run-text",
                                           .quota = bytes_per_day / UNIT,
                                           .burst = bytes_per_day / UNIT,
                                           .window_s = DAY_S},
                                .cost = bytes / UNIT};
    if (limits_charge(&check, 1))
        return;
    buf_clear(&r->log);
    buf_add(&r->log, STR("[\"warn\",\"The log of this run is not kept: the project's runs have "
                         "logged what they may in a day (run_log_bytes_per_day).\"]\n"));
}

const char *run_source_name(enum run_source source)
{
    static const char *const names[RUN_SOURCES] = {
        [RUN_PUBLIC] = "public", [RUN_WIDGET] = "widget", [RUN_TOOL] = "tool"};
    return names[source];
}

const char *const run_outcomes[] = {"ok",
                                    "reported_error",
                                    "handler_error",
                                    "handler_timeout",
                                    "handler_crashed",
                                    "handler_out_of_memory",
                                    "busy",
                                    "refused",
                                    NULL};

bool run_outcome_is_known(str outcome)
{
    for (size_t i = 0; run_outcomes[i] != NULL; ++i)
        if (str_eq(outcome, str_from(run_outcomes[i])))
            return true;
    return false;
}

void run_event_id(const char *run_id, str type, char to[static CATALOG_ID_ROOM])
{
    char hex[DIGEST_HEX_ROOM];
    struct digest_stream *s = digest_begin();
    digest_update(s, str_from(run_id));
    digest_update(s, STR(":"));
    digest_update(s, type);
    struct digest d = digest_end(s);
    digest_hex(&d, hex);
    memcpy(to, "evt_", 4);
    memcpy(to + 4, hex, 28);
    to[CATALOG_ID_ROOM - 1] = '\0';
}

void run_text_clean(char *p, size_t n)
{
    for (char *nul = p; n != 0 && (nul = memchr(nul, '\0', n - (size_t)(nul - p))) != NULL;)
        *nul = '?';
    for (size_t at = 0; at != n;) {
        at += str_utf8_prefix(str_of(p + at, n - at));
        if (at != n)
            p[at] = '?';
    }
}
