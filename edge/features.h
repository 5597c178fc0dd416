// The features, put together: their options from the settings, their tables, services, notices and
// tasks. The one file beside the command line that knows them by name. Process start, in order.
#ifndef STOA_FEATURES_H
#define STOA_FEATURES_H
#include "edge/notices.h"
#include "edge/settings.h"
#include "edge/store/migrate.h"

// Every feature's migrations, in the order they are applied; static.
const struct migration *features_migrations(size_t *ret_count);
// Before loops and pool; the settings are kept.
void features_init(const struct settings *s);
// Behind features_init: FAIL_REFUSED with a sentence when they cannot work with what they were given;
// what cannot be judged now is let through.
enum fail features_check(const struct settings *s, struct fault *fault) MUST_CHECK;
// After the pool has started: their own threads, their scheduled tasks.
void features_start(void);
// What goes on though nobody may wait for it any more; any thread.
size_t features_running(void);
// When the last request is answered: what they still hold is written.
void features_stop(void);
extern const struct notice_channel features_channels[];
// A caged process ended; any thread.
void features_worker_ended(uint32_t number, int status);
#endif
