// multipart/form-data (RFC 7578, RFC 2046 §5.1), read piece by piece and strictly: what a browser,
// curl or fetch() sends, and nothing a second parser might read another way. File bytes are never
// copied or kept. One parser belongs to one request; any one thread.
//
// Refused, each with a sentence: a bad boundary; line ends other than CRLF; a preamble over 1 KiB
// and any text after the last boundary other than blank; a part without exactly one
// Content-Disposition: form-data with a name; nested multipart and Content-Transfer-Encoding other
// than 7bit, 8bit and binary; a body that ends before its last boundary; anything over a limit.
// Taken, as the RFCs ask: blanks between a boundary and its line's end, empty parameters in the request's
// Content-Type.
#ifndef STOA_HTTP_MULTIPART_H
#define STOA_HTTP_MULTIPART_H
#include "edge/base/fail.h"

enum {
    MULTIPART_BOUNDARY_MAX = 70, // RFC 2046 §5.1.1
    MULTIPART_PREAMBLE_MAX = 1024,
    MULTIPART_PADDING_MAX = 1024, // blanks behind a boundary
    MULTIPART_EPILOGUE_MAX = 1024,
    MULTIPART_HEADER_BYTES_MAX = 8192, // of one part, with the line ends
    MULTIPART_HEADERS_MAX = 16,        // of one part
    MULTIPART_PARTS_MAX = 100,
    MULTIPART_NAME_MAX = 255, // bytes of a field's name, and of a file's
};

// A part's head. Views into the parser, valid until the part's end.
struct multipart_part {
    str name;     // the field's, valid UTF-8, never empty
    bool is_file; // a filename was given, even an empty one
    str filename; // last path segment, valid UTF-8, 1–255 bytes, no spaces around it, no control
                  // characters, none that turn the direction of text or end its line; "file" when
                  // nothing else is left; p == NULL unless is_file
    str content_type; // as sent, without spaces around it; "text/plain" when absent (RFC 7578 §4.4)
};

// Any of them may be NULL. A callback that returns other than FAIL_NONE ends the parse: it has
// filled `fault` (never NULL), and multipart_feed returns its code. `bytes` are views into the
// piece being fed (or, for a few bytes that might have begun a boundary, into the parser), valid
// during the call. When a whole body is fed as one piece, all bytes of a part are views into that
// piece, each beginning where the one before ended: the part can be used in place, without a copy.
struct multipart_events {
    enum fail (*on_part)(void *ctx, const struct multipart_part *part, struct fault *fault);
    enum fail (*on_data)(void *ctx, str bytes, struct fault *fault);
    enum fail (*on_part_end)(void *ctx, struct fault *fault);
};

// The boundary parameter of a Content-Type value, which must be multipart/form-data; the boundary
// is a token or a quoted-string. FAIL_BAD_TYPE ("unsupported_media_type") for another type,
// FAIL_BAD_INPUT ("invalid_multipart") for a missing, repeated or bad boundary. `to` holds it
// NUL-terminated.
enum fail multipart_boundary(str content_type, char to[static MULTIPART_BOUNDARY_MAX + 1],
                             struct fault *fault) MUST_CHECK;

// `boundary` passed multipart_boundary. `events` and `ctx` are borrowed for the parser's life.
struct multipart *multipart_create(const char *boundary, const struct multipart_events *events,
                                   void *ctx);
// The next bytes of the body; any size, 0 too. FAIL_BAD_INPUT ("invalid_multipart") or
// FAIL_TOO_LARGE ("multipart_too_large", a limit above), or a callback's own; the parser is then
// spent and says the same at every further call.
enum fail multipart_feed(struct multipart *m, str piece, struct fault *fault) MUST_CHECK;
// The body is complete: FAIL_BAD_INPUT when its last boundary was not seen.
enum fail multipart_end(struct multipart *m, struct fault *fault) MUST_CHECK;
void multipart_destroy(struct multipart *m); // NULL is fine

// A file's name as it may be kept, whoever gave it: the last path segment without control characters,
// bidi controls ("photo\u202Egpj.exe" shows as another name), line separators, and spaces around it;
// invalid bytes as '_'; at most MULTIPART_NAME_MAX bytes; never empty, "." or "..". Cleaning twice
// changes nothing.
void multipart_clean_filename(str raw, char to[static MULTIPART_NAME_MAX + 1]);
#endif
