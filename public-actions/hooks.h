// What this folder's files share beside the run: its answers to edge/catalog/hooks.h, and what an
// action may be called.
#ifndef STOA_ACTIONS_HOOKS_H
#define STOA_ACTIONS_HOOKS_H
#include "edge/base/str.h"

void actions_hooks_init(void); // process start
// 1 to 64 of [A-Za-z0-9_.-].
bool action_is_name(str s);
#endif
