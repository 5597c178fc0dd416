// What a zip file's directory says. For archives, what libarchive does not tell: that the file is one
// part of several, or that a name goes on behind a NUL, where libarchive cuts it; only ever a reason
// to refuse, the reading is libarchive's. For single files, what kind of package it is. Part of
// both caged programs; pure.
#ifndef STOA_INSPECT_ZIP_H
#define STOA_INSPECT_ZIP_H
#include "edge/inspect/inspect.h"

// Begins as a zip file does.
bool zip_is_zip(str file);
bool zip_is_split(str file);
bool zip_has_nul_in_name(str file);

// Enough of a file's end to find its end record, and zip64's, in. Returns false when there is none.
enum { ZIP_TAIL_MAX = 22 + 65535 + 20 + 56 };
// What an end record says of the directory before it.
struct zip_directory {
    uint64_t at, size;
    uint64_t entries; // as it says; without zip64 the lower 16 bits
    bool is_zip64;
};
// In a file of `size` bytes that ends with `tail`. False when it has none, or when two readers might
// find two: one that goes by offsets and one that goes by sizes, one that knows comments and one
// that looks for a signature.
bool zip_find_directory(str tail, uint64_t size, struct zip_directory *ret);
// What the whole directory's bytes, and the first entry at the beginning of `head`, say.
// INSPECT_NO_CONTAINER: it is damaged, or not as its end record says.
enum inspect_container zip_container(const struct zip_directory *directory, str bytes, str head,
                                     char ret_mime[static INSPECT_MIME_ROOM]);
#endif
