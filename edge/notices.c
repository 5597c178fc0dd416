// Listening: connect, LISTEN, wait for readability; a lost connection is tried again every half
// second.
#include "edge/notices.h"
#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "edge/base/log.h"

enum { RETRY_MS = 500, PROBE_MS = 5000 };

static const char *database_url;
static enum fail (*prepare_hook)(struct db *db, struct fault *fault);
static const struct notice_channel *channels;

static enum fail start_listening(struct db *db, struct fault *fault)
{
    enum fail fail = prepare_hook(db, fault);
    for (const struct notice_channel *c = channels; fail == FAIL_NONE && c->name != NULL; ++c) {
        char sql[96];
        snprintf(sql, sizeof sql, "listen %s", c->name);
        fail = db_script(db, fault, sql);
    }
    return fail;
}

static void deliver(const struct db_notice *n)
{
    for (const struct notice_channel *c = channels; c->name != NULL; ++c)
        if (str_eq(str_from(c->name), str_from(n->channel)))
            c->on_notice(str_from(n->payload));
}

// Returns when the connection is lost. Every few silent seconds a statement asks whether the other
// end is still there.
static void listen_until_lost(struct db *db)
{
    for (;;) {
        struct pollfd p = {.fd = db_socket(db), .events = POLLIN};
        int ready = poll(&p, 1, PROBE_MS);
        struct fault fault = {0};
        if (ready == 0 && db_script(db, &fault, "select 1") != FAIL_NONE)
            return;
        struct db_notice n;
        while (db_next_notice(db, &n))
            deliver(&n);
        if (!db_is_connected(db))
            return;
    }
}

static void *notices_main(void *arg)
{
    pthread_setname_np(pthread_self(), "notices");
    bool was_lost = false, was_told = false;
    for (;;) {
        struct db *db = NULL;
        struct fault fault = {0};
        enum fail fail = db_open(database_url, &db, &fault);
        if (fail == FAIL_NONE)
            fail = start_listening(db, &fault);
        if (fail == FAIL_NONE) {
            if (was_lost)
                log_info("the database is back", "channels=listening");
            // the first time, too: requests may have filled caches before anyone listened
            for (const struct notice_channel *c = channels; c->name != NULL; ++c)
                c->on_back();
            was_told = false;
            listen_until_lost(db);
        }
        db_close(db);
        if (!was_told)
            log_warn(
                "the database cannot be reached; cached apps are served meanwhile", "reason=%s",
                LOG_STR(str_from(fault.log_text[0] != '\0' ? fault.log_text : fault.public_text)));
        was_lost = was_told = true;
        nanosleep(&(struct timespec){.tv_nsec = RETRY_MS * 1000000L}, NULL);
    }
    return NULL;
}

void notices_start(const char *url, enum fail (*prepare)(struct db *db, struct fault *fault),
                   const struct notice_channel *list)
{
    database_url = url;
    prepare_hook = prepare;
    channels = list;
    pthread_t t;
    if (pthread_create(&t, NULL, notices_main, NULL) != 0)
        abort();
    pthread_detach(t);
}
