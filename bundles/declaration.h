// What one .pie file or archive declares, ready to become a deployment: names, code, widget, config
// and public files with their digests. Views into the caller's bytes, which must outlive it. Pool
// threads.
#ifndef STOA_BUNDLES_DECLARATION_H
#define STOA_BUNDLES_DECLARATION_H
#include "bundles/archive.h"
#include "bundles/internal.h"
#include "bundles/pie.h"

struct declared_file {
    str path, content;
    struct bundle_file row; // digests and sizes of the encodings there are; filled by variants_make
};

struct declaration {
    bool is_archive;
    json_t *front;  // owned
    json_t *config; // owned; NULL: no public app
    str name, display_name, version, tier;
    str source;                                     // the .pie as sent; p == NULL for an archive
    str code, widget;                               // p == NULL: none
    unsigned code_line;                             // where it begins in its .pie file
    struct digest inherited_code, inherited_widget; // of an archive's predecessor
    bool inherits_code, inherits_widget;
    struct declared_file *files; // sorted by path; owned
    size_t file_count;
    uint64_t total_bytes;
    struct digest content; // over everything above
};

// `pie` must outlive the declaration.
void declaration_of_pie(struct declaration *ret, const struct pie *pie, str source);
// Public files of an archive (which must outlive it). What else it declares it takes from the
// deployment it replaces, by declaration_inherit, before anything is done with it.
void declaration_of_archive(struct declaration *ret, const struct bundle_archive *archive,
                            const struct config *config, const struct plugin *plugin);
// Of an archive, again whenever another deployment turns out to be the one that is replaced. Texts
// are views into `plugin`.
struct deployment_head;
void declaration_inherit(struct declaration *d, const struct plugin *plugin,
                         const struct deployment_head *before);
void declaration_fini(struct declaration *d);
#endif
