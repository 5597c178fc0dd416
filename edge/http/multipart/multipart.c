// The reader is a machine of five states fed with pieces of any size. A delimiter is CRLF "--"
// boundary; CR stands in it only at the front (a boundary holds none), so a match that breaks off
// can begin anew only at the breaking byte itself, and the bytes held back meanwhile are the
// delimiter's own first bytes: nothing of the body is ever copied. Within a piece a line's end
// is looked for in whole blocks, so that neither random bytes nor bytes made of CR slow it down.
#include "edge/http/multipart/internal.h"
#include <assert.h>
#include <stdlib.h>

enum state {
    PREAMBLE,        // before the first delimiter
    AFTER_DELIMITER, // padding, and the two bytes that say whether a part follows
    HEAD,
    DATA,
    EPILOGUE,
};

struct multipart {
    const struct multipart_events *events;
    void *ctx;
    enum state state;
    struct fault fault; // of a spent parser

    char delimiter[4 + MULTIPART_BOUNDARY_MAX + 1];
    size_t delimiter_n;
    size_t matched;    // bytes of the delimiter seen so far
    char after[2];     // AFTER_DELIMITER
    size_t after_n;    // …
    size_t outside_n;  // bytes of preamble, padding or epilogue
    unsigned parts;    // begun so far
    struct buf line;   // HEAD: the line so far
    size_t head_bytes; // HEAD: of this part
    unsigned headers;  // …
    bool has_disposition, has_type;

    struct multipart_part part;
    char name[MULTIPART_NAME_MAX + 1], filename[MULTIPART_NAME_MAX + 1],
        content_type[MULTIPART_NAME_MAX + 1];
};

static enum fail refuse(struct fault *fault, const char *sentence)
{
    return fault_set(fault, FAIL_BAD_INPUT, "invalid_multipart", "%s", sentence);
}

static enum fail too_large(struct multipart *m, const char *sentence)
{
    return fault_set(&m->fault, FAIL_TOO_LARGE, "multipart_too_large", "%s", sentence);
}

// The boundary parameter.
static bool is_boundary(str s)
{
    for (size_t i = 0; i != s.n; ++i) {
        char c = s.p[i];
        bool is_alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_alnum && (c == '\0' || strchr("'()+_,-./:=? ", c) == NULL))
            return false;
    }
    return s.n != 0 && s.n <= MULTIPART_BOUNDARY_MAX && s.p[s.n - 1] != ' ';
}

enum fail multipart_boundary(str content_type, char to[static MULTIPART_BOUNDARY_MAX + 1],
                             struct fault *fault)
{
    size_t end = str_find(content_type, ';');
    str rest = end != SIZE_MAX ? str_skip(content_type, end) : (str){content_type.p, 0};
    if (!str_caseeq(str_trim(str_of(content_type.p, content_type.n - rest.n)),
                    STR("multipart/form-data")))
        return fault_set(fault, FAIL_BAD_TYPE, "unsupported_media_type",
                         "The Content-Type must be multipart/form-data.");
    struct param p;
    str boundary = {0};
    enum param_result result;
    multipart_params_skip_empty(&rest);
    while ((result = multipart_param_next(&rest, &p)) == PARAM_OK) {
        multipart_params_skip_empty(&rest);
        if (!str_caseeq(p.name, STR("boundary")))
            continue;
        if (boundary.p != NULL)
            return refuse(fault, "The Content-Type names two boundaries.");
        boundary = p.value;
    }
    if (result == PARAM_BAD)
        return refuse(fault, "The parameters of the Content-Type are malformed.");
    if (boundary.p == NULL)
        return refuse(fault, "The Content-Type names no boundary.");
    if (!is_boundary(boundary)) // which has no backslash either, so nothing is escaped
        return refuse(fault, "The boundary must be 1 to 70 of the characters of RFC 2046.");
    memcpy(to, boundary.p, boundary.n);
    to[boundary.n] = '\0';
    return FAIL_NONE;
}

struct multipart *multipart_create(const char *boundary, const struct multipart_events *events,
                                   void *ctx)
{
    struct multipart *m = calloc(1, sizeof *m);
    if (m == NULL)
        abort();
    assert(is_boundary(str_from(boundary)));
    m->events = events;
    m->ctx = ctx;
    memcpy(m->delimiter, "\r\n--", 4);
    memcpy(m->delimiter + 4, boundary, strlen(boundary) + 1);
    m->delimiter_n = 4 + strlen(boundary);
    m->matched = 2; // the body's start counts as a line's
    buf_init(&m->line, MULTIPART_HEADER_BYTES_MAX);
    return m;
}

void multipart_destroy(struct multipart *m)
{
    if (m == NULL)
        return;
    buf_fini(&m->line);
    free(m);
}

// A part's head.
static bool is_text(str s)
{
    for (size_t i = 0; i != s.n; ++i)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return false;
    return str_is_utf8(s);
}

static enum fail take_name(struct multipart *m, const struct param *p)
{
    char text[MULTIPART_HEADER_BYTES_MAX + 1];
    str name = str_of(text, multipart_param_decode(p, text));
    if (m->part.name.p != NULL)
        return refuse(&m->fault, "A part has two names.");
    if (name.n == 0 || name.n > MULTIPART_NAME_MAX || !is_text(name))
        return refuse(&m->fault, "A part's name must be 1 to 255 bytes of UTF-8 text.");
    memcpy(m->name, name.p, name.n);
    m->part.name = str_of(m->name, name.n);
    return FAIL_NONE;
}

static void set_filename(struct multipart *m, str raw)
{
    multipart_clean_filename(raw, m->filename);
    m->part.filename = str_from(m->filename);
    m->part.is_file = true;
}

// "name*", and the numbered pieces of RFC 2231, which make a file of a field for those who know them.
static bool is_starred(str name)
{
    size_t star = str_find(name, '*');
    if (star == SIZE_MAX)
        return false;
    name.n = star;
    return str_caseeq(name, STR("name")) || str_caseeq(name, STR("filename"));
}

static enum fail read_disposition(struct multipart *m, str value)
{
    if (m->has_disposition)
        return refuse(&m->fault, "A part has two Content-Disposition headers.");
    m->has_disposition = true;
    size_t end = str_find(value, ';');
    str rest = end != SIZE_MAX ? str_skip(value, end) : (str){value.p, 0};
    if (!str_caseeq(str_trim(str_of(value.p, value.n - rest.n)), STR("form-data")))
        return refuse(&m->fault, "A part's Content-Disposition must be form-data.");
    struct param p;
    enum param_result result;
    bool has_plain = false, has_extended = false;
    char text[MULTIPART_HEADER_BYTES_MAX + 1];
    while ((result = multipart_param_next(&rest, &p)) == PARAM_OK) {
        size_t n;
        if (str_caseeq(p.name, STR("name"))) {
            enum fail fail = take_name(m, &p);
            if (fail != FAIL_NONE)
                return fail;
        } else if (str_caseeq(p.name, STR("filename"))) {
            if (has_plain)
                return refuse(&m->fault, "A part has two file names.");
            has_plain = true;
            n = multipart_param_decode(&p, text);
            if (!has_extended) // which is the better one (RFC 6266 §4.3)
                set_filename(m, str_of(text, n));
        } else if (str_caseeq(p.name, STR("filename*"))) {
            if (has_extended || !multipart_param_decode_extended(&p, text, &n))
                return refuse(&m->fault, "A part's filename* must be one UTF-8 name of RFC 8187.");
            has_extended = true;
            set_filename(m, str_of(text, n));
        } else if (is_starred(p.name)) {
            return refuse(&m->fault, "A part's name is spelt in a way that is not supported.");
        }
    }
    if (result == PARAM_BAD)
        return refuse(&m->fault, "A part's Content-Disposition is malformed.");
    return FAIL_NONE;
}

static enum fail read_type(struct multipart *m, str value)
{
    if (m->has_type)
        return refuse(&m->fault, "A part has two Content-Type headers.");
    m->has_type = true;
    if (value.n > 10 && str_caseeq(str_of(value.p, 10), STR("multipart/")))
        return refuse(&m->fault, "A multipart within a part is not supported.");
    if (value.n == 0 || value.n > MULTIPART_NAME_MAX || !is_text(value))
        return refuse(&m->fault, "A part's Content-Type must be 1 to 255 bytes of text.");
    memcpy(m->content_type, value.p, value.n);
    m->part.content_type = str_of(m->content_type, value.n);
    return FAIL_NONE;
}

static enum fail read_header(struct multipart *m, str line)
{
    if (++m->headers > MULTIPART_HEADERS_MAX)
        return too_large(m, "A part has more than 16 headers.");
    if (line.p[0] == ' ' || line.p[0] == '\t')
        return refuse(&m->fault, "A part's header is folded over several lines.");
    if (str_find(line, ':') == SIZE_MAX || str_find(line, '\0') != SIZE_MAX ||
        str_find(line, '\r') != SIZE_MAX)
        return refuse(&m->fault, "A part's header is malformed.");
    str value = line, name = str_cut(&value, ':');
    value = str_trim(value);
    if (!multipart_is_token(name))
        return refuse(&m->fault, "A part's header has a malformed name.");
    if (str_caseeq(name, STR("Content-Disposition")))
        return read_disposition(m, value);
    if (str_caseeq(name, STR("Content-Type")))
        return read_type(m, value);
    if (str_caseeq(name, STR("Content-Transfer-Encoding")) && !str_caseeq(value, STR("7bit")) &&
        !str_caseeq(value, STR("8bit")) && !str_caseeq(value, STR("binary")))
        return refuse(&m->fault, "A part's Content-Transfer-Encoding is not supported.");
    return FAIL_NONE;
}

static enum fail begin_head(struct multipart *m)
{
    if (++m->parts > MULTIPART_PARTS_MAX)
        return too_large(m, "There are more than 100 parts.");
    m->state = HEAD;
    m->head_bytes = m->headers = 0;
    m->has_disposition = m->has_type = false;
    m->part = (struct multipart_part){.content_type = STR("text/plain")};
    buf_clear(&m->line);
    return FAIL_NONE;
}

static enum fail end_head(struct multipart *m)
{
    if (!m->has_disposition)
        return refuse(&m->fault, "A part has no Content-Disposition header.");
    if (m->part.name.p == NULL)
        return refuse(&m->fault, "A part has no name.");
    m->state = DATA;
    m->matched = 0;
    if (m->events->on_part != NULL)
        return m->events->on_part(m->ctx, &m->part, &m->fault);
    return FAIL_NONE;
}

static enum fail feed_head(struct multipart *m, str *piece)
{
    size_t end = str_find(*piece, '\n');
    str taken = end == SIZE_MAX ? *piece : str_of(piece->p, end + 1);
    m->head_bytes += taken.n;
    if (m->head_bytes > MULTIPART_HEADER_BYTES_MAX)
        return too_large(m, "A part has more than 8 KiB of headers.");
    buf_add(&m->line, taken);
    *piece = str_skip(*piece, taken.n);
    if (end == SIZE_MAX)
        return FAIL_NONE;
    str line = buf_str(&m->line);
    if (!str_ends(line, STR("\r\n")))
        return refuse(&m->fault, "Lines must end with CRLF.");
    line.n -= 2;
    enum fail fail = line.n == 0 ? end_head(m) : read_header(m, line);
    buf_clear(&m->line);
    return fail;
}

// Bytes that belong to no delimiter.
static enum fail emit(struct multipart *m, str bytes)
{
    if (bytes.n == 0)
        return FAIL_NONE;
    if (m->state == PREAMBLE) {
        m->outside_n += bytes.n;
        if (m->outside_n > MULTIPART_PREAMBLE_MAX)
            return refuse(&m->fault, "The body does not begin with the boundary.");
        return FAIL_NONE;
    }
    if (m->events->on_data != NULL)
        return m->events->on_data(m->ctx, bytes, &m->fault);
    return FAIL_NONE;
}

static enum fail end_data(struct multipart *m)
{
    bool was_part = m->state == DATA;
    m->state = AFTER_DELIMITER;
    m->after_n = m->matched = m->outside_n = 0;
    if (was_part && m->events->on_part_end != NULL)
        return m->events->on_part_end(m->ctx, &m->fault);
    return FAIL_NONE;
}

// 16 bytes at a time, in the compilers' own words for any processor.
typedef unsigned char lanes __attribute__((vector_size(16)));
enum { LANES = 16, BLOCK = 4 * LANES };

static lanes line_ends(const char *p)
{
    lanes first, second;
    memcpy(&first, p, LANES);
    memcpy(&second, p + 1, LANES);
    return (lanes)((first == '\r') & (second == '\n'));
}

// Whether CRLF begins in the next BLOCK bytes; one more is read.
static bool block_has_line_end(const char *p)
{
    lanes found =
        line_ends(p) | line_ends(p + LANES) | line_ends(p + 2 * LANES) | line_ends(p + 3 * LANES);
    uint64_t halves[2];
    memcpy(halves, &found, sizeof halves);
    return (halves[0] | halves[1]) != 0;
}

// Where the delimiter begins in `s`; SIZE_MAX: nowhere.
static size_t find_delimiter(const struct multipart *m, str s)
{
    size_t places = s.n >= m->delimiter_n ? s.n - m->delimiter_n + 1 : 0;
    for (size_t at = 0; at < places;) {
        if (s.n - at > BLOCK && !block_has_line_end(s.p + at)) {
            at += BLOCK;
            continue;
        }
        size_t end = places - at < BLOCK ? places : at + BLOCK;
        for (const char *cr; (cr = memchr(s.p + at, '\r', end - at)) != NULL;) {
            at = (size_t)(cr - s.p);
            if (memcmp(cr, m->delimiter, m->delimiter_n) == 0)
                return at;
            ++at;
        }
        at = end;
    }
    return SIZE_MAX;
}

// How many bytes at the end of `s`, which holds no delimiter, may begin one: from the last CR on.
static size_t begun_delimiter(const struct multipart *m, str s)
{
    size_t n = s.n < m->delimiter_n - 1 ? s.n : m->delimiter_n - 1;
    const char *end = s.p + s.n, *cr = n != 0 ? memrchr(end - n, '\r', n) : NULL;
    size_t begun = cr != NULL ? (size_t)(end - cr) : 0;
    return memcmp(end - begun, m->delimiter, begun) == 0 ? begun : 0;
}

// Goes on with a delimiter that an earlier piece began. What turns out to be none is given out.
static enum fail feed_begun(struct multipart *m, str *piece)
{
    size_t held = m->matched, n = 0;
    while (n != piece->n && m->matched != m->delimiter_n &&
           piece->p[n] == m->delimiter[m->matched]) {
        ++m->matched;
        ++n;
    }
    if (m->matched == m->delimiter_n || n == piece->n) {
        *piece = str_skip(*piece, n);
        return FAIL_NONE;
    }
    m->matched = 0; // what of it stands in this piece is looked at again: it holds no CR
    return emit(m, str_of(m->delimiter, held));
}

// PREAMBLE and DATA: up to and with the next delimiter, or all of the piece.
static enum fail feed_data(struct multipart *m, str *piece)
{
    enum fail fail = m->matched != 0 ? feed_begun(m, piece) : FAIL_NONE;
    if (fail != FAIL_NONE || (m->matched != 0 && m->matched != m->delimiter_n))
        return fail;
    if (m->matched == 0) {
        size_t at = find_delimiter(m, *piece);
        m->matched = at != SIZE_MAX ? m->delimiter_n : begun_delimiter(m, *piece);
        size_t bytes = at != SIZE_MAX ? at : piece->n - m->matched;
        fail = emit(m, str_of(piece->p, bytes));
        *piece = str_skip(*piece, bytes + m->matched);
    }
    if (fail == FAIL_NONE && m->matched == m->delimiter_n)
        fail = end_data(m);
    return fail;
}

// Transport padding (RFC 2046 §5.1.1): blanks before the line's end.
static bool is_padding(const struct multipart *m, char c)
{
    return m->after_n == 0 && (c == ' ' || c == '\t');
}

static enum fail feed_after_delimiter(struct multipart *m, str *piece)
{
    char c = piece->p[0];
    *piece = str_skip(*piece, 1);
    if (is_padding(m, c))
        return ++m->outside_n <= MULTIPART_PADDING_MAX
                   ? FAIL_NONE
                   : refuse(&m->fault, "Too much follows a boundary.");
    m->after[m->after_n++] = c;
    str after = str_of(m->after, m->after_n);
    if (after.p[0] == '\n')
        return refuse(&m->fault, "Lines must end with CRLF.");
    bool may_end_all = m->outside_n == 0 && str_starts(STR("--"), after);
    if (!str_starts(STR("\r\n"), after) && !may_end_all)
        return refuse(&m->fault, "A boundary is followed by something other than a line end.");
    if (m->after_n == 1)
        return FAIL_NONE;
    if (after.p[0] == '\r')
        return begin_head(m);
    m->state = EPILOGUE;
    m->outside_n = 0;
    return FAIL_NONE;
}

static enum fail feed_epilogue(struct multipart *m, str *piece)
{
    m->outside_n += piece->n;
    for (size_t i = 0; i != piece->n; ++i)
        if (memchr(" \t\r\n", piece->p[i], 4) == NULL)
            return refuse(&m->fault, "Something follows the last boundary.");
    if (m->outside_n > MULTIPART_EPILOGUE_MAX)
        return refuse(&m->fault, "Too much follows the last boundary.");
    *piece = (str){piece->p, 0};
    return FAIL_NONE;
}

static enum fail step(struct multipart *m, str *piece)
{
    switch (m->state) {
    case PREAMBLE:
    case DATA:
        return feed_data(m, piece);
    case AFTER_DELIMITER:
        return feed_after_delimiter(m, piece);
    case HEAD:
        return feed_head(m, piece);
    case EPILOGUE:
        return feed_epilogue(m, piece);
    }
    abort();
}

static enum fail answer(const struct multipart *m, struct fault *fault)
{
    if (m->fault.fail != FAIL_NONE && fault != NULL)
        *fault = m->fault;
    return m->fault.fail;
}

enum fail multipart_feed(struct multipart *m, str piece, struct fault *fault)
{
    while (piece.n != 0 && m->fault.fail == FAIL_NONE) {
        enum fail fail = step(m, &piece);
        if (fail != FAIL_NONE && m->fault.fail == FAIL_NONE)
            m->fault.fail = fail; // a callback that filled nothing
    }
    return answer(m, fault);
}

enum fail multipart_end(struct multipart *m, struct fault *fault)
{
    if (m->fault.fail == FAIL_NONE && m->state != EPILOGUE)
        refuse(&m->fault, m->parts == 0 && m->state == PREAMBLE
                              ? "The body does not hold the boundary."
                              : "The body ends before its last boundary.");
    return answer(m, fault);
}
