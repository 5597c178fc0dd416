// Small files of every kind that visitors may send, and of kinds that they may not: the least bytes
// that a reader of each format takes for it.
#ifndef TESTS_INSPECT_SAMPLES_H
#define TESTS_INSPECT_SAMPLES_H
#include "edge/base/str.h"
#include "edge/inspect/inspect.h"

struct sample {
    const char *name; // "photo.jpg"
    str bytes;
    const char *mime; // as inspect_file sees it
    enum inspect_container container;
    enum inspect_active active;
};
extern const struct sample samples[];
extern const size_t sample_count;

// Zip files: entries of a name and a content, stored; a NULL name ends the list.
struct sample_entry {
    const char *name, *content;
};
struct buf sample_zip(const struct sample_entry *entries);
struct sample_package {
    const char *name;
    struct sample_entry entries[6];
    const char *mime;
    enum inspect_container container;
};
extern const struct sample_package sample_packages[];
extern const size_t sample_package_count;
// An old Office file with one stream of this name ("WordDocument", "Workbook", …).
struct buf sample_old_office(const char *stream);
#endif
