// The server's side of the protocol: a frame is either exactly what may come now, or the end.
#include "edge/inspect/answer.h"

enum { ENTRY_PROBLEMS_MAX = 3 };

void answer_init(struct answer *a, const struct inspect_limits *limits,
                 const struct inspect_visitor *visitor)
{
    *a = (struct answer){._limits = limits, ._visitor = visitor};
}

bool inspect_problem_is_of_entry(enum inspect_problem problem)
{
    return problem == INSPECT_ENTRY_DAMAGED || problem == INSPECT_FILE_TOO_LARGE;
}

static bool is_text(str s, size_t max)
{
    return s.n <= max && str_find(s, '\0') == SIZE_MAX;
}

static bool take_entry(struct answer *a, str body)
{
    if (body.n < 2 || (uint8_t)body.p[0] >= INSPECT_KINDS)
        return false;
    enum inspect_kind kind = (enum inspect_kind)body.p[0];
    str path = str_skip(body, 1);
    if (!is_text(path, INSPECT_PATH_MAX) || a->_seen.entries == a->_limits->entries)
        return false;
    ++a->_seen.entries;
    a->_is_file = kind == INSPECT_FILE;
    a->_file_bytes = 0;
    a->_entry_problems = 0;
    a->_visitor->on_entry(a->_visitor->ctx, kind, path);
    return true;
}

static bool take_content(struct answer *a, str piece)
{
    if (!a->_is_file || piece.n == 0 || piece.n > a->_limits->file_bytes - a->_file_bytes ||
        piece.n > a->_limits->total_bytes - a->_seen.bytes)
        return false;
    a->_file_bytes += piece.n;
    a->_seen.bytes += piece.n;
    a->_visitor->on_content(a->_visitor->ctx, piece);
    return true;
}

static bool take_problem(struct answer *a, str body)
{
    if (body.n < 1 || (uint8_t)body.p[0] >= INSPECT_PROBLEMS)
        return false;
    enum inspect_problem problem = (enum inspect_problem)body.p[0];
    str detail = str_skip(body, 1);
    if (!is_text(detail, INSPECT_DETAIL_MAX))
        return false;
    if (!inspect_problem_is_of_entry(problem))
        a->state = ANSWER_CLOSING;
    else if (a->_seen.entries == 0 || ++a->_entry_problems > ENTRY_PROBLEMS_MAX)
        return false;
    a->_visitor->on_problem(a->_visitor->ctx, problem, detail);
    return true;
}

static bool take_end(struct answer *a, str body)
{
    struct inspect_end end;
    if (body.n != sizeof end)
        return false;
    memcpy(&end, body.p, sizeof end);
    a->state = ANSWER_DONE;
    return end.entries == a->_seen.entries && end.bytes == a->_seen.bytes;
}

static bool take_frame(struct answer *a, uint8_t type, str body)
{
    switch (a->state) {
    case ANSWER_STARTING:
        a->state = ANSWER_OPEN;
        return type == INSPECT_READY && body.n == sizeof(uint32_t);
    case ANSWER_OPEN:
        return type == INSPECT_ENTRY     ? take_entry(a, body)
               : type == INSPECT_CONTENT ? take_content(a, body)
               : type == INSPECT_PROBLEM ? take_problem(a, body)
                                         : type == INSPECT_END && take_end(a, body);
    case ANSWER_CLOSING:
        return type == INSPECT_END && take_end(a, body);
    default:
        return false; // something behind the end
    }
}

enum answer_state answer_take(struct answer *a, struct frame_buffer *bytes)
{
    uint8_t type;
    str body;
    enum frame_next next = FRAME_ONE;
    while (a->state != ANSWER_BROKEN &&
           (next = frame_buffer_next(bytes, &type, &body)) == FRAME_ONE)
        if (!take_frame(a, type, body))
            a->state = ANSWER_BROKEN;
    if (next == FRAME_BROKEN)
        a->state = ANSWER_BROKEN;
    return a->state;
}
