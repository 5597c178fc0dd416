// What a user of an embedding platform may do in a project: the one table of roles and permissions
// (docs/embedding.md shows it). Pure; any thread.
#ifndef STOA_AUTH_ROLES_H
#define STOA_AUTH_ROLES_H
#include "edge/http/endpoint.h"

// Ordered by what they may: each has what the ones before it have.
enum role { ROLE_NONE, ROLE_VIEWER, ROLE_OPERATOR, ROLE_EDITOR, ROLE_ADMIN };

// "Viewer", "Operator", "Editor", "Admin" in any case; ROLE_NONE for anything else.
enum role role_of(str name);
const char *role_name(enum role role); // "Viewer"; "none" for ROLE_NONE
// Nobody has PERMISSION_NONE, and ROLE_NONE has nothing.
bool role_may(enum role role, enum permission permission);
#endif
