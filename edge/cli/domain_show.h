// A domain on a terminal: the records to add, what DNS answers, and what happens next.
#ifndef STOA_CLI_DOMAIN_SHOW_H
#define STOA_CLI_DOMAIN_SHOW_H
#include "edge/cli/internal.h"

// The API's resource; with a member "dns" (a check), that is what DNS answers now.
void show_domain(const struct cli *cli, const json_t *domain);
// The "seen" records of a check or of an error's details, a line each.
void show_domain_seen(const struct cli *cli, FILE *to, const json_t *of);
#endif
