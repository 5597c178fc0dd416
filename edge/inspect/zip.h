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
// Where the directory is in a file of `size` bytes that ends with `tail`; false when it has none.
bool zip_find_directory(str tail, uint64_t size, uint64_t *ret_offset, uint64_t *ret_n);
// What the whole directory, and the first entry at the beginning of `head`, say. INSPECT_NO_CONTAINER:
// it is damaged.
enum inspect_container zip_container(str directory, str head,
                                     char ret_mime[static INSPECT_MIME_ROOM]);
#endif
