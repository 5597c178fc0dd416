// What a file's name says about it: its media type, whether compression pays, and whether the name
// carries a hash of the content. Pure; any thread.
#ifndef STOA_BUNDLES_CONTENT_TYPE_H
#define STOA_BUNDLES_CONTENT_TYPE_H
#include "edge/base/str.h"

// By the last extension, any case; text has "; charset=utf-8". What is not known is
// application/octet-stream. A literal.
str content_type_for_path(str path);
// Whether br, zstd and gzip are worth trying on that type.
bool content_type_is_compressible(str type);
bool content_type_is_html(str type);

// Whether the file's name carries a content hash as bundlers put it there: "app.3f2a9c1b.js",
// "index-BxYz12Qa.css". A name that is taken for one by mistake would be kept by browsers for a
// year, one that is missed only for a minute; so dates, versions, counters, UUIDs and words with a
// number are none. Before the extension (and ".min", ".chunk", ".bundle", ".module", ".map" behind
// it), after a '.', '-' or '_':
//  - 8 to 64 lower-case hex digits with letters and numbers among them (alone, without a name in
//    front: 16 or more);
//  - 8 characters of base64url with upper-case, lower-case and numbers, not made of words;
//  - 8 characters of one case and numbers that change between the two at least three times.
bool path_has_content_hash(str path);
#endif
