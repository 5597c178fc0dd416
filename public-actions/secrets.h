// A project's runs take turns for their secrets: one is read at a time, so that no project's many or
// large ones fill the lane that others' cold apps wait for, too. Runs of one target that waited
// before a reading began share it. On the project's owner loop.
#ifndef STOA_ACTIONS_SECRETS_H
#define STOA_ACTIONS_SECRETS_H
#include "public-actions/run.h"

// `then` is called once, later, with _.secrets filled in or _.secrets_fail said.
void action_secrets_join(struct action_run *run, void (*then)(struct action_run *run));
#endif
