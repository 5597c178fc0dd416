// multipart/form-data: what is accepted, what is refused and why, and that pieces do not matter.
#include "edge/http/multipart/multipart.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

// Events as text: "[name|filename|type]data." a part.
struct seen {
    struct buf text;
    enum fail refuse_data; // what on_data answers
};

static enum fail on_part(void *ctx, const struct multipart_part *part, struct fault *fault)
{
    struct seen *seen = ctx;
    assert_int_equal(part->is_file, part->filename.p != NULL);
    buf_addf(&seen->text, "[%.*s|%.*s|%.*s]", STR_FMT(part->name), (int)part->filename.n,
             part->is_file ? part->filename.p : "", STR_FMT(part->content_type));
    return FAIL_NONE;
}

static enum fail on_data(void *ctx, str bytes, struct fault *fault)
{
    struct seen *seen = ctx;
    assert_int_not_equal(bytes.n, 0);
    buf_add(&seen->text, bytes);
    if (seen->refuse_data != FAIL_NONE)
        return fault_set(fault, seen->refuse_data, "file_too_large", "Too large.");
    return FAIL_NONE;
}

static enum fail on_part_end(void *ctx, struct fault *fault)
{
    struct seen *seen = ctx;
    buf_addc(&seen->text, '.');
    return FAIL_NONE;
}

static const struct multipart_events events = {on_part, on_data, on_part_end};

// Feeds `body` in pieces of `size` bytes, each an own allocation; 0 = all at once.
static enum fail parse(str body, size_t size, struct seen *seen, struct fault *fault)
{
    *fault = (struct fault){0};
    buf_init(&seen->text, 1 << 20);
    struct multipart *m = multipart_create("b0", &events, seen);
    enum fail fail = FAIL_NONE;
    if (size == 0)
        size = body.n;
    for (size_t at = 0; at < body.n && fail == FAIL_NONE; at += size) {
        size_t n = body.n - at < size ? body.n - at : size;
        char *piece = malloc(n);
        memcpy(piece, body.p + at, n);
        fail = multipart_feed(m, str_of(piece, n), fault);
        free(piece);
    }
    if (fail == FAIL_NONE)
        fail = multipart_end(m, fault);
    else
        assert_int_equal(multipart_end(m, NULL), fail); // it says the same ever after
    multipart_destroy(m);
    return fail;
}

static void accept_bytes(str body, const char *text)
{
    for (size_t size = 0; size != 24; ++size) {
        struct seen seen = {0};
        struct fault fault;
        enum fail fail = parse(body, size, &seen, &fault);
        if (fail != FAIL_NONE)
            fail_msg("refused in pieces of %zu: %s", size, fault.public_text);
        buf_addc(&seen.text, '\0');
        assert_string_equal(seen.text.p, text);
        buf_fini(&seen.text);
    }
}

static void accept(const char *body, const char *text)
{
    accept_bytes(str_from(body), text);
}

static void refuse_bytes(str body, enum fail expected, const char *words)
{
    for (size_t size = 0; size != 9; ++size) {
        struct seen seen = {0};
        struct fault fault;
        assert_int_equal(parse(body, size, &seen, &fault), expected);
        if (strstr(fault.public_text, words) == NULL)
            fail_msg("\"%s\" is not in \"%s\"", words, fault.public_text);
        buf_fini(&seen.text);
    }
}

static void refuse(const char *body, const char *words)
{
    refuse_bytes(str_from(body), FAIL_BAD_INPUT, words);
}

#define HEAD(disposition) "--b0\r\nContent-Disposition: " disposition "\r\n\r\n"
#define END "\r\n--b0--\r\n"

static void fields_and_files(void **state)
{
    accept(HEAD("form-data; name=\"a\"") "1" END, "[a||text/plain]1.");
    accept(HEAD("form-data; name=\"a\"") END, "[a||text/plain].");
    accept(
        "--b0\r\ncontent-disposition:form-data;name=f;filename=x.png\r\nContent-Type: image/png\r\n"
        "X-Other: y\r\n\r\nPNG\r\n\r\n" END,
        "[f|x.png|image/png]PNG\r\n\r\n.");
    accept(HEAD("form-data; name=\"a\"") "1\r\n" HEAD("FORM-DATA; name=\"b\"") "2\r\n--b0--",
           "[a||text/plain]1.[b||text/plain]2.");
    accept("--b0--", "");
    accept("\r\n--b0--\r\n", "");
    accept("This is a preamble.\r\n" HEAD("form-data; name=\"a\"") "1" END, "[a||text/plain]1.");
}

static void bytes_that_look_like_a_boundary(void **state)
{
    accept(HEAD("form-data; name=\"a\"") "\r\r\n\r\n-\r\n--\r\n--b\r\n--b1--b0\n--b0\r--b0" END,
           "[a||text/plain]\r\r\n\r\n-\r\n--\r\n--b\r\n--b1--b0\n--b0\r--b0.");
    accept_bytes(STR(HEAD("form-data; name=\"a\"") "\n\n\r\n" END), "[a||text/plain]\n\n\r\n.");
}

static void all_bytes_pass(void **state)
{
    char body[1024];
    size_t head = (size_t)sprintf(body, "%s", HEAD("form-data; name=\"a\"; filename=\"x\""));
    for (int i = 0; i != 256; ++i)
        body[head + (size_t)i] = (char)i;
    memcpy(body + head + 256, END, sizeof END);
    struct seen seen = {0};
    struct fault fault;
    assert_int_equal(parse(str_of(body, head + 256 + sizeof END - 1), 7, &seen, &fault), FAIL_NONE);
    size_t from = seen.text.n - 257;
    for (int i = 0; i != 256; ++i)
        assert_int_equal((unsigned char)seen.text.p[from + (size_t)i], i);
    buf_fini(&seen.text);
}

static void name_of(const char *disposition, const char *filename)
{
    char body[4096], text[1024];
    snprintf(body, sizeof body,
             "--b0\r\nContent-Disposition: form-data; name=\"f\"; %s\r\n\r\nx" END, disposition);
    snprintf(text, sizeof text, "[f|%s|text/plain]x.", filename);
    accept(body, text);
}

static void file_names(void **state)
{
    name_of("filename=\"a b.txt\"", "a b.txt");
    name_of("filename=\"\xc3\xbc.txt\"", "\xc3\xbc.txt");
    name_of("filename=\"a%22b%20.txt\"", "a\"b%20.txt"); // browsers escape the quote only
    name_of("filename=\"a\\\"b.txt\"", "a\"b.txt");      // curl
    name_of("filename=\"a%0D%0Ab\"", "ab");
    name_of("filename=\"../../etc/passwd\"", "passwd");
    name_of("filename=\"C:\\fakepath\\x.doc\"", "x.doc");
    name_of("filename=\"dir\\\\x\"", "x");
    name_of("filename=\"a\x01\x1b[2J\x7f\xc2\x9b.txt\"", "a[2J.txt");
    name_of("filename=\"\"", "file");
    name_of("filename=\"..\"", "file");
    name_of("filename=\"a/\"", "file");
    name_of("filename=\"%0A\"", "file");
    name_of("filename=\"a\xff.txt\"", "a_.txt");
    name_of("filename=\"photo\xe2\x80\xaegpj.exe\"", "photogpj.exe"); // U+202E
    name_of("filename=\"\xe2\x81\xa6\xd8\x9c\xe2\x80\x8e\xe2\x80\xa8\xef\xbb\xbf.\xe2\x81\xa9\"",
            "file");
    name_of("filename=\"\xe2\x80\x94\xef\xbc\xa1\xf0\x9f\x93\xb7.jpg\"",
            "\xe2\x80\x94\xef\xbc\xa1\xf0\x9f\x93\xb7.jpg");
    name_of("filename=\"  a b \x01 \"", "a b");
    name_of("filename=\"x/   \"", "file");
    name_of("filename*=UTF-8''%e2%82%ac%20rates.txt", "\xe2\x82\xac rates.txt");
    name_of("filename=\"fallback\"; filename*=utf-8'en'x.txt", "x.txt");
    name_of("filename*=utf-8''x.txt; filename=\"fallback\"", "x.txt");
    name_of("filename*=UTF-8''..%2f%2e%2e%2fx", "x");
}

static void bad_dispositions(void **state)
{
    refuse("--b0\r\n\r\nx" END, "no Content-Disposition");
    refuse("--b0\r\nContent-Type: text/plain\r\n\r\nx" END, "no Content-Disposition");
    refuse(HEAD("attachment; name=\"a\"") END, "must be form-data");
    refuse(HEAD("form-data") END, "has no name");
    refuse(HEAD("form-data; filename=\"x\"") END, "has no name");
    refuse(HEAD("form-data; name=\"\"") END, "1 to 255 bytes");
    refuse(HEAD("form-data; name=\"a\x01\"") END, "1 to 255 bytes");
    refuse(HEAD("form-data; name=\"a%0A\"") END, "1 to 255 bytes");
    refuse(HEAD("form-data; name=\"a\xff\"") END, "1 to 255 bytes");
    refuse(HEAD("form-data; name=\"a\"; name=\"b\"") END, "two names");
    refuse(HEAD("form-data; name=\"a\"; filename=a; filename=b") END, "two file names");
    refuse(HEAD("form-data; name=\"a") END, "malformed");
    refuse(HEAD("form-data; name=\"a\"x") END, "malformed");
    refuse(HEAD("form-data; name=\"a\"; x") END, "malformed");
    refuse(HEAD("form-data; name=") END, "malformed");
    refuse(HEAD("form-data; name=\"a\"; filename*=latin1''x") END, "RFC 8187");
    refuse(HEAD("form-data; name=\"a\"; filename*=UTF-8''%ff") END, "RFC 8187");
    refuse(HEAD("form-data; name=\"a\"; filename*=UTF-8''%4") END, "RFC 8187");
    refuse(HEAD("form-data; name=\"a\"; filename*=UTF-8''a; filename*=UTF-8''b") END, "RFC 8187");
    refuse(HEAD("form-data; name=\"a\"; filename*0=\"a\"; filename*1=\"b\"") END, "not supported");
    refuse(HEAD("form-data; name=\"a\"; filename*0*=UTF-8''a") END, "not supported");
    refuse(HEAD("form-data; name*=UTF-8''a") END, "not supported");
    refuse(
        "--b0\r\nContent-Disposition: form-data; name=a\r\ncontent-disposition: form-data; name=b"
        "\r\n\r\n" END,
        "two Content-Disposition");
}

static void bad_heads(void **state)
{
#define WITH(header) "--b0\r\nContent-Disposition: form-data; name=a\r\n" header "\r\n\r\n" END
    refuse(WITH("Content-Type: multipart/mixed; boundary=x"), "multipart within a part");
    refuse(WITH("Content-Type: a/b\r\nContent-Type: a/b"), "two Content-Type");
    refuse(WITH("Content-Type:"), "1 to 255 bytes");
    refuse(WITH("Content-Transfer-Encoding: base64"), "not supported");
    accept(WITH("Content-Transfer-Encoding: binary"), "[a||text/plain].");
    refuse(WITH("No colon"), "malformed");
    refuse(WITH("Bad name: x"), "malformed name");
    refuse(WITH(": x"), "malformed name");
    refuse(WITH("A: b\r\n folded"), "folded");
    refuse(WITH("A: b\rc"), "malformed");
    refuse_bytes(STR(WITH("A: b\0c")), FAIL_BAD_INPUT, "malformed");
}

static void line_ends_are_crlf(void **state)
{
    refuse("--b0\nContent-Disposition: form-data; name=a\n\n1\n--b0--\n", "CRLF");
    refuse("--b0\r\nContent-Disposition: form-data; name=a\n\r\n1" END, "CRLF");
    refuse(HEAD("form-data; name=a") "1\n--b0--\n", "before its last boundary");
}

static void boundaries_in_the_body(void **state)
{
    refuse("", "does not hold the boundary");
    refuse("hello", "does not hold the boundary");
    refuse("--b1\r\n", "does not hold the boundary");
    refuse(HEAD("form-data; name=a") "1", "before its last boundary");
    refuse(HEAD("form-data; name=a") "1\r\n--b0", "before its last boundary");
    refuse(HEAD("form-data; name=a") "1\r\n--b0-", "before its last boundary");
    refuse("--b0\r\nContent-Disposition: form-data; name=a", "before its last boundary");
    refuse(HEAD("form-data; name=a") "1\r\n--b0x\r\n", "other than a line end");
    refuse(HEAD("form-data; name=a") "1\r\n--b0 x\r\n", "other than a line end");
    refuse(HEAD("form-data; name=a") "1\r\n--b0 --\r\n", "other than a line end");
    refuse(HEAD("form-data; name=a") "1\r\n--b0 -\r\n", "other than a line end");
    refuse(HEAD("form-data; name=a") "1\r\n--b0 \n", "CRLF");
    refuse(HEAD("form-data; name=a") "1\r\n--b0 \rx", "other than a line end");
    refuse(HEAD("form-data; name=a") "1\r\n--b0 ", "before its last boundary");
    refuse(HEAD("form-data; name=a") "1\r\n--b0-", "before its last boundary");
    refuse(HEAD("form-data; name=a") "1\r\n--b0-x", "other than a line end");
    refuse(HEAD("form-data; name=a") "1" END "more", "follows the last boundary");
    refuse(HEAD("form-data; name=a") "1" END "--b0\r\n", "follows the last boundary");
}

// RFC 2046 §5.1.1: of whoever carried the body on; a receiver takes it.
static void padding_behind_a_boundary(void **state)
{
    accept("--b0 \r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--b0\t \t\r\n"
           "Content-Disposition: form-data; name=b\r\n\r\n2 \r\n--b0-- \t\r\n",
           "[a||text/plain]1.[b||text/plain]2 .");
}

static str repeated(struct buf *b, const char *start, const char *piece, unsigned n,
                    const char *end)
{
    buf_init(b, 1 << 20);
    buf_add(b, str_from(start));
    for (unsigned i = 0; i != n; ++i)
        buf_add(b, str_from(piece));
    buf_add(b, str_from(end));
    return buf_str(b);
}

static void long_file_names_are_cut_at_a_character(void **state)
{
    struct buf b, c;
    repeated(&b, "filename=\"", "\xc3\xbc", 200, "\"");
    repeated(&c, "", "\xc3\xbc", 127, "");
    AUTOFREE char *given = buf_take(&b), *wanted = buf_take(&c);
    name_of(given, wanted);
}

static void limits(void **state)
{
    struct buf b;
    struct seen seen = {0};
    struct fault fault;
    static const char part[] = HEAD("form-data; name=a") "\r\n";
    assert_int_equal(parse(repeated(&b, "", part, 100, "--b0--"), 0, &seen, &fault), FAIL_NONE);
    buf_fini(&seen.text);
    buf_fini(&b);
    refuse_bytes(repeated(&b, "", part, 101, "--b0--"), FAIL_TOO_LARGE, "more than 100 parts");
    buf_fini(&b);
    static const char head[] = "--b0\r\nContent-Disposition: form-data; name=a\r\n";
    assert_int_equal(parse(repeated(&b, head, "A: b\r\n", 15, "\r\n" END), 0, &seen, &fault),
                     FAIL_NONE);
    buf_fini(&seen.text);
    buf_fini(&b);
    refuse_bytes(repeated(&b, head, "A: b\r\n", 16, "\r\n" END), FAIL_TOO_LARGE,
                 "more than 16 headers");
    buf_fini(&b);
    refuse_bytes(repeated(&b, head, "x", 8192, ""), FAIL_TOO_LARGE, "more than 8 KiB");
    buf_fini(&b);
    refuse_bytes(repeated(&b, "", "x", 1025, "\r\n--b0--"), FAIL_BAD_INPUT, "does not begin with");
    buf_fini(&b);
    static const char tail[] = "\r\nContent-Disposition: form-data; name=a\r\n\r\n" END;
    assert_int_equal(parse(repeated(&b, "--b0", " ", 1024, tail), 0, &seen, &fault), FAIL_NONE);
    buf_fini(&seen.text);
    buf_fini(&b);
    refuse_bytes(repeated(&b, "--b0", " ", 1025, tail), FAIL_BAD_INPUT, "Too much follows");
    buf_fini(&b);
    refuse_bytes(repeated(&b, "--b0--", "\r\n", 513, ""), FAIL_BAD_INPUT, "Too much follows");
    buf_fini(&b);
}

// One piece: what uploads rely on to use a file in place.
struct in_place {
    str body;
    const char *next; // where the part's next bytes must begin; NULL: anywhere
    size_t bytes;
};

static enum fail on_place(void *ctx, str bytes, struct fault *fault)
{
    struct in_place *seen = ctx;
    assert_true(bytes.p >= seen->body.p && bytes.p + bytes.n <= seen->body.p + seen->body.n);
    assert_true(seen->next == NULL || bytes.p == seen->next);
    seen->next = bytes.p + bytes.n;
    seen->bytes += bytes.n;
    return FAIL_NONE;
}

static enum fail on_place_end(void *ctx, struct fault *fault)
{
    ((struct in_place *)ctx)->next = NULL;
    return FAIL_NONE;
}

static void one_piece_is_used_in_place(void **state)
{
    static const struct multipart_events place = {NULL, on_place, on_place_end};
    static const char first[] = "\r\r\n\r\n--b\r\n--b1\r\n--\r\n", second[] = "\r\n-\n--b0\r";
    struct buf all;
    buf_init(&all, 4096);
    buf_addf(&all, "%s%s\r\n%s%s%s", HEAD("form-data; name=a; filename=x"), first,
             HEAD("form-data; name=b"), second, END);
    struct in_place seen = {.body = buf_str(&all)};
    struct multipart *m = multipart_create("b0", &place, &seen);
    assert_int_equal(multipart_feed(m, seen.body, NULL), FAIL_NONE);
    assert_int_equal(multipart_end(m, NULL), FAIL_NONE);
    assert_int_equal(seen.bytes, sizeof first - 1 + sizeof second - 1);
    multipart_destroy(m);
    buf_fini(&all);
}

static void callback_ends_the_parse(void **state)
{
    struct seen seen = {.refuse_data = FAIL_TOO_LARGE};
    struct fault fault;
    assert_int_equal(parse(STR(HEAD("form-data; name=a") "1" END), 0, &seen, &fault),
                     FAIL_TOO_LARGE);
    assert_string_equal(fault.code, "file_too_large");
    buf_addc(&seen.text, '\0');
    assert_string_equal(seen.text.p, "[a||text/plain]1");
    buf_fini(&seen.text);
}

static void expect_boundary(const char *type, const char *boundary)
{
    char to[MULTIPART_BOUNDARY_MAX + 1];
    struct fault fault = {0};
    enum fail fail = multipart_boundary(str_from(type), to, &fault);
    if (fail != FAIL_NONE)
        fail_msg("%s: %s", type, fault.public_text);
    assert_string_equal(to, boundary);
}

static void expect_no_boundary(const char *type, enum fail expected, const char *words)
{
    char to[MULTIPART_BOUNDARY_MAX + 1];
    struct fault fault = {0};
    assert_int_equal(multipart_boundary(str_from(type), to, &fault), expected);
    if (strstr(fault.public_text, words) == NULL)
        fail_msg("%s: %s", type, fault.public_text);
}

static void boundary_parameter(void **state)
{
    expect_boundary("multipart/form-data; boundary=abc", "abc");
    expect_boundary("Multipart/Form-Data;charset=utf-8;BOUNDARY=\"a b:c\"", "a b:c");
    expect_boundary("multipart/form-data; boundary=----WebKitFormBoundaryx7",
                    "----WebKitFormBoundaryx7");
    expect_boundary("multipart/form-data; boundary=abc;", "abc"); // RFC 9110 §5.6.6
    expect_boundary("multipart/form-data ; ;\t;; boundary=\"abc\" ; ; ", "abc");
    expect_boundary("multipart/form-data;;a=b;;boundary=abc;;c=d", "abc");
    expect_boundary("multipart/form-data; boundary=----=_Part_1.2", "----=_Part_1.2");
    expect_boundary("multipart/form-data; boundary="
                    "1234567890123456789012345678901234567890123456789012345678901234567890",
                    "1234567890123456789012345678901234567890123456789012345678901234567890");
    expect_no_boundary("multipart/form-data; boundary="
                       "12345678901234567890123456789012345678901234567890123456789012345678901",
                       FAIL_BAD_INPUT, "1 to 70");
    expect_no_boundary("", FAIL_BAD_TYPE, "must be multipart/form-data");
    expect_no_boundary("text/plain", FAIL_BAD_TYPE, "must be multipart/form-data");
    expect_no_boundary("multipart/mixed; boundary=a", FAIL_BAD_TYPE, "must be multipart/form-data");
    expect_no_boundary("multipart/form-data", FAIL_BAD_INPUT, "names no boundary");
    expect_no_boundary("multipart/form-data;", FAIL_BAD_INPUT, "names no boundary");
    expect_no_boundary("multipart/form-data; boundary=a; boundary", FAIL_BAD_INPUT, "malformed");
    expect_no_boundary("multipart/form-data; boundary=a;; boundary=b;", FAIL_BAD_INPUT,
                       "two boundaries");
    expect_no_boundary("multipart/form-data; boundary=", FAIL_BAD_INPUT, "malformed");
    expect_no_boundary("multipart/form-data; boundary=\"\"", FAIL_BAD_INPUT, "1 to 70");
    expect_no_boundary("multipart/form-data; boundary=\"a \"", FAIL_BAD_INPUT, "1 to 70");
    expect_no_boundary("multipart/form-data; boundary=\"a\r\nb\"", FAIL_BAD_INPUT, "1 to 70");
    expect_no_boundary("multipart/form-data; boundary=\"a\\\"b\"", FAIL_BAD_INPUT, "1 to 70");
    expect_no_boundary("multipart/form-data; boundary=\"a", FAIL_BAD_INPUT, "malformed");
    expect_no_boundary("multipart/form-data; boundary=a; boundary=b", FAIL_BAD_INPUT,
                       "two boundaries");
    expect_no_boundary("multipart/form-data boundary=a", FAIL_BAD_TYPE, "must be");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_and_files),
        cmocka_unit_test(bytes_that_look_like_a_boundary),
        cmocka_unit_test(all_bytes_pass),
        cmocka_unit_test(file_names),
        cmocka_unit_test(long_file_names_are_cut_at_a_character),
        cmocka_unit_test(bad_dispositions),
        cmocka_unit_test(bad_heads),
        cmocka_unit_test(line_ends_are_crlf),
        cmocka_unit_test(padding_behind_a_boundary),
        cmocka_unit_test(boundaries_in_the_body),
        cmocka_unit_test(limits),
        cmocka_unit_test(one_piece_is_used_in_place),
        cmocka_unit_test(callback_ends_the_parse),
        cmocka_unit_test(boundary_parameter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
