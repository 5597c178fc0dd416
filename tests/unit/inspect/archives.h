// Archives made in memory for tests: well-formed ones by libarchive's writer, evil ones by hand.
// Results are malloc'ed buffers.
#ifndef TESTS_INSPECT_ARCHIVES_H
#define TESTS_INSPECT_ARCHIVES_H
#include <sys/stat.h>
#include "edge/base/str.h"

// --- libarchive's writer ---
struct made;
// Formats: "zip", "ustar", "pax", "gnutar"; filters: "", "gzip", "xz", "zstd", "bzip2".
// `options` as of archive_write_set_options, or NULL.
struct made *made_begin(const char *format, const char *filter, const char *options);
void made_file(struct made *m, const char *name, str content);
// Any kind of entry: S_IFLNK, S_IFIFO …; a `target` with S_IFREG makes a hard link.
void made_special(struct made *m, const char *name, unsigned type, const char *target);
struct buf made_end(struct made *m);

// --- tar by hand ---
// One header with its content and padding; `prefix` NULL for GNU's magic instead of ustar's.
void tar_entry(struct buf *b, str name, char type, str content, const char *link);
// A header that declares `size` and has nothing behind it.
void tar_header(struct buf *b, str name, char type, uint64_t size, const char *link);
void tar_end(struct buf *b);

// --- zip by hand ---
struct zip_entry {
    str name;
    str data;        // as stored in the file
    uint16_t method; // 0 stored, 8 deflated
    uint16_t flags;
    uint32_t crc, size;  // declared for the unpacked content
    uint32_t local_size; // declared in the local header; 0: as `size`
    uint32_t mode;       // Unix mode in the central directory; 0: a plain file
    uint32_t offset;     // of its local header, when `shares` is set
    bool shares;         // no local header of its own
};
struct zip {
    struct buf bytes, central;
    uint16_t count, disk;
};
void zip_begin(struct zip *z);
void zip_add(struct zip *z, const struct zip_entry *e);
void zip_store(struct zip *z, str name, str content); // an honest one
struct buf zip_end(struct zip *z);

struct buf gzipped(str s);  // one member
struct buf deflated(str s); // raw
uint32_t crc32_of(str s);
#endif
