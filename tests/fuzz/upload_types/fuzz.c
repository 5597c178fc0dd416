// A stranger's file: what the cage says it is, its name, the type it was sent as, and its bytes, a line
// each behind one byte of flags. Whatever they are, a kept name is a plain one, and a visitor's ends in
// what its type is called.
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include "edge/http/multipart/multipart.h"
#include "uploads/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const char *name)
{
    str s = str_from(name);
    assert(s.n != 0 && s.n < FILE_NAME_ROOM && str_is_utf8(s));
    assert(name[0] != '.' && strpbrk(name, "/\\") == NULL);
}

// Nothing that a server or a desktop would run by its name.
static void check_extension(const char *name)
{
    static const char *const bad[] = {".html",  ".htm", ".js",  ".svgz", ".php",  ".exe",     ".sh",
                                      ".xhtml", ".jar", ".bat", ".lnk",  ".docm", ".htaccess"};
    for (size_t i = 0; i != sizeof bad / sizeof bad[0]; ++i) {
        str s = str_from(name), e = str_from(bad[i]);
        assert(s.n < e.n || !str_caseeq(str_skip(s, s.n - e.n), e));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct inspect_seen seen = {0};
    struct fault fault;
    char given[FILE_NAME_ROOM], name[FILE_NAME_ROOM], mime[FILE_MIME_ROOM];
    json_t *details = NULL;
    if (size < 1)
        return 0;
    str rest = str_of(data + 1, size - 1), what = str_cut(&rest, '\n'), raw = str_cut(&rest, '\n'),
        declared = str_cut(&rest, '\n');
    bool is_owner = (data[0] & 1) != 0;
    seen.has_active = (data[0] & 2) != 0;
    seen.active = !seen.has_active        ? INSPECT_NOT_ACTIVE
                  : (data[0] & 0x80) != 0 ? INSPECT_FRAGMENT
                                          : INSPECT_HTML;
    seen.container = (enum inspect_container)((data[0] >> 2 & 0x1f) % INSPECT_CONTAINERS);
    snprintf(seen.mime, sizeof seen.mime, "%.*s", (int)(what.n < 100 ? what.n : 100), what.p);
    seen.mime[str_utf8_prefix(str_from(seen.mime))] = '\0';
    declared.n = str_utf8_prefix(declared);
    multipart_clean_filename(raw, given);
    enum fail fail =
        type_decide(&seen, rest, str_from(given), declared, is_owner, mime, name, &details, &fault);
    if (fail == FAIL_NONE) {
        check_name(name);
        if (!is_owner)
            check_extension(name);
        type_is_inline(mime, rest);
    } else {
        assert(fail == FAIL_BAD_TYPE && !is_owner && details != NULL);
        assert(fault.public_text[0] != '\0' && str_is_utf8(str_from(fault.public_text)));
    }
    json_decref(details);
    return 0;
}
