// Where libmagic is asked, and where not. Its tests of binary formats are quick and good. Its tests of
// text are regular expressions by the hundred, take milliseconds for any letter to a friend, and
// call Markdown a script as soon as it speaks of one; what is text is told by its bytes, and what
// matters in text (does a browser or a shell run it, is it markup) by its beginning.
#include "edge/inspect/look.h"
#include <assert.h>
#include <fcntl.h>
#include <magic.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "edge/inspect/active.h"
#include "edge/inspect/pages.h"
#include "edge/inspect/zip.h"

enum {
    NEVER = MAGIC_MIME_TYPE | MAGIC_NO_CHECK_COMPRESS | MAGIC_NO_CHECK_TAR |
            MAGIC_NO_CHECK_APPTYPE | MAGIC_NO_CHECK_ELF | MAGIC_NO_CHECK_TOKENS,
    AS_BINARY = NEVER | MAGIC_NO_CHECK_TEXT | MAGIC_NO_CHECK_CSV | MAGIC_NO_CHECK_JSON |
                MAGIC_NO_CHECK_CDF | MAGIC_NO_CHECK_ENCODING,
    AS_OLD_OFFICE = AS_BINARY & ~MAGIC_NO_CHECK_CDF,
    AS_TEXT = NEVER | MAGIC_NO_CHECK_SOFT | MAGIC_NO_CHECK_CDF | MAGIC_NO_CHECK_JSON,
    AS_JSON = AS_TEXT & ~MAGIC_NO_CHECK_JSON,
    HEAP = 64 * 1024 * 1024, // for what libmagic makes of a file; untouched, it costs nothing
};

static magic_t magic;

// --- the database ---

#define DATABASE "/usr/share/misc/magic.mgc"

// A forked process then inherits four entries of a page table and not two thousand, or the faults in
// their place.
static bool load_into_huge_pages(void)
{
    struct stat st;
    char *p = NULL;
    int fd = open(DATABASE, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0 && st.st_size <= 64 * 1024 * 1024)
        p = pages_huge((size_t)st.st_size);
    bool ok = p != NULL && read(fd, p, (size_t)st.st_size) == st.st_size;
    if (fd >= 0)
        close(fd);
    return ok && magic_load_buffers(magic, (void *[]){p}, (size_t[]){(size_t)st.st_size}, 1) == 0;
}

static void limit_magic(void)
{
    static const struct {
        int parameter;
        size_t value;
    } limits[] = {{MAGIC_PARAM_INDIR_MAX, 10},
                  {MAGIC_PARAM_NAME_MAX, 50},
                  {MAGIC_PARAM_ELF_PHNUM_MAX, 1},
                  {MAGIC_PARAM_ELF_SHNUM_MAX, 1},
                  {MAGIC_PARAM_ELF_NOTES_MAX, 1},
                  {MAGIC_PARAM_REGEX_MAX, 4096},
                  {MAGIC_PARAM_BYTES_MAX, LOOK_WHOLE_MAX},
                  {MAGIC_PARAM_ENCODING_MAX, LOOK_TEXT / 4}}; // it takes eight bytes for each
    for (size_t i = 0; i != sizeof limits / sizeof *limits; ++i)
        magic_setparam(magic, limits[i].parameter, &limits[i].value);
}

// Nothing is mapped, returned or asked of the kernel later.
static void reserve_heap(void)
{
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, 2 * HEAP);
    char *p = malloc(HEAP);
    if (p == NULL)
        abort();
    *(volatile char *)p = 0; // lest the compiler take both calls for nothing
    free(p);
}

bool look_warm_up(void)
{
    reserve_heap();
    magic = magic_open(MAGIC_MIME_TYPE);
    if (magic == NULL || !(load_into_huge_pages() || magic_load(magic, NULL) == 0))
        return false;
    limit_magic();
    // what is made on first use: locales, buffers, the pages of the functions themselves
    static const char sample[] = "%PDF-1.4\n\x01\x02\x03";
    magic_setflags(magic, AS_BINARY);
    magic_buffer(magic, sample, sizeof sample - 1);
    magic_setflags(magic, AS_TEXT);
    magic_buffer(magic, "a text\n", 7);
    return true;
}

// --- one file ---

static const char unknown[] = "application/octet-stream";

static void say_mime(struct inspect_seen *s, const char *mime)
{
    size_t n = mime != NULL ? strlen(mime) : 0;
    if (n == 0 || n >= sizeof s->mime) {
        mime = unknown;
        n = sizeof unknown - 1;
    }
    for (size_t i = 0; i != n; ++i)
        s->mime[i] = mime[i] >= 'A' && mime[i] <= 'Z' ? (char)(mime[i] + 32) : mime[i];
    s->mime[n] = '\0';
}

static void say_active(struct inspect_seen *s, enum inspect_active active)
{
    s->active = active;
    s->has_active = active != INSPECT_NOT_ACTIVE;
}

static void ask_magic(struct look_io *io, int flags, struct inspect_seen *s)
{
    magic_setflags(magic, flags);
    say_mime(s, magic_buffer(magic, io->head, io->have));
}

// Brings the beginning up to `n` bytes, or the whole file.
static bool have_until(struct look_io *io, size_t n)
{
    if (n > LOOK_WHOLE_MAX)
        n = LOOK_WHOLE_MAX;
    if (n > io->size)
        n = (size_t)io->size;
    if (n <= io->have)
        return true;
    if (!io->pull(io, io->have, n - io->have, io->head + io->have))
        return false;
    io->have = n;
    return true;
}

static str head_of(const struct look_io *io)
{
    return str_of(io->head, io->have);
}

// --- zip ---

static bool look_zip(struct look_io *io, struct inspect_seen *s)
{
    static char tail[ZIP_TAIL_MAX], directory[LOOK_DIRECTORY_MAX];
    size_t n = io->size < sizeof tail ? (size_t)io->size : sizeof tail;
    struct zip_directory d;
    say_mime(s, unknown);
    if (!io->pull(io, io->size - n, n, tail))
        return false;
    if (!zip_find_directory(str_of(tail, n), io->size, &d) || d.size > sizeof directory)
        return true;
    if (d.size != 0 && !io->pull(io, d.at, (size_t)d.size, directory))
        return false;
    s->container = zip_container(&d, str_of(directory, (size_t)d.size), head_of(io), s->mime);
    return true;
}

// --- text ---

// Signatures in letters, of formats that are libmagic's to tell.
static bool has_letters_of_binary(str head)
{
    static const str starts[] = {STR("%PDF-"), STR("{\\rtf"), STR("GIF8"), STR("BM"),
                                 STR("RIFF"),  STR("ID3"),    STR("OggS"), STR("fLaC"),
                                 STR("II*"),   STR("MM"),     STR("FORM"), STR("Rar!"),
                                 STR("7z"),    STR("!<arch>")};
    for (size_t i = 0; i != sizeof starts / sizeof *starts; ++i)
        if (str_starts(head, starts[i]))
            return true;
    return false;
}

static str skip_mark(str head)
{
    if (str_starts(head, STR("\xef\xbb\xbf")))
        head = str_skip(head, 3);
    while (head.n != 0 && strchr(" \t\r\n", *head.p) != NULL && *head.p != '\0')
        head = str_skip(head, 1);
    return head;
}

static bool begins_as(str head, str word)
{
    return head.n >= word.n && str_caseeq(str_of(head.p, word.n), word);
}

// To its end: what is behind the beginning runs as well as what is in it.
static bool look_for_script(struct look_io *io, bool is_html, struct inspect_seen *s)
{
    static char piece[64 * 1024];
    struct active_markup m = {.is_html = is_html};
    uint64_t at = io->have;
    active_markup_take(&m, head_of(io));
    while (at != io->size && !m.has_script) {
        size_t n = io->size - at < sizeof piece ? (size_t)(io->size - at) : sizeof piece;
        if (!io->pull(io, at, n, piece))
            return false;
        active_markup_take(&m, str_of(piece, n));
        at += n;
    }
    if (m.has_script)
        say_active(s, INSPECT_MARKUP);
    return true;
}

// Of a text that begins as HTML does: whether more than its beginning says so.
static bool look_html(struct look_io *io, const char *root, struct inspect_seen *s)
{
    bool is_fragment = active_is_fragment(head_of(io)) && strcmp(root, "html") != 0;
    say_mime(s, "text/html");
    if (is_fragment && !look_for_script(io, true, s))
        return false;
    say_active(s, is_fragment && !s->has_active ? INSPECT_FRAGMENT : INSPECT_HTML);
    return true;
}

static bool look_markup(struct look_io *io, const char *root, struct inspect_seen *s)
{
    say_mime(s, strcmp(root, "svg") == 0 ? "image/svg+xml" : "application/xml");
    if (strcmp(root, "html") != 0)
        return look_for_script(io, false, s);
    say_mime(s, "application/xhtml+xml");
    say_active(s, INSPECT_HTML);
    return true;
}

static bool look_json(struct look_io *io, struct inspect_seen *s)
{
    bool is_looked_at = io->size <= LOOK_JSON;
    if (is_looked_at && !have_until(io, LOOK_JSON))
        return false;
    ask_magic(io, is_looked_at ? AS_JSON : AS_TEXT, s);
    return true;
}

// HTML before markup: a browser takes "<!--" for HTML, whatever follows; but XML may begin with a
// comment, too, and then its root decides.
static bool look_text(struct look_io *io, struct inspect_seen *s)
{
    if (!have_until(io, LOOK_TEXT))
        return false;
    str head = head_of(io), begin = skip_mark(head);
    const char *script = active_script_type(head);
    char root[32];
    active_root_name(head, root);
    bool is_svg = strcmp(root, "svg") == 0;
    if (script != NULL) {
        say_mime(s, script);
        say_active(s, INSPECT_SCRIPT);
    } else if (active_is_html(head) && !is_svg) {
        return look_html(io, root, s);
    } else if (root[0] != '\0') {
        return look_markup(io, root, s);
    } else if (begin.n != 0 && (*begin.p == '{' || *begin.p == '[')) {
        return look_json(io, s);
    } else {
        ask_magic(io, AS_TEXT, s);
        if (begins_as(begin, STR("BEGIN:VCALENDAR")))
            say_mime(s, "text/calendar");
        else if (begins_as(begin, STR("BEGIN:VCARD")))
            say_mime(s, "text/vcard");
    }
    return true;
}

// --- old Office files ---

// libmagic goes by who wrote the file, and knows no presentation by its streams. These are the names
// of directory entries ([MS-CFB] 2.6.1), which lie at multiples of their size.
static const char *old_office_type(str file)
{
    static const struct {
        const char *stream, *type;
    } types[] = {{"WordDocument", "application/msword"},
                 {"Workbook", "application/vnd.ms-excel"},
                 {"PowerPoint Document", "application/vnd.ms-powerpoint"}};
    enum { ENTRY = 128, HEADER = 512 };
    for (size_t at = HEADER; at + ENTRY <= file.n; at += ENTRY)
        for (size_t i = 0; i != sizeof types / sizeof *types; ++i) {
            size_t n = 0;
            while (types[i].stream[n] != '\0' && file.p[at + 2 * n] == types[i].stream[n] &&
                   file.p[at + 2 * n + 1] == '\0')
                ++n;
            if (types[i].stream[n] == '\0' && file.p[at + 2 * n] == '\0')
                return types[i].type;
        }
    return NULL;
}

static bool look_old_office(struct look_io *io, struct inspect_seen *s)
{
    if (!have_until(io, LOOK_WHOLE_MAX))
        return false;
    ask_magic(io, AS_OLD_OFFICE, s);
    if (strcmp(s->mime, "application/x-ole-storage") == 0) {
        const char *type = old_office_type(head_of(io));
        if (type != NULL)
            say_mime(s, type);
    }
    return true;
}

// --- the rest ---

static bool look_binary(struct look_io *io, struct inspect_seen *s)
{
    if (str_starts(head_of(io), STR("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")))
        return look_old_office(io, s);
    ask_magic(io, AS_BINARY, s);
    const char *program = active_program_type(head_of(io));
    if (program != NULL) {
        if (strcmp(s->mime, unknown) == 0 || strncmp(s->mime, "application/", 12) != 0)
            say_mime(s, program);
        say_active(s, INSPECT_PROGRAM);
    }
    return true;
}

bool look_file(struct look_io *io, struct inspect_seen *ret)
{
    *ret = (struct inspect_seen){0};
    str head = head_of(io);
    bool is_text = active_is_text(head);
    say_mime(ret, io->size == 0 ? "application/x-empty" : unknown);
    if (io->size == 0)
        return true;
    if (is_text && !zip_is_zip(head) && !has_letters_of_binary(head))
        return look_text(io, ret);
    if (!(zip_is_zip(head) ? look_zip(io, ret) : look_binary(io, ret)))
        return false;
    if (!ret->has_active && active_is_html(head_of(io)))
        say_active(ret, INSPECT_HTML);
    if (!ret->has_active && active_is_hidden(head_of(io)))
        say_active(ret, INSPECT_HIDDEN);
    return true;
}
