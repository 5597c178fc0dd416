// What targets are alive, held by the table or by runs: a handler of one deployment is there once,
// however many targets have it, and a project's have a bound. Any thread.
#ifndef STOA_ACTIONS_TARGET_LIVING_H
#define STOA_ACTIONS_TARGET_LIVING_H
#include "edge/catalog/hooks.h"
#include "public-actions/plugin/plugin.h"

// Of one project: twice what the table may hold of everybody's, so that what it holds never keeps a
// project's own runs out.
enum { TARGET_PROJECT_BYTES_MAX = 256 << 20 };

// A reference. The one that is alive, or another, which takes the code.
struct handler *target_handler(const struct instance *i, struct deployed *d, bool is_fresh);
// False, and nothing taken, when the project has no room. Else target_vacate once, with the same.
bool target_occupy(const char *project_id, size_t bytes) MUST_CHECK;
void target_vacate(const char *project_id, size_t bytes);

// What runs need of a front matter, in memory of its own, and how much that is: a few bytes of YAML
// can be many hundred of a tree.
json_t *target_front(const json_t *front, size_t *ret_bytes);
#endif
