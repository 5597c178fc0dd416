#include "edge/auth/roles.h"

static const char *const names[] = {"none", "Viewer", "Operator", "Editor", "Admin"};

// The lowest role that has it.
static const enum role lowest[PERMISSION_COUNT] = {
    [PERMISSION_VIEW] = ROLE_VIEWER,  [PERMISSION_READ_DATA] = ROLE_VIEWER,
    [PERMISSION_RUN] = ROLE_OPERATOR, [PERMISSION_CONNECT] = ROLE_OPERATOR,
    [PERMISSION_BUILD] = ROLE_EDITOR, [PERMISSION_CONFIGURE] = ROLE_EDITOR,
    [PERMISSION_MANAGE] = ROLE_ADMIN,
};

enum role role_of(str name)
{
    for (int r = ROLE_VIEWER; r <= ROLE_ADMIN; ++r)
        if (str_caseeq(name, str_from(names[r])))
            return (enum role)r;
    return ROLE_NONE;
}

const char *role_name(enum role role)
{
    return names[role];
}

bool role_may(enum role role, enum permission permission)
{
    return role != ROLE_NONE && permission != PERMISSION_NONE && role >= lowest[permission];
}
