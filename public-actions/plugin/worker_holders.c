// How much of workers_memory each project's workers hold. Each loop counts its own workers here, and
// may ask about anybody's: the one table is of the process, and locked.
//
// With no more than a quarter of it a project has little. By default that is more than one worker can
// take, so a project with a single one never loses it while a run is in it; four projects would have
// to share the whole to keep a fifth one out.
#include <pthread.h>
#include "edge/base/clock.h"
#include "edge/limits/holdings.h"
#include "public-actions/plugin/internal.h"

enum { PARTS = 4, KEPT_MS = 3 * RETRY_MS };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct holdings held;        // of each project; guarded by lock
static _Atomic uint64_t kept_until; // ms of the monotonic clock

void worker_holders_count(const char *project_id, uint64_t before, uint64_t now)
{
    if (before == now)
        return;
    pthread_mutex_lock(&lock);
    if (now != 0)
        holdings_add(&held, project_id, now);
    if (before != 0)
        holdings_remove(&held, project_id, before);
    pthread_mutex_unlock(&lock);
}

uint64_t worker_holders_of(const char *project_id)
{
    pthread_mutex_lock(&lock);
    uint64_t bytes = holdings_of(&held, project_id).bytes;
    pthread_mutex_unlock(&lock);
    return bytes;
}

struct worker_holder worker_holders_most(void)
{
    char id[HOLDER_ROOM];
    pthread_mutex_lock(&lock);
    struct worker_holder most = {.bytes = holdings_most(&held, id).bytes};
    pthread_mutex_unlock(&lock);
    memcpy(most.project_id, id, strlen(id) + 1); // only ids of projects are in it
    return most;
}

uint64_t worker_holders_part(void)
{
    return plugin_options.workers_memory / PARTS;
}

bool worker_holders_has_little(const char *project_id)
{
    return worker_holders_of(project_id) + MEMORY_GUESS <= worker_holders_part();
}

void worker_holders_keep(void)
{
    atomic_store_explicit(&kept_until, clock_monotonic_ms() + KEPT_MS, memory_order_relaxed);
}

bool worker_holders_is_kept(void)
{
    return clock_monotonic_ms() < atomic_load_explicit(&kept_until, memory_order_relaxed);
}
