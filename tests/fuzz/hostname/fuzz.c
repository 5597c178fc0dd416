// What an owner types. A name that is taken is one DNS can hold, and stays itself however often it is
// read, in either spelling; a refusal says why.
#include <stdint.h>
#include <stdlib.h>
#include "domains/hostname.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
    if (!truth)
        abort();
}

static void set_up(void)
{
    static bool is_done;
    static const struct hostname_rules rules = {.own = {"apps.stoa-host.com", "127.0.0.1"},
                                                .own_count = 2,
                                                .reserved = "kept.org, b\xc3\xbc"
                                                            "cher.de"};
    if (!is_done)
        hostname_init(&rules);
    is_done = true;
}

static void check_name(const struct hostname *h)
{
    str name = str_from(h->ascii);
    must(name.n > 2 && name.n <= 237 && str_find(name, '.') != SIZE_MAX);
    for (size_t i = 0; i != name.n; ++i) {
        char c = name.p[i];
        must((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.');
    }
    must(str_ends(name, str_from(h->registrable)) && h->registrable[0] != '\0');
    must(str_is_utf8(str_from(h->unicode)));
    must(!str_ends(name, STR(".kept.org")) && !str_ends(name, STR(".test")));
}

static void check_again(const char *text, const struct hostname *first)
{
    struct hostname again;
    must(hostname_parse(str_from(text), &again, NULL) == FAIL_NONE);
    must(strcmp(again.ascii, first->ascii) == 0 && strcmp(again.unicode, first->unicode) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hostname h;
    struct fault fault = {.fail = FAIL_NONE};
    set_up();
    enum fail f = hostname_parse(str_of(data, size), &h, &fault);
    if (f != FAIL_NONE) {
        must(f == FAIL_REFUSED && strcmp(fault.code, "invalid_hostname") == 0);
        str reason = str_from(fault.public_text);
        must(reason.n > 10 && str_is_utf8(reason) && str_ends(reason, STR(".")));
        return 0;
    }
    check_name(&h);
    check_again(h.ascii, &h);
    check_again(h.unicode, &h);
    return 0;
}
