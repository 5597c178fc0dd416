// What the caged process makes of a file: zip files' directories, markup, the beginnings of texts;
// libmagic runs along. Read by pieces as the server would send them.
#include <stdlib.h>
#include "edge/inspect/look.h"

struct source {
    struct look_io io;
    const uint8_t *data;
    uint64_t asked;
};

static void must(bool ok)
{
    if (!ok)
        abort();
}

static bool pull(struct look_io *io, uint64_t offset, size_t n, char *to)
{
    struct source *s = (struct source *)io;
    must(n != 0 && offset <= io->size && n <= io->size - offset);
    s->asked += n;
    must(s->asked <= 2 * io->size); // what the server gives at most
    memcpy(to, s->data + offset, n);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char *head;
    if (head == NULL) {
        must(look_warm_up());
        head = malloc(LOOK_WHOLE_MAX);
    }
    struct source s = {.io = {.size = size, .head = head, .pull = pull}, .data = data};
    // the first piece is small here, so that all of the ways to ask for more are gone
    s.io.have = size < 64 ? size : 64;
    memcpy(head, data, s.io.have);
    struct inspect_seen seen;
    must(look_file(&s.io, &seen));
    must(memchr(seen.mime, '\0', sizeof seen.mime) != NULL && strchr(seen.mime, '/') != NULL);
    must(seen.container < INSPECT_CONTAINERS && seen.active < INSPECT_ACTIVES);
    must(seen.has_active == (seen.active != INSPECT_NOT_ACTIVE));
    return 0;
}
