// Which credentials have been good lately, for who must decide before there is time to ask: whose a
// body is that still comes in. A hint, never a right: it may have been revoked meanwhile. Only what
// was good enters, so no stranger can push anybody out. In memory, of this process. Any thread.
#ifndef STOA_AUTH_KNOWN_H
#define STOA_AUTH_KNOWN_H
#include "edge/base/str.h"

// What an Authorization was found to be: a project's, or NULL, no good one.
void auth_known_note(str authorization, const char *project_id);
// A number of the project's, the same for all its credentials; 0: not known. An hour after its last
// use it is forgotten.
uint64_t auth_known_project(str authorization);
#endif
