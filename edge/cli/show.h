// The API's resources on a terminal: what an app, a deployment and a deploy's answer look like.
#ifndef STOA_CLI_SHOW_H
#define STOA_CLI_SHOW_H
#include "edge/cli/internal.h"

// A string member, or an absent view.
str show_member(const json_t *object, const char *key);
// "2 min ago" of a time member, "" when it is absent or no time.
void show_add_time(struct listing *t, const json_t *object, const char *key);
// With --quiet: the ids of a list, a line each; of one.
void show_ids(const json_t *list);
void show_members(const json_t *list, const char *key); // each object's text of that name, a line
void show_id(const json_t *object);
void show_add_bytes(struct listing *t, const json_t *object, const char *key);
// The answer of a deploy, a dry run or an activation: what changed, warnings, the link last.
void show_deployed(struct cli *cli, const json_t *answer, bool is_dry_run);
void show_warnings(struct cli *cli, const json_t *answer);
// The token of an answer alone on its line of stdout; what is said about it goes to stderr.
void show_secret(const struct cli *cli, const json_t *answer);
// A link on a line of its own on stdout.
void show_link(const struct cli *cli, str link);
#endif
