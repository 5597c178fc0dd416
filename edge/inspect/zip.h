// What a zip file's directory says and libarchive does not tell: that the file is one part of
// several, or that a name goes on behind a NUL, where libarchive cuts it. Only ever a reason to
// refuse; the reading is libarchive's. Part of stoa-inspect; pure.
#ifndef STOA_INSPECT_ZIP_H
#define STOA_INSPECT_ZIP_H
#include "edge/base/str.h"

// Begins as a zip file does.
bool zip_is_zip(str file);
bool zip_is_split(str file);
bool zip_has_nul_in_name(str file);
#endif
