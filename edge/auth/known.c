#include "edge/auth/known.h"
#include <pthread.h>
#include <string.h>
#include "edge/base/clock.h"
#include "edge/base/digest.h"

enum { SETS = 1024, WAYS = 4, KNOWN_MS = 60 * 60 * 1000, SHORTEST = 20 };

struct known {
    struct digest sha256;
    uint64_t project;
    uint64_t until; // monotonic ms; 0: a free place
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // guards the table
static struct known table[SETS][WAYS];

static struct known *set_of(const struct digest *sha256)
{
    return table[(sha256->b[0] | sha256->b[1] << 8) % SETS];
}

// NULL: it is not there.
static struct known *find(const struct digest *sha256)
{
    struct known *set = set_of(sha256);
    for (size_t i = 0; i != WAYS; ++i)
        if (set[i].until != 0 && digest_eq(&set[i].sha256, sha256))
            return &set[i];
    return NULL;
}

static struct known *oldest(struct known *set)
{
    struct known *k = &set[0];
    for (size_t i = 1; i != WAYS; ++i)
        if (set[i].until < k->until)
            k = &set[i];
    return k;
}

static uint64_t number_of(const char *project_id)
{
    struct digest d = digest_sha256(str_from(project_id));
    uint64_t n;
    memcpy(&n, d.b, sizeof n);
    return n != 0 ? n : 1;
}

void auth_known_note(str authorization, const char *project_id)
{
    if (authorization.n < SHORTEST)
        return; // no credential
    struct digest sha256 = digest_sha256(authorization);
    uint64_t project = project_id != NULL ? number_of(project_id) : 0;
    pthread_mutex_lock(&lock);
    struct known *k = find(&sha256);
    if (project == 0 && k != NULL)
        k->until = 0;
    if (project != 0) {
        if (k == NULL)
            k = oldest(set_of(&sha256));
        *k = (struct known){sha256, project, clock_monotonic_ms() + KNOWN_MS};
    }
    pthread_mutex_unlock(&lock);
}

uint64_t auth_known_project(str authorization)
{
    if (authorization.n < SHORTEST)
        return 0;
    struct digest sha256 = digest_sha256(authorization);
    pthread_mutex_lock(&lock);
    const struct known *k = find(&sha256);
    uint64_t project = k != NULL && k->until > clock_monotonic_ms() ? k->project : 0;
    pthread_mutex_unlock(&lock);
    return project;
}
