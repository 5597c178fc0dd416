// An archive's entries become public files. edge/inspect calls back for each entry in the archive's
// order; what can be judged alone is judged there, what depends on the others (the one folder that
// is taken off, names that clash, how many there are) once all are known. A person gets everything
// that is wrong in one go, so a refused entry ends nothing.
#include "bundles/archive.h"
#include "bundles/paths.h"
#include "edge/inspect/inspect.h"
#include <stdio.h>
#include <stdlib.h>

const struct bundle_archive_limits bundle_archive_limits_default = {
    .files = 5000, .file_bytes = 25 << 20, .total_bytes = 100 << 20};

// What systems leave in archives and nobody means to publish.
enum litter { LITTER_MACOSX, LITTER_DS_STORE, LITTER_THUMBS, LITTER_KINDS, LITTER_NONE };
static const str litter_names[LITTER_KINDS] = {{"__MACOSX", 8}, {".DS_Store", 9}, {"Thumbs.db", 9}};

struct file {
    char *name; // as it stands in the archive, without "./"; malloc'ed
    str path;   // within `name`: without the folder that was taken off
    struct buf content;
};

struct reading {
    const struct bundle_archive_limits *limits;
    struct problems *problems, *warnings;
    struct file *files; // those with a valid name
    size_t count, room;
    bool is_open;    // content that comes now is the last file's
    size_t declared; // files that are no litter, whatever their name
    size_t litter[LITTER_KINDS];
    char entry[INSPECT_PATH_MAX + 1]; // the last entry's name, for problems
    char stripped[PATH_SEGMENT_MAX_BYTES + 1];
};

// --- entries as they come ---

// "public-file:app.js" as a problem's section: quoted, without the quotes.
static const char *section_name(char to[static 96], str path)
{
    char quoted[96 - sizeof "public-file:" + 2];
    problem_quote(quoted, sizeof quoted, path);
    snprintf(to, 96, "public-file:%.*s", (int)strlen(quoted) - 2, quoted + 1);
    return to;
}
#define SECTION(path) section_name((char[96]){0}, (path))

static enum litter litter_of(str path)
{
    str rest = path;
    if (str_eq(str_cut(&rest, '/'), litter_names[LITTER_MACOSX]))
        return LITTER_MACOSX;
    str name = path;
    while (str_find(name, '/') != SIZE_MAX)
        str_cut(&name, '/');
    for (size_t i = LITTER_DS_STORE; i != LITTER_KINDS; ++i)
        if (str_eq(name, litter_names[i]))
            return (enum litter)i;
    return LITTER_NONE;
}

// tar writes "./" in front when it was given a folder.
static str without_dot(str path)
{
    return str_starts(path, STR("./")) ? str_skip(path, 2) : path;
}

static const char *kind_refusal(enum inspect_kind kind)
{
    switch (kind) {
    case INSPECT_FILE:
    case INSPECT_DIRECTORY:
        return NULL;
    case INSPECT_SYMLINK:
        return "a symbolic link; put the file itself there";
    case INSPECT_HARDLINK:
        return "a link to another entry; put the file itself there";
    case INSPECT_DEVICE:
        return "a device; only files can be deployed";
    case INSPECT_FIFO:
        return "a named pipe; only files can be deployed";
    case INSPECT_SOCKET:
        return "a socket; only files can be deployed";
    case INSPECT_ENCRYPTED:
        return "encrypted; pack the files without a password";
    default:
        return "neither a file nor a folder; only files can be deployed";
    }
}

static void add_file(struct reading *r, str path)
{
    if (r->count == r->room) {
        r->room = r->room == 0 ? 64 : r->room * 2;
        r->files = realloc(r->files, r->room * sizeof *r->files);
        if (r->files == NULL)
            abort();
    }
    struct file *f = &r->files[r->count++];
    f->name = str_dup(path);
    f->path = str_of(f->name, path.n);
    buf_init(&f->content, r->limits->file_bytes);
    r->is_open = true;
}

static void take_file(struct reading *r, str path)
{
    // one more than are allowed, since public-config.yaml is none of them
    if (++r->declared <= r->limits->files + 1)
        add_file(r, path);
}

static void on_entry(void *ctx, enum inspect_kind kind, str name)
{
    struct reading *r = ctx;
    str path = without_dot(name);
    snprintf(r->entry, sizeof r->entry, "%.*s", STR_FMT(path));
    r->is_open = false;
    if (kind == INSPECT_DIRECTORY && str_ends(path, STR("/")))
        --path.n;
    if (kind == INSPECT_DIRECTORY && (path.n == 0 || str_eq(path, STR("."))))
        return;
    enum litter litter = litter_of(path);
    if (litter != LITTER_NONE) {
        ++r->litter[litter];
        return;
    }
    const char *why = kind_refusal(kind), *wrong = path_refusal(path);
    if (why != NULL)
        problems_add(r->problems, 0, 0, SECTION(path), "%s is %s.", QUOTED(path), why);
    if (wrong != NULL)
        problems_add(r->problems, 0, 0, SECTION(path), "The path %s %s.", QUOTED(path), wrong);
    if (why == NULL && wrong == NULL && kind == INSPECT_FILE)
        take_file(r, path);
}

static void on_content(void *ctx, str piece)
{
    struct reading *r = ctx;
    if (r->is_open)
        buf_add(&r->files[r->count - 1].content, piece);
}

// "25 MiB", or bytes where it is not a whole number of them.
static const char *size_text(char to[static 32], size_t bytes)
{
    bool whole = bytes >= 1 << 20 && bytes % (1 << 20) == 0;
    snprintf(to, 32, whole ? "%zu MiB" : "%zu bytes", whole ? bytes >> 20 : bytes);
    return to;
}
#define SIZE_TEXT(bytes) size_text((char[32]){0}, (bytes))

static void on_problem(void *ctx, enum inspect_problem problem, str detail)
{
    struct reading *r = ctx;
    str entry = str_from(r->entry);
    const char *text = inspect_problem_text(problem);
    if (problem == INSPECT_FILE_TOO_LARGE) {
        if (r->is_open)
            problems_add(r->problems, 0, 0, SECTION(entry), "%s has more than %s unpacked.",
                         QUOTED(entry), SIZE_TEXT(r->limits->file_bytes));
    } else if (problem == INSPECT_TOTAL_TOO_LARGE) {
        problems_add(r->problems, 0, 0, "", "The archive has more than %s unpacked.",
                     SIZE_TEXT(r->limits->total_bytes));
    } else if (inspect_problem_is_of_entry(problem)) {
        problems_add(r->problems, 0, 0, SECTION(entry), "%s %s (%s).", QUOTED(entry), text,
                     QUOTED(detail));
    } else if (entry.n != 0) {
        problems_add(r->problems, 0, 0, "", "The archive %s, behind %s.", text, QUOTED(entry));
    } else {
        problems_add(r->problems, 0, 0, "", "The archive %s.", text);
    }
}

// --- once all are known ---

static void warn_of_litter(struct reading *r)
{
    for (size_t i = 0; i != LITTER_KINDS; ++i)
        if (r->litter[i] != 0)
            problems_add(r->warnings, 0, 0, "", "%s was left out (%zu %s).", litter_names[i].p,
                         r->litter[i], r->litter[i] == 1 ? "entry" : "entries");
}

// The folder that everything is in, with its slash; empty when there is none.
static str common_folder(const struct reading *r)
{
    str rest = r->count != 0 ? r->files[0].path : (str){0};
    str folder = str_cut(&rest, '/');
    folder.n = rest.n != 0 ? folder.n + 1 : 0;
    for (size_t i = 0; i != r->count && folder.n != 0; ++i)
        if (!str_starts(r->files[i].path, folder))
            folder.n = 0;
    return folder;
}

// Behind the folder stands what may itself be refused: a/.well-known/acme-challenge/x.
static void strip_folder(struct reading *r)
{
    str folder = common_folder(r);
    if (folder.n == 0)
        return;
    snprintf(r->stripped, sizeof r->stripped, "%.*s", (int)folder.n - 1, folder.p);
    problems_add(r->warnings, 0, 0, "",
                 "Everything is inside the folder %s, which was taken off: %s is at the root.",
                 QUOTED(str_from(r->stripped)), QUOTED(str_skip(r->files[0].path, folder.n)));
    for (size_t i = 0; i != r->count; ++i) {
        struct file *f = &r->files[i];
        f->path = str_skip(f->path, folder.n);
        const char *wrong = path_refusal(f->path);
        if (wrong != NULL)
            problems_add(r->problems, 0, 0, SECTION(f->path), "The path %s %s.", QUOTED(f->path),
                         wrong);
    }
}

static void on_clash(void *ctx, enum path_clash clash, size_t first, size_t second)
{
    struct reading *r = ctx;
    str a = r->files[first].path, b = r->files[second].path;
    problems_add(r->problems, 0, 0, SECTION(b), "%s",
                 path_clash_text((char[300]){0}, 300, clash, a, b));
}

static void check_clashes(struct reading *r)
{
    str *paths = calloc(r->count + 1, sizeof *paths);
    if (paths == NULL)
        abort();
    size_t n = 0;
    for (size_t i = 0; i != r->count; ++i) {
        paths[n] = r->files[i].path;
        n += path_refusal(paths[n]) == NULL; // else told already, and the list is of no use
    }
    if (n == r->count)
        paths_clashes(paths, n, on_clash, r);
    free(paths);
}

static bool is_config(const struct file *f)
{
    return str_eq(f->path, STR("public-config.yaml"));
}

// An export would have the config beside it.
static void check_names(struct reading *r)
{
    for (size_t i = 0; i != r->count; ++i) {
        str path = r->files[i].path;
        if (!is_config(&r->files[i]) && path_refusal(path) == NULL && path_is_config(path))
            problems_add(r->problems, 0, 0, SECTION(path),
                         "The path %s is kept for the config; write it public-config.yaml.",
                         QUOTED(path));
    }
}

static void check_count(struct reading *r)
{
    size_t files = r->declared;
    for (size_t i = 0; i != r->count; ++i)
        files -= is_config(&r->files[i]);
    if (files > r->limits->files)
        problems_add(r->problems, 0, 0, "", "The archive has more than %zu files.",
                     r->limits->files);
    else if (files == 0 && r->problems->count == 0)
        problems_add(r->problems, 0, 0, "", "There is no file in the archive.");
}

static void warn_of_unserved(struct reading *r)
{
    size_t hidden = 0;
    str example = {0};
    for (size_t i = 0; i != r->count; ++i) {
        str path = r->files[i].path;
        if ((path.p[0] != '.' && str_find_str(path, STR("/.")) == SIZE_MAX) ||
            str_starts(path, STR(".well-known/")))
            continue;
        if (hidden++ == 0)
            example = path;
    }
    if (hidden != 0)
        problems_add(r->warnings, 0, 0, "",
                     "%zu %s kept but never served, for a name that begins with '.': %s.", hidden,
                     hidden == 1 ? "file is" : "files are", QUOTED(example));
}

// --- from what was read to what is returned ---

// Takes the file's memory, without what it grew beyond its need.
static str take_content(struct file *f)
{
    size_t n = f->content.n;
    char *p = realloc(buf_take(&f->content), n + 1);
    if (p == NULL)
        abort();
    return str_of(p, n);
}

static str take_path(struct file *f)
{
    size_t n = f->path.n;
    memmove(f->name, f->path.p, n);
    char *name = f->name;
    f->name = NULL;
    return str_of(name, n);
}

static void hand_over(struct reading *r, struct bundle_archive *ret)
{
    *ret = (struct bundle_archive){.files = calloc(r->count + 1, sizeof *ret->files)};
    if (ret->files == NULL)
        abort();
    memcpy(ret->stripped, r->stripped, sizeof r->stripped);
    for (size_t i = 0; i != r->count; ++i) {
        struct file *f = &r->files[i];
        if (is_config(f)) {
            ret->public_config = take_content(f);
            continue;
        }
        ret->bytes += f->content.n;
        ret->files[ret->count++] = (struct bundle_archive_file){take_path(f), take_content(f)};
    }
}

static void reading_fini(struct reading *r)
{
    for (size_t i = 0; i != r->count; ++i) {
        free(r->files[i].name);
        buf_fini(&r->files[i].content);
    }
    free(r->files);
    free(r);
}

static enum fail read_entries(struct reading *r, str bytes, struct fault *fault)
{
    const struct inspect_limits limits = {
        // folders and litter are entries too, and neither may be without end
        .entries = (uint32_t)(r->limits->files * 4 + 1000),
        .file_bytes = r->limits->file_bytes,
        .total_bytes = r->limits->total_bytes,
        .deadline_ms = INSPECT_DEADLINE_MS,
    };
    const struct inspect_visitor visitor = {on_entry, on_content, on_problem, r};
    return inspect_archive(&limits, bytes, &visitor, fault);
}

static void judge(struct reading *r)
{
    warn_of_litter(r);
    strip_folder(r);
    check_clashes(r);
    check_names(r);
    check_count(r);
    warn_of_unserved(r);
}

enum fail bundle_archive_read(str bytes, const struct bundle_archive_limits *limits,
                              struct bundle_archive *ret, struct problems *problems,
                              struct problems *warnings, struct fault *fault)
{
    struct reading *r = calloc(1, sizeof *r);
    if (r == NULL)
        abort();
    r->limits = limits != NULL ? limits : &bundle_archive_limits_default;
    r->problems = problems;
    r->warnings = warnings;
    size_t before = problems->count;
    struct fault why = {0};
    enum fail fail = read_entries(r, bytes, &why);
    if (fail == FAIL_NONE)
        judge(r);
    else if (fail == FAIL_REFUSED)
        problems_add(problems, 0, 0, "", "%s", why.public_text);
    if (fail != FAIL_NONE && fault != NULL)
        *fault = why;
    if (fail == FAIL_NONE && problems->count != before)
        fail = fault_set(fault, FAIL_REFUSED, "invalid_bundle",
                         "The archive cannot be deployed; see the problems.");
    if (fail == FAIL_NONE)
        hand_over(r, ret);
    reading_fini(r);
    return fail;
}

void bundle_archive_fini(struct bundle_archive *archive)
{
    for (size_t i = 0; i != archive->count; ++i) {
        free((char *)archive->files[i].path.p);
        free((char *)archive->files[i].content.p);
    }
    free(archive->files);
    free((char *)archive->public_config.p);
    *archive = (struct bundle_archive){0};
}
