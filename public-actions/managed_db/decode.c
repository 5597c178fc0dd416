// Values by their type's number, which never changes between versions of PostgreSQL.
#include "public-actions/managed_db/decode.h"
#include <stdlib.h>
#include "edge/base/jsonx.h"

enum {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_OID = 26,
    OID_JSON = 114,
    OID_FLOAT4 = 700,
    OID_FLOAT8 = 701,
    OID_DATE = 1082,
    OID_TIMESTAMP = 1114,
    OID_TIMESTAMPTZ = 1184,
    OID_NUMERIC = 1700,
    OID_JSONB = 3802,
    OID_TEXT = 25,
    DEPTH_MAX = 500,
    KEYS_MAX = 4 * 1024 * 1024, // 1,664 columns of 63 bytes, escaped
    FIELD_MAX = 4096,           // of an error
};

// --- single values ---

// NaN and the infinities, which JSON has not, become null.
static void write_number(str text, struct buf *to)
{
    bool is_one = text.n != 0 && (text.p[0] == '-' || (text.p[0] >= '0' && text.p[0] <= '9'));
    buf_add(to, is_one && jsonx_is_valid(text, 1) ? text : STR("null"));
}

static void write_json(str text, struct buf *to)
{
    if (jsonx_is_valid(text, DEPTH_MAX))
        buf_add(to, text);
    else // nested too deeply, or the session's encoding was changed
        jsonx_add_string(to, text);
}

static unsigned hex_digit(char c)
{
    return (unsigned)(c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 0);
}

// The byte at the front of a bytea's text: hexadecimal, or, when the statement chose so for itself,
// escaped with \\ and \ooo.
static unsigned take_byte(str *rest, bool is_hex)
{
    size_t n = is_hex ? 2 : rest->p[0] != '\\' ? 1 : rest->n >= 2 && rest->p[1] == '\\' ? 2 : 4;
    const char *p = rest->p;
    n = n < rest->n ? n : rest->n;
    *rest = str_skip(*rest, n);
    if (is_hex && n == 2)
        return hex_digit(p[0]) << 4 | hex_digit(p[1]);
    if (n == 4)
        return ((unsigned)(p[1] - '0') << 6 | (unsigned)(p[2] - '0') << 3 |
                (unsigned)(p[3] - '0')) &
               255;
    return (unsigned char)p[0];
}

static void write_base64(str text, struct buf *to)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bool is_hex = str_starts(text, STR("\\x"));
    text = is_hex ? str_skip(text, 2) : text;
    buf_addc(to, '"');
    while (text.n != 0 && !to->full) {
        char four[4];
        unsigned bits = 0, have = 0;
        for (; have != 3 && text.n != 0; ++have)
            bits |= take_byte(&text, is_hex) << (16 - 8 * have);
        for (unsigned i = 0; i != 4; ++i)
            four[i] = i <= have ? digits[bits >> (18 - 6 * i) & 63] : '=';
        buf_add(to, str_of(four, 4));
    }
    buf_addc(to, '"');
}

static void write_time(str text, struct buf *to)
{
    if (managed_db_time_write(text, to))
        return;
    if (str_eq(text, STR("infinity")) || str_eq(text, STR("-infinity")))
        buf_add(to, STR("null"));
    else // the statement chose a style for itself
        jsonx_add_string(to, text);
}

// The element type of the array types that are known here; 0: it is none of them.
static Oid element_of(Oid type)
{
    switch (type) {
    case 1000:
        return OID_BOOL;
    case 1001:
        return OID_BYTEA;
    case 1005:
        return OID_INT2;
    case 1007:
        return OID_INT4;
    case 1016:
        return OID_INT8;
    case 1028:
        return OID_OID;
    case 1021:
        return OID_FLOAT4;
    case 1022:
        return OID_FLOAT8;
    case 199:
        return OID_JSON;
    case 3807:
        return OID_JSONB;
    case 1182:
        return OID_DATE;
    case 1115:
        return OID_TIMESTAMP;
    case 1185:
        return OID_TIMESTAMPTZ;
    case 1231:
        return OID_NUMERIC;
    case 1002: // "char"
    case 1003: // name
    case 1009: // text
    case 1014: // bpchar
    case 1015: // varchar
    case 1040: // macaddr
    case 1041: // inet
    case 651:  // cidr
    case 1183: // time
    case 1270: // timetz
    case 1187: // interval
    case 2951: // uuid
        return OID_TEXT;
    default:
        return 0;
    }
}

static void write_other(Oid type, str text, struct buf *to)
{
    Oid element = element_of(type);
    if (element == 0 || !managed_db_array_write(element, text, to))
        jsonx_add_string(to, text);
}

void managed_db_value_write(Oid type, str text, struct buf *to)
{
    switch (type) {
    case OID_BOOL:
        buf_add(to, str_eq(text, STR("t")) ? STR("true") : STR("false"));
        return;
    case OID_INT2:
    case OID_INT4:
    case OID_OID:
    case OID_FLOAT4:
    case OID_FLOAT8:
        write_number(text, to);
        return;
    case OID_JSON:
    case OID_JSONB:
        write_json(text, to);
        return;
    case OID_DATE:
    case OID_TIMESTAMP:
    case OID_TIMESTAMPTZ:
        write_time(text, to);
        return;
    case OID_BYTEA:
        write_base64(text, to);
        return;
    default:
        write_other(type, text, to);
    }
}

// --- rows ---

static int by_name(const void *a, const void *b, void *result)
{
    int x = *(const int *)a, y = *(const int *)b;
    int c = strcmp(PQfname(result, x), PQfname(result, y));
    return c != 0 ? c : x - y;
}

// Of neighbours in the order of names, all but the last are hidden.
static void hide_doubles(struct managed_db_columns *c, const PGresult *r)
{
    int *order = malloc(((size_t)c->count + 1) * sizeof *order);
    if (order == NULL)
        abort();
    for (int i = 0; i != c->count; ++i)
        order[i] = i;
    qsort_r(order, (size_t)c->count, sizeof *order, by_name, (void *)r);
    for (int i = 1; i < c->count; ++i)
        c->list[order[i - 1]].is_hidden =
            strcmp(PQfname(r, order[i - 1]), PQfname(r, order[i])) == 0;
    free(order);
}

void managed_db_columns_init(struct managed_db_columns *c, const PGresult *r)
{
    *c = (struct managed_db_columns){.count = PQnfields(r)};
    buf_init(&c->keys, KEYS_MAX);
    c->list = calloc((size_t)c->count + 1, sizeof *c->list);
    if (c->list == NULL)
        abort();
    for (int i = 0; i != c->count; ++i) {
        struct managed_db_column *column = &c->list[i];
        column->type = PQftype(r, i);
        column->key = (uint32_t)c->keys.n;
        jsonx_add_string(&c->keys, str_from(PQfname(r, i)));
        buf_addc(&c->keys, ':');
        column->size = (uint32_t)c->keys.n - column->key;
    }
    hide_doubles(c, r);
}

void managed_db_columns_fini(struct managed_db_columns *c)
{
    free(c->list);
    buf_fini(&c->keys);
    *c = (struct managed_db_columns){0};
}

void managed_db_columns_write(const struct managed_db_columns *c, struct buf *to)
{
    buf_addc(to, '[');
    for (int i = 0; i != c->count; ++i) {
        if (i != 0)
            buf_addc(to, ',');
        buf_add(to, str_of(c->keys.p + c->list[i].key, c->list[i].size - 1));
    }
    buf_addc(to, ']');
}

void managed_db_row_write(const struct managed_db_columns *c, const PGresult *r, int row,
                          struct buf *to)
{
    char before = '{';
    for (int i = 0; i != c->count; ++i) {
        const struct managed_db_column *column = &c->list[i];
        if (column->is_hidden)
            continue;
        buf_addc(to, before);
        before = ',';
        buf_add(to, str_of(c->keys.p + column->key, column->size));
        if (PQgetisnull(r, row, i))
            buf_add(to, STR("null"));
        else
            managed_db_value_write(
                column->type, str_of(PQgetvalue(r, row, i), (size_t)PQgetlength(r, row, i)), to);
    }
    if (before == '{')
        buf_addc(to, '{');
    buf_addc(to, '}');
}

// --- errors ---

static void write_field(const PGresult *r, int code, const char *name, struct buf *to)
{
    const char *text = PQresultErrorField(r, code);
    if (text == NULL)
        return;
    buf_addf(to, ",\"%s\":", name);
    jsonx_add_string(to, str_of(text, strnlen(text, FIELD_MAX)));
}

void managed_db_error_write(const PGresult *r, struct buf *to)
{
    const char *message = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    if (message == NULL) // libpq's own
        message = "The answer of the database could not be read.";
    buf_add(to, STR("{\"message\":"));
    jsonx_add_string(to, str_of(message, strnlen(message, FIELD_MAX)));
    write_field(r, PG_DIAG_SQLSTATE, "code", to);
    write_field(r, PG_DIAG_STATEMENT_POSITION, "position", to);
    write_field(r, PG_DIAG_MESSAGE_DETAIL, "detail", to);
    write_field(r, PG_DIAG_MESSAGE_HINT, "hint", to);
    write_field(r, PG_DIAG_SCHEMA_NAME, "schema", to);
    write_field(r, PG_DIAG_TABLE_NAME, "table", to);
    write_field(r, PG_DIAG_COLUMN_NAME, "column", to);
    write_field(r, PG_DIAG_CONSTRAINT_NAME, "constraint", to);
    buf_addc(to, '}');
}
