// What embedding adds before the services of the console origin (contract §7, embed-protocol.md
// "Frames"): an address of its own for each platform, and CORS for the pages of those that embed.
#ifndef STOA_ROUTE_EMBED_RULES_H
#define STOA_ROUTE_EMBED_RULES_H
#include "edge/http/request.h"

// "/p/{platformSlug}/embed…", "/p/{platformSlug}/sdk/…", "/p/{platformSlug}/api/v1/…" into what follows
// the slug, and the slug. False, and nothing changed, for any other path. Pure; any thread.
bool embed_rules_cut(str *path, str *ret_platform_slug);
// Of a request to the console origin: takes the platform out of its path and, under /api/, adds the
// header fields of CORS. True when it was answered: a preflight, a platform that is not there, an API
// token in the hands of another origin's page. Loop thread.
bool embed_rules_answer(struct request *r);
#endif
