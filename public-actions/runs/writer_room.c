// How much of the writer's room each project has taken: few have anything there at a time, so what
// is known of one comes and goes with it.
#include "public-actions/runs/internal.h"
#include <stdio.h>
#include <stdlib.h>

struct room {
    size_t count, bytes;
};
struct writer_share {
    struct writer_share *next;
    char project_id[CATALOG_ID_ROOM];
    struct room used;
};

static struct room used, unwaited;       // by all records; by those nobody waits for
static struct writer_share *shares[256]; // of these, by a hash of the project's id

static bool has_room(const struct room *r, size_t bytes, unsigned quarters)
{
    return r->count < WRITER_COUNT_MAX / 4 * quarters &&
           r->bytes + bytes <= (size_t)WRITER_BYTES_MAX / 4 * quarters;
}

static void occupy(struct room *r, size_t bytes)
{
    ++r->count;
    r->bytes += bytes;
}

static void vacate(struct room *r, size_t bytes)
{
    --r->count;
    r->bytes -= bytes;
}

static struct writer_share **slot_of(const char *project_id)
{
    uint32_t hash = 2166136261u; // FNV-1a: the ids are ours, nobody can choose them
    for (const char *p = project_id; *p != '\0'; ++p)
        hash = (hash ^ (uint8_t)*p) * 16777619u;
    struct writer_share **slot = &shares[hash % (sizeof shares / sizeof shares[0])];
    while (*slot != NULL && strcmp((*slot)->project_id, project_id) != 0)
        slot = &(*slot)->next;
    return slot;
}

static struct writer_share *share_create(const char *project_id)
{
    struct writer_share *s = calloc(1, sizeof *s);
    if (s == NULL)
        abort();
    snprintf(s->project_id, sizeof s->project_id, "%s", project_id);
    return s;
}

static struct writer_share *occupy_share(const char *project_id, size_t bytes)
{
    struct writer_share **slot = slot_of(project_id);
    static const struct room nothing;
    if (!has_room(&unwaited, bytes, 3) ||
        !has_room(*slot != NULL ? &(*slot)->used : &nothing, bytes, 1))
        return NULL;
    if (*slot == NULL)
        *slot = share_create(project_id);
    occupy(&unwaited, bytes);
    occupy(&(*slot)->used, bytes);
    return *slot;
}

bool runs_room_occupy(const char *project_id, size_t bytes, bool is_waited,
                      struct writer_share **ret)
{
    *ret = NULL;
    if (!has_room(&used, bytes, 4))
        return false;
    if (!is_waited && (*ret = occupy_share(project_id, bytes)) == NULL)
        return false;
    occupy(&used, bytes);
    return true;
}

void runs_room_vacate(struct writer_share *share, size_t bytes)
{
    vacate(&used, bytes);
    if (share == NULL)
        return;
    vacate(&unwaited, bytes);
    vacate(&share->used, bytes);
    if (share->used.count == 0) {
        *slot_of(share->project_id) = share->next;
        free(share);
    }
}
