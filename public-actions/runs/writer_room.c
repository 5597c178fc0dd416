#include "edge/limits/holdings.h"
#include "public-actions/runs/internal.h"

static struct holding used;      // by all records
static struct holdings unwaited; // by those nobody waits for, of each project

static bool has_room(struct holding h, size_t bytes, unsigned quarters)
{
    return h.count < WRITER_COUNT_MAX / 4 * quarters &&
           h.bytes + bytes <= (size_t)WRITER_BYTES_MAX / 4 * quarters;
}

bool runs_room_occupy(const char *project_id, size_t bytes, bool is_waited)
{
    if (!has_room(used, bytes, 4))
        return false;
    if (!is_waited) {
        if (!has_room(unwaited.all, bytes, 3) ||
            !has_room(holdings_of(&unwaited, project_id), bytes, 1))
            return false;
        holdings_add(&unwaited, project_id, bytes);
    }
    ++used.count;
    used.bytes += bytes;
    return true;
}

void runs_room_vacate(const char *project_id, size_t bytes, bool is_waited)
{
    --used.count;
    used.bytes -= bytes;
    if (!is_waited)
        holdings_remove(&unwaited, project_id, bytes);
}
