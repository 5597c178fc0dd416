#include "edge/limits/holdings.h"
#include "public-actions/runs/internal.h"

static struct holdings waited, unwaited; // of each project

static bool has_room(struct holding h, size_t bytes, unsigned quarters)
{
    return h.count < WRITER_COUNT_MAX / 4 * quarters &&
           h.bytes + bytes <= (size_t)WRITER_BYTES_MAX / 4 * quarters;
}

bool runs_room_occupy(const char *project_id, size_t bytes, bool is_waited)
{
    struct holding all = {.count = waited.all.count + unwaited.all.count,
                          .bytes = waited.all.bytes + unwaited.all.bytes};
    struct holdings *h = is_waited ? &waited : &unwaited;
    if (!has_room(all, bytes, 4) || (!is_waited && !has_room(h->all, bytes, 3)) ||
        !has_room(holdings_of(h, project_id), bytes, is_waited ? 2 : 1))
        return false;
    holdings_add(h, project_id, bytes);
    return true;
}

void runs_room_vacate(const char *project_id, size_t bytes, bool is_waited)
{
    holdings_remove(is_waited ? &waited : &unwaited, project_id, bytes);
}
