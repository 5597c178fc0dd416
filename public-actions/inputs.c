// A table of the plugins that hold something now; the others are not in it.
#include "public-actions/inputs.h"
#include <assert.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "edge/catalog/catalog.h"

enum { BUCKETS = 256 };

struct holder {
    struct holder *next;
    char plugin_id[CATALOG_ID_ROOM];
    size_t bytes;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // guards the two below
static struct holder *holders[BUCKETS];
static size_t held;

// Where the plugin's holder is, or would be.
static struct holder **find(const char *plugin_id)
{
    uint32_t hash = 2166136261;
    for (const char *p = plugin_id; *p != '\0'; ++p)
        hash = (hash ^ (uint8_t)*p) * 16777619;
    struct holder **at = &holders[hash % BUCKETS];
    while (*at != NULL && strcmp((*at)->plugin_id, plugin_id) != 0)
        at = &(*at)->next;
    return at;
}

static bool has_room(size_t own, size_t bytes)
{
    if (bytes > ACTION_INPUTS_OF_PLUGIN_MAX - own)
        return false;
    size_t most =
        own + bytes <= ACTION_INPUTS_LITTLE ? ACTION_INPUTS_MAX : ACTION_INPUTS_OF_ALL_MAX;
    return held <= most && bytes <= most - held;
}

static struct holder *holder_create(const char *plugin_id)
{
    struct holder *h = calloc(1, sizeof *h);
    if (h == NULL)
        abort();
    assert(strlen(plugin_id) < sizeof h->plugin_id);
    memcpy(h->plugin_id, plugin_id, strlen(plugin_id));
    return h;
}

bool action_inputs_hold(const char *plugin_id, size_t bytes)
{
    pthread_mutex_lock(&lock);
    struct holder **at = find(plugin_id);
    bool fits = has_room(*at != NULL ? (*at)->bytes : 0, bytes);
    if (fits) {
        if (*at == NULL)
            *at = holder_create(plugin_id);
        (*at)->bytes += bytes;
        held += bytes;
    }
    pthread_mutex_unlock(&lock);
    return fits;
}

void action_inputs_give_back(const char *plugin_id, size_t bytes)
{
    if (bytes == 0)
        return;
    pthread_mutex_lock(&lock);
    struct holder **at = find(plugin_id), *h = *at;
    assert(h != NULL && h->bytes >= bytes);
    h->bytes -= bytes;
    held -= bytes;
    if (h->bytes == 0) {
        *at = h->next;
        free(h);
    }
    pthread_mutex_unlock(&lock);
}
