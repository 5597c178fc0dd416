// What stands in the database as a sealed value, and key files: any bytes open to nothing, and what
// was sealed opens to itself.
#include "edge/base/seal.h"
#include <stdint.h>
#include <stdlib.h>

static const struct seal_context place = {"t", "r", "c", "p"};

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void open_bytes(str bytes)
{
    struct buf b;
    buf_init(&b, 1 << 16);
    enum fail fail = unseal(bytes, &place, &b, NULL);
    check(fail != FAIL_NONE && b.n == 0);
    buf_fini(&b);
}

static void seal_and_open(str plain)
{
    struct buf sealed, opened;
    buf_init(&sealed, 1 << 20);
    buf_init(&opened, 1 << 20);
    if (seal(plain, &place, &sealed, NULL) == FAIL_NONE) {
        enum fail fail = unseal(buf_str(&sealed), &place, &opened, NULL);
        check(fail == FAIL_NONE && str_eq(buf_str(&opened), plain));
    }
    buf_fini(&sealed);
    seal_forget(&opened);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seal_key keys[SEAL_KEYS_MAX] = {{{7}}};
    size_t n;
    char why[200];
    str bytes = str_of(data, size);
    if (!seal_is_ready())
        seal_init(keys, 1);
    open_bytes(bytes);
    seal_and_open(bytes);
    if (seal_keys_parse(bytes, keys, &n, why, sizeof why))
        check(n != 0 && n <= SEAL_KEYS_MAX);
    return 0;
}
