#include "public-actions/inputs.h"
#include <pthread.h>
#include "edge/limits/holdings.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct holdings held; // of each plugin; guarded by lock

static bool has_room(size_t own, size_t bytes)
{
    if (bytes > ACTION_INPUTS_OF_PLUGIN_MAX - own)
        return false;
    size_t most =
        own + bytes <= ACTION_INPUTS_LITTLE ? ACTION_INPUTS_MAX : ACTION_INPUTS_OF_ALL_MAX;
    return held.all.bytes <= most && bytes <= most - held.all.bytes;
}

bool action_inputs_hold(const char *plugin_id, size_t bytes)
{
    if (bytes == 0)
        return true;
    pthread_mutex_lock(&lock);
    bool fits = has_room(holdings_of(&held, plugin_id).bytes, bytes);
    if (fits)
        holdings_add(&held, plugin_id, bytes);
    pthread_mutex_unlock(&lock);
    return fits;
}

void action_inputs_give_back(const char *plugin_id, size_t bytes)
{
    if (bytes == 0)
        return;
    pthread_mutex_lock(&lock);
    holdings_remove(&held, plugin_id, bytes);
    pthread_mutex_unlock(&lock);
}
