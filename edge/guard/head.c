// The head of an HTTP/1 request as the next server, or the one in front, must not be able to read
// differently: what is ambiguous is refused, what is lawful but unknown to libh2o 2.2.5
// (absolute-form targets, `Connection: TE`) is put into the form that it knows. picohttpparser has
// already refused controls, spaces before the colon and bare CR. Its pointers are exact, so that a
// bare LF shows as a gap of one byte between two fields where there must be two.
#include "edge/guard/head.h"
#include <string.h>

static const unsigned char TOKEN = 1, HOST = 2;

// Which bytes may stand in a token (RFC 9110 §5.6.2) and in a registered name (RFC 3986 §3.2.2).
static unsigned char class_of(unsigned char ch)
{
    if ((ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z'))
        return TOKEN | HOST;
    switch (ch) {
    case '!':
    case '$':
    case '%':
    case '&':
    case '\'':
    case '*':
    case '+':
    case '-':
    case '.':
    case '_':
    case '~':
        return TOKEN | HOST;
    case '#':
    case '^':
    case '`':
    case '|':
        return TOKEN;
    case '(':
    case ')':
    case ';':
    case '=':
        return HOST;
    default:
        return 0;
    }
}

static bool all_of(str s, unsigned char class)
{
    for (size_t i = 0; i < s.n; ++i)
        if ((class_of((unsigned char)s.p[i]) & class) == 0)
            return false;
    return true;
}

bool head_is_token(str s)
{
    return s.n != 0 && all_of(s, TOKEN);
}

static bool is_port(str s)
{
    uint64_t port;
    return s.n == 0 || str_to_u64(s, 65535, &port);
}

static bool is_bracketed(str s)
{
    size_t end = str_find(s, ']');
    if (end == SIZE_MAX || end < 3)
        return false;
    for (size_t i = 1; i < end; ++i)
        if (strchr("0123456789abcdefABCDEF:.", s.p[i]) == NULL)
            return false;
    str rest = str_skip(s, end + 1);
    return rest.n == 0 || (rest.p[0] == ':' && is_port(str_skip(rest, 1)));
}

bool head_is_authority(str s)
{
    if (s.n == 0)
        return false;
    if (s.p[0] == '[')
        return is_bracketed(s);
    str port = s, host = str_cut(&port, ':');
    return host.n != 0 && all_of(host, HOST) && is_port(port);
}

bool head_is_target(str s, str method)
{
    if (str_eq(s, STR("*")))
        return str_eq(method, STR("OPTIONS"));
    if (s.n == 0 || s.p[0] != '/')
        return false;
    for (size_t i = 0; i < s.n; ++i)
        if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f)
            return false;
    return true;
}

static bool named(const struct phr_header *f, str name)
{
    return f->name_len == name.n && str_caseeq(str_of(f->name, f->name_len), name);
}

// Each line's end, and with it each line's beginning, is where two bytes of CRLF put it.
static bool lines_end_in_crlf(const struct head *h)
{
    const char *end = h->target.p + h->target.n + sizeof(" HTTP/1.x") - 1;
    if (h->bytes[0] == '\n')
        return false;
    for (size_t i = 0; i < h->count; ++i) {
        const struct phr_header *f = &h->fields[i];
        if (f->name != end + 2)
            return false;
        end = f->value + f->value_len;
    }
    return end + 4 == h->bytes + h->n;
}

static void trim_values(struct head *h)
{
    for (size_t i = 0; i < h->count; ++i) {
        struct phr_header *f = &h->fields[i];
        while (f->value_len != 0 &&
               (f->value[f->value_len - 1] == ' ' || f->value[f->value_len - 1] == '\t'))
            --f->value_len;
    }
}

static bool is_digits(str s)
{
    for (size_t i = 0; i < s.n; ++i)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return s.n != 0;
}

// RFC 9112 §6.1 to §6.3: at most one of the two fields, once.
static bool read_framing(struct head *h, struct phr_header *f)
{
    if (h->entity != NULL)
        return false;
    str value = str_of(f->value, f->value_len);
    h->entity = f;
    h->is_chunked = f->name_len == sizeof("transfer-encoding") - 1;
    if (h->is_chunked)
        return h->minor_version == 1 && str_caseeq(value, STR("chunked"));
    if (!is_digits(value))
        return false;
    if (!str_to_u64(value, UINT64_MAX - 1, &h->content_length))
        h->content_length = UINT64_MAX;
    return true;
}

static bool list_has(str list, str token)
{
    while (list.n != 0)
        if (str_caseeq(str_trim(str_cut(&list, ',')), token))
            return true;
    return false;
}

// RFC 9112 §9.3. libh2o looks for "keep-alive" in the last such field, and ends HTTP/1.1
// connections that name anything else.
static void settle_connection(struct head *h, bool close, bool keep_alive)
{
    str say = close || (h->minor_version == 0 && !keep_alive) ? STR("close") : STR("keep-alive");
    for (size_t i = 0; i < h->count; ++i)
        if (named(&h->fields[i], STR("connection"))) {
            h->fields[i].value = say.p;
            h->fields[i].value_len = say.n;
        }
}

// Takes a field out of the list. What has been found so far stands before it and stays where it is.
static void drop_field(struct head *h, struct phr_header *f)
{
    struct phr_header *end = h->fields + h->count;
    memmove(f, f + 1, (size_t)((char *)end - (char *)(f + 1)));
    --h->count;
}

static bool read_fields(struct head *h, struct phr_header **ret_host)
{
    bool close = false, keep_alive = false;
    for (size_t i = 0; i < h->count;) {
        struct phr_header *f = &h->fields[i];
        str value = str_of(f->value, f->value_len);
        if (named(f, STR("host"))) {
            if (*ret_host != NULL)
                return false;
            *ret_host = f;
        } else if (named(f, STR("content-length")) || named(f, STR("transfer-encoding"))) {
            if (!read_framing(h, f))
                return false;
        } else if (named(f, STR("connection"))) {
            close |= list_has(value, STR("close"));
            keep_alive |= list_has(value, STR("keep-alive"));
        } else if (named(f, STR("upgrade"))) {
            drop_field(h, f);
            continue;
        }
        ++i;
    }
    settle_connection(h, close, keep_alive);
    return *ret_host != NULL || h->minor_version == 0;
}

// "http://authority/path" becomes "/path"; ret_authority stays empty for the other forms.
static bool cut_absolute_form(struct head *h, str *ret_authority)
{
    str scheme = str_of(h->target.p, 7);
    if (h->target.n >= 8 && str_caseeq(str_of(h->target.p, 8), STR("https://")))
        scheme.n = 8;
    else if (h->target.n < 7 || !str_caseeq(scheme, STR("http://")))
        return true;
    str rest = str_skip(h->target, scheme.n);
    size_t end = 0;
    while (end < rest.n && rest.p[end] != '/' && rest.p[end] != '?')
        ++end;
    if (end == 0)
        return false;
    *ret_authority = str_of(rest.p, end);
    h->target = str_skip(rest, end);
    if (h->target.n == 0) {
        h->target = str_eq(h->method, STR("OPTIONS")) ? STR("*") : STR("/");
    } else if (h->target.p[0] == '?') {
        // an empty path is "/" (RFC 9110 §4.2.3): the authority moves up by a byte, over the last
        // one of "//", to make room
        char *at = h->bytes + (ret_authority->p - h->bytes);
        memmove(at - 1, at, end);
        at[end - 1] = '/';
        ret_authority->p = at - 1;
        h->target = str_of(at + end - 1, h->target.n + 1);
    }
    return head_is_authority(*ret_authority);
}

bool head_straighten(struct head *h)
{
    struct phr_header *host = NULL;
    str of_target = {NULL, 0};

    h->entity = NULL;
    h->is_chunked = false;
    h->content_length = 0;
    h->authority = of_target;
    if (h->minor_version < 0 || h->minor_version > 1 || !head_is_token(h->method) ||
        !lines_end_in_crlf(h))
        return false;
    trim_values(h);
    if (!read_fields(h, &host) || !cut_absolute_form(h, &of_target) ||
        !head_is_target(h->target, h->method))
        return false;
    if (host == NULL)
        return of_target.n == 0; // libh2o takes the authority from a field only
    if (!head_is_authority(str_of(host->value, host->value_len)))
        return false;
    if (of_target.n != 0) {
        host->value = of_target.p;
        host->value_len = of_target.n;
    }
    h->authority = str_of(host->value, host->value_len);
    return true;
}
