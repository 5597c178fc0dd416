// The console origin's own page, which says what this server is and where its
// operations are listed.
#ifndef STOA_CONSOLE_H
#define STOA_CONSOLE_H
#include "edge/http/service.h"

struct service *console_service(void);
#endif
