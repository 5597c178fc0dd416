// What became of uploads, for /metrics.
#include "uploads/internal.h"
#include <stdatomic.h>

static const char *const outcome_names[UPLOAD_OUTCOMES] = {
    "stored", "invalid", "type", "too_large", "quota", "busy", "failed"};
static const char *const source_names[] = {"visitor", "handler"};
enum { SOURCES = 2 };
static _Atomic uint64_t uploads[SOURCES][UPLOAD_OUTCOMES], stored_bytes[SOURCES], deleted;

static enum upload_outcome outcome_of(enum fail fail)
{
    switch (fail) {
    case FAIL_NONE:
        return UPLOAD_STORED;
    case FAIL_BAD_INPUT:
    case FAIL_REFUSED:
    case FAIL_NOT_FOUND:
        return UPLOAD_INVALID;
    case FAIL_BAD_TYPE:
        return UPLOAD_TYPE;
    case FAIL_TOO_LARGE:
        return UPLOAD_TOO_LARGE;
    case FAIL_QUOTA:
        return UPLOAD_QUOTA;
    case FAIL_BUSY:
        return UPLOAD_BUSY;
    default:
        return UPLOAD_FAILED;
    }
}

void upload_count(enum file_source source, enum fail fail, uint64_t bytes)
{
    atomic_fetch_add(&uploads[source][outcome_of(fail)], 1);
    if (fail == FAIL_NONE)
        atomic_fetch_add(&stored_bytes[source], bytes);
}

void upload_count_deleted(size_t files)
{
    atomic_fetch_add(&deleted, files);
}

static void add_head(struct buf *to, const char *name, const char *help)
{
    buf_addf(to, "# HELP stoa_%s %s\n# TYPE stoa_%s counter\n", name, help, name);
}

void uploads_metrics(struct buf *to)
{
    add_head(to, "uploads_total", "Files that came in, by what became of them.");
    for (size_t s = 0; s != SOURCES; ++s)
        for (size_t o = 0; o != UPLOAD_OUTCOMES; ++o)
            buf_addf(to, "stoa_uploads_total{source=\"%s\",outcome=\"%s\"} %llu\n", source_names[s],
                     outcome_names[o], (unsigned long long)atomic_load(&uploads[s][o]));
    add_head(to, "upload_bytes_total", "Bytes of the files that were kept.");
    for (size_t s = 0; s != SOURCES; ++s)
        buf_addf(to, "stoa_upload_bytes_total{source=\"%s\"} %llu\n", source_names[s],
                 (unsigned long long)atomic_load(&stored_bytes[s]));
    add_head(to, "uploads_expired_total", "Files that were deleted for their age.");
    buf_addf(to, "stoa_uploads_expired_total %llu\n", (unsigned long long)atomic_load(&deleted));
}
