// Sites for tests, made of file names alone: a name's bytes stand for the content's digest.
#ifndef STOA_TESTS_MADE_SITE_H
#define STOA_TESTS_MADE_SITE_H
#include "bundles/site.h"

// `config` is JSON; `names` ends with NULL. A name with a leading '*' also has br, zstd and gzip.
struct site *made_site(const char *key, const char *config, const char *const *names);
// The same as rows; fini'ed with made_row_fini.
void made_row(struct deployment_row *row, const char *config, const char *const *names);
void made_row_fini(struct deployment_row *row);
#endif
