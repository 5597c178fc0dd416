// What handlers ask and what their tables answer: arguments are read or refused, and whatever text
// a value has, of whatever type, what is written is JSON.
#include "public-actions/managed_db/decode.h"
#include <stdint.h>
#include <stdlib.h>
#include "edge/base/jsonx.h"
#include "public-actions/managed_db/query_args.h"

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void read_arguments(str json)
{
    struct managed_db_args a;
    struct fault fault = {0};
    enum fail f = managed_db_args_init(&a, json, &fault);
    if (f != FAIL_NONE)
        check(fault.code != NULL && fault.public_text[0] != '\0');
    else {
        check(a.timeout_ms >= 1 && a.timeout_ms <= MANAGED_DB_TIMEOUT_MS);
        check(a.max_rows >= 1 && a.max_rows <= MANAGED_DB_ROWS_MAX);
        for (int i = 0; i != a.params.count; ++i)
            check(a.params.values[i] == NULL || str_is_utf8(str_from(a.params.values[i])));
    }
    managed_db_args_fini(&a);
}

static void write_value(Oid type, str text)
{
    struct buf b;
    buf_init(&b, 16 << 20);
    managed_db_value_write(type, text, &b);
    check(!b.full && jsonx_is_valid(buf_str(&b), JSONX_DEPTH_MAX));
    buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const Oid types[] = {16,   17,   20,   23,   25,   114,  701,  1082, 1114, 1184, 1700,
                                3802, 1000, 1001, 1007, 1009, 1022, 1115, 1185, 1231, 199,  3807};
    str text = str_of(data, size);
    if (size != 0 && data[0] == '[' && jsonx_is_valid(text, JSONX_DEPTH_MAX))
        read_arguments(text);
    for (size_t i = 0; i != sizeof types / sizeof types[0]; ++i)
        write_value(types[i], text);
    return 0;
}
