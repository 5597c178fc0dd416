// Room for what strangers sent and handlers have not done with: counted for all apps together and
// for each plugin, so that one whose handlers sleep on large bodies shuts itself out and nobody
// else. Any thread.
#ifndef STOA_ACTIONS_INPUTS_H
#define STOA_ACTIONS_INPUTS_H
#include <stdbool.h>
#include <stddef.h>

enum {
    ACTION_INPUTS_MAX = 256 * 1024 * 1024,
    ACTION_INPUTS_OF_PLUGIN_MAX = ACTION_INPUTS_MAX / 4,
    // The last quarter is for plugins that hold no more than this.
    ACTION_INPUTS_LITTLE = 4 * 1024 * 1024,
    ACTION_INPUTS_OF_ALL_MAX = ACTION_INPUTS_MAX / 4 * 3,
};

// False: there is no room, and nothing is counted. Else the same bytes are given back once, if they
// are not 0.
bool action_inputs_hold(const char *plugin_id, size_t bytes);
void action_inputs_give_back(const char *plugin_id, size_t bytes);
#endif
