// The .pie file: YAML or JSON front matter between `---` lines, handler code, then fenced sections
// `===public-config===`, `===public-file:path===`, `===widget===`, each opened and closed by its
// own identical line. Pure: no file is read, nothing is logged. Any thread.
//
// A `struct pie` holds views into the caller's bytes, which must outlive it: every part of a .pie
// file is one run of its bytes (a BOM stands only at the very start, and CRLF is kept as it is).
// Strings of the front matter are views into `front`.
#ifndef STOA_BUNDLES_PIE_H
#define STOA_BUNDLES_PIE_H
#include "bundles/config.h"

struct pie_limits {
    size_t file_bytes;         // the whole file
    size_t front_bytes;        // the front matter
    size_t public_files;       // how many
    size_t public_file_bytes;  // each
    size_t public_total_bytes; // together
};
// Contract §3: 4 MiB; 256 KiB; 50 files of 512 KiB, 2 MiB in all.
extern const struct pie_limits pie_limits_default;

struct pie_file {
    str path, content;
    unsigned line; // of the opening fence
};

struct pie {
    json_t *front;    // the whole front matter, unknown keys too; owned
    json_t *manifest; // an object, {} when the file has none; owned
    json_t *tags;     // an array of strings, [] when there are none; owned
    str name, display_name, version, tier;
    str description; // p == NULL when absent
    bool is_skill;   // tier skill: `body` is set and `handler` is not

    str handler;           // JavaScript; p == NULL when the file has none (nothing but blank lines)
    unsigned handler_line; // the file's line its first byte stands on
    str body;              // a skill's text, likewise
    unsigned body_line;
    str widget; // HTML; p == NULL when absent
    unsigned widget_line;

    struct pie_file *files; // in the order of the file; owned
    size_t file_count;
    size_t public_bytes;   // of all files
    struct config *config; // NULL exactly when there are no public files; owned
};

// FAIL_NONE with `*ret` filled (pie_fini it), FAIL_TOO_LARGE when the file is over
// limits->file_bytes, or FAIL_REFUSED; the last two with every problem in `problems`, sorted, and
// `*ret` untouched. Warnings are added in all cases, sorted. `limits` NULL means the defaults.
enum fail pie_parse(str file, const struct pie_limits *limits, struct pie *ret,
                    struct problems *problems, struct problems *warnings) MUST_CHECK;
void pie_fini(struct pie *pie);

// Warnings as contract §3's "warnings": an array of sentences, "line 12: …" in front where the line
// is known. A new reference.
json_t *pie_warnings_json(const struct problems *warnings);
#endif
