// Which encoding of a file a client gets: Accept-Encoding with its weights (RFC 9110 §12.5.3).
// Pure; any thread.
#ifndef STOA_BUNDLES_NEGOTIATE_H
#define STOA_BUNDLES_NEGOTIATE_H
#include "bundles/internal.h"

// A set of encodings: 1 << enum encoding.
enum { ENCODINGS_ALL = (1 << ENCODINGS) - 1 };

// The content coding's registered name; "identity" for none.
str encoding_name(enum encoding e);

// The best of the encodings in `available` (identity always is). Highest weight first; at the same
// weight br before zstd before gzip before identity; identity, when it is not named, comes after
// all that are. A header that is absent (p == NULL), empty or malformed gives identity, and so does
// one that accepts nothing we have: 406 helps nobody (RFC 9110 §12.5.3 leaves it to us).
enum encoding negotiate_encoding(str accept_encoding, unsigned available);
// Whether that client takes that encoding at all. Absent, empty, malformed: identity only.
bool negotiate_accepts(str accept_encoding, enum encoding e);
#endif
