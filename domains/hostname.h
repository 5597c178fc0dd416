// A custom domain's name: from what an owner types to what is stored and matched (contract §6), and the
// reasons why a name cannot be one. UTS 46 by libidn2, public suffixes by libpsl. Pure after hostname_init.
#ifndef STOA_DOMAINS_HOSTNAME_H
#define STOA_DOMAINS_HOSTNAME_H
#include "edge/base/fail.h"

enum { HOSTNAME_ROOM = 254, HOSTNAME_UNICODE_ROOM = 1024 };

struct hostname {
    char ascii[HOSTNAME_ROOM];           // A-labels, lower case, no final dot: stored and matched
    char unicode[HOSTNAME_UNICODE_ROOM]; // U-labels: shown
    char registrable[HOSTNAME_ROOM];     // the registrable domain; limits count by it
};

struct hostname_rules {
    // The operator's own hosts (apps, console, files, instance_domain): no name at, below or above them,
    // none that looks like one of them.
    const char *own[8];
    size_t own_count;
    const char *reserved; // reserved_names: comma-separated names, each with all below it
};
void hostname_init(const struct hostname_rules *rules); // process start; kept

// FAIL_REFUSED "invalid_hostname", with the reason in words a person can act on.
enum fail hostname_parse(str text, struct hostname *ret, struct fault *fault) MUST_CHECK;
// What DNS says there is not shown to owners (security-rules.md 24): a reserved name of nobody's, or one of
// reserved_names that is not at or below one of the operator's own hosts. `ascii` in lower case.
bool hostname_is_private(str ascii);
// A request's host as request.h has it (lower case, no port, no final dot) is compared with `ascii` as it stands.
#endif
