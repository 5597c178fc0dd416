// Looking into strangers' binary formats without trusting the code that parses them: libarchive,
// libmagic and the image libraries run in caged programs, one archive, file or image per process
// life, and what these say is checked here as hostile (security-rules.md 2). Blocking: for pool
// threads. Any number of threads may inspect at once; each has a process of its own.
#ifndef STOA_INSPECT_INSPECT_H
#define STOA_INSPECT_INSPECT_H
#include "edge/cage/cage.h"

enum {
    INSPECT_ARCHIVE_MAX = 256 * 1024 * 1024, // bytes of an archive as it was sent
    INSPECT_PATH_MAX = 4096,                 // bytes of a name; what is longer comes cut
    INSPECT_DETAIL_MAX = 200,                // bytes of libarchive's own words
    INSPECT_DEADLINE_MS = 30000,             // for one archive, the start of its process included
    INSPECT_SPARES = 2,
};

// What an entry of an archive is. The numbers travel.
enum inspect_kind {
    INSPECT_FILE,
    INSPECT_DIRECTORY,
    INSPECT_SYMLINK,
    INSPECT_HARDLINK,
    INSPECT_DEVICE,
    INSPECT_FIFO,
    INSPECT_SOCKET,
    INSPECT_ENCRYPTED, // a file that cannot be read without a password
    INSPECT_OTHER,
    INSPECT_KINDS
};

// What is wrong with an archive or with the entry before it. The numbers travel.
enum inspect_problem {
    INSPECT_NOT_AN_ARCHIVE,   // neither zip nor tar
    INSPECT_TOO_MANY_FILTERS, // compressed twice, or a zip file inside gzip, xz or zstd
    INSPECT_SPLIT,            // one part of several
    INSPECT_DAMAGED,          // cut short or broken; nothing behind this place was read
    INSPECT_ENTRY_DAMAGED,    // this entry's content is broken; the others were read
    INSPECT_FILE_TOO_LARGE,   // this entry; its content was given up to the limit
    INSPECT_TOTAL_TOO_LARGE,
    INSPECT_TOO_MANY_ENTRIES,
    INSPECT_RATIO,    // unpacks to far more than a bundle does
    INSPECT_MEMORY,   // needs more memory to unpack than there is
    INSPECT_BAD_NAME, // an entry whose name cannot be told
    INSPECT_PROBLEMS
};
// "is cut short or damaged", …: follows "The archive " or the entry's name. Static text.
const char *inspect_problem_text(enum inspect_problem problem);
// Whether it is about the entry that came before it and not about the archive.
bool inspect_problem_is_of_entry(enum inspect_problem problem);

struct inspect_limits {
    uint32_t entries;     // of any kind
    uint64_t file_bytes;  // of one file, unpacked; as counted, never as declared
    uint64_t total_bytes; // of all files, unpacked
    unsigned deadline_ms; // INSPECT_DEADLINE_MS, but for tests
};

// Called on the calling thread, in the archive's order. `path` and `detail` are any bytes but NUL;
// views are valid during the call only.
struct inspect_visitor {
    void (*on_entry)(void *ctx, enum inspect_kind kind, str path);
    void (*on_content)(void *ctx, str piece); // of the last entry, which is a file
    void (*on_problem)(void *ctx, enum inspect_problem problem, str detail);
    void *ctx;
};

// FAIL_NONE: the whole archive was visited; whether it is any good is for the visitor to say. A
// problem may have ended the visit early. FAIL_TOO_LARGE (archive_too_large). FAIL_REFUSED
// (invalid_bundle): the process crashed, was killed, took too long or broke the protocol, so what
// was visited so far must not be used. FAIL_BUSY: no process could be had.
enum fail inspect_archive(const struct inspect_limits *limits, str bytes,
                          const struct inspect_visitor *visitor, struct fault *fault) MUST_CHECK;

// What a single file is, by its bytes alone: libmagic's word where it can be believed, and for zips a
// look at their directory, all said by a caged process that sees this one file and ends. How much of
// a file is looked at: edge/inspect/look.h. Numbers travel.
enum inspect_container {
    INSPECT_NO_CONTAINER,
    INSPECT_ZIP,       // an ordinary one
    INSPECT_OOXML,     // [Content_Types].xml and parts of Word's, Excel's or PowerPoint's: `mime`
    INSPECT_ODF,       // its first entry is `mimetype`, which `mime` is
    INSPECT_OTHER_ZIP, // a program or package in a zip: jar, apk, xpi, epub …
    INSPECT_CONTAINERS
};
enum inspect_active {
    INSPECT_NOT_ACTIVE,
    INSPECT_HTML,    // begins as HTML does, or is XHTML
    INSPECT_SCRIPT,  // #!, <?php, a batch file, a shortcut, PostScript
    INSPECT_MARKUP,  // SVG or XML with a script in it, or a place where one may hide
    INSPECT_PROGRAM, // ELF, PE, Mach-O, a Java class, WebAssembly …
    // Begins with a tag or comment as texts and XML may, too, and holds nothing else that HTML runs: HTML
    // for those who go by its bytes alone.
    INSPECT_FRAGMENT,
    INSPECT_HIDDEN, // a picture or another binary file with HTML or PHP within its first 1445 bytes
    INSPECT_ACTIVES
};
enum { INSPECT_MIME_ROOM = 128 };
struct inspect_seen {
    char mime[INSPECT_MIME_ROOM]; // lower case, a token "/" a token; "application/octet-stream"
                                  // when nothing is known
    enum inspect_container container;
    enum inspect_active active;
    bool has_active; // any of the above: what else it may be does not matter
};
enum { INSPECT_FILE_DEADLINE_MS = 5000 };
// Any number of threads; about 0.3 ms for a small file. FAIL_BUSY ("inspection_failed"): no process
// could be had, or it crashed, took too long or broke the protocol: 503, never an accepted file.
enum fail inspect_file(str bytes, struct inspect_seen *ret, struct fault *fault) MUST_CHECK;

// Images without what they tell about their maker and place: EXIF, XMP, IPTC, comments, thumbnails,
// what lies behind their end; orientation and colour profile stay, the pixels are not touched.
// `mime` is one that can be cleaned: image/jpeg, image/png, image/webp, image/gif. Others, films among
// them: FAIL_NONE with *ret = NULL, nothing to do, or FAIL_BAD_TYPE ("type_not_allowed") for images that
// may tell and cannot be cleaned: HEIC, AVIF, TIFF …. *ret is malloc'ed, at most INSPECT_CLEAN_MORE
// bytes larger than the image, and begins as an image of this type does. Any number of threads, but a
// process may take 400 MiB for the largest images: strangers' are cleaned in turn (turns.h).
// FAIL_BUSY as above; FAIL_REFUSED ("damaged_image") when it cannot be read as what it says it is, or is
// too large to be; FAIL_TOO_LARGE ("file_too_large").
enum { INSPECT_IMAGE_MAX = 64 * 1024 * 1024, INSPECT_CLEAN_MORE = 64 * 1024 };
bool inspect_can_clean(const char *mime);
enum fail inspect_clean_image(str bytes, const char *mime, char **ret, size_t *ret_n,
                              struct fault *fault) MUST_CHECK;

// Where processes come from, and how they go.
struct inspect_source {
    enum fail (*start)(struct cage_worker *ret, struct fault *fault);
    void (*kill)(const struct cage_worker *worker); // its socket was closed already
    // Of stoa-inspect-files; NULL: there are none, and inspect_file always fails.
    enum fail (*start_files)(struct cage_worker *ret, struct fault *fault);
};
// By cage_start and cage_kill: for the server, after cage_connect.
extern const struct inspect_source inspect_from_cage;

// Process start: keeps `spares` processes (at most 8) ready from now on, so that an upload does not
// wait for one to start; and one template of processes for files. The source is kept.
void inspect_init(size_t spares, const struct inspect_source *source);
// Ends the spares and the template. No inspection is running.
void inspect_fini(void);
#endif
