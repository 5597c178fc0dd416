// The server's reading of what the process of one file says, when it was taken over: any bytes. What
// may be asked for lies in the file and ends some time; what is taken for an answer is one.
#include <stdlib.h>
#include "edge/inspect/files_protocol.h"

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void check_answer(const struct inspect_seen *seen)
{
    size_t n = strnlen(seen->mime, sizeof seen->mime), slashes = 0;
    must(n >= 3 && n < sizeof seen->mime);
    for (size_t i = 0; i != n; ++i) {
        char c = seen->mime[i];
        must(c > ' ' && c < 0x7f && (c < 'A' || c > 'Z') && c != ';' && c != '"' && c != ',');
        slashes += c == '/';
    }
    must(slashes == 1);
    must(seen->container < INSPECT_CONTAINERS && seen->active < INSPECT_ACTIVES);
    must(seen->has_active == (seen->active != INSPECT_NOT_ACTIVE));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint64_t file = 100000;
    uint64_t left = 2 * file, asked = 0;
    for (; size >= sizeof(struct files_say);
         data += sizeof(struct files_say), size -= sizeof(struct files_say)) {
        struct files_say say;
        struct inspect_seen seen = {0};
        memcpy(&say, data, sizeof say);
        enum files_heard heard = inspect_files_hear(&say, file, &left, &seen);
        if (heard == FILES_HEARD_ANSWER)
            check_answer(&seen);
        if (heard == FILES_HEARD_ASK) {
            must(say.n != 0 && say.n <= FILES_PIECE_MAX && say.offset + say.n <= file);
            asked += say.n;
            must(asked <= 2 * file && left == 2 * file - asked);
        }
        if (heard != FILES_HEARD_ASK)
            break;
    }
    return 0;
}
