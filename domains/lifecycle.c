// One switch over the states; each state's function says what every event does to it.
#include "domains/lifecycle.h"
#include <assert.h>

static const char *const status_names[DOMAIN_STATUSES] = {
    [DOMAIN_PENDING] = "pending",     [DOMAIN_VERIFIED] = "verified", [DOMAIN_FAILING] = "failing",
    [DOMAIN_SUSPENDED] = "suspended", [DOMAIN_REMOVED] = "removed",
};

const char *domain_status_name(enum domain_status s)
{
    return status_names[s];
}

bool domain_status_parse(str name, enum domain_status *ret)
{
    for (int i = 0; i != DOMAIN_STATUSES; ++i)
        if (str_eq(name, str_from(status_names[i]))) {
            *ret = (enum domain_status)i;
            return true;
        }
    return false;
}

const char *domain_news_name(enum domain_news n)
{
    static const char *const names[NEWS_KINDS] = {[NEWS_VERIFIED] = "domain.verified",
                                                  [NEWS_FAILING] = "domain.failing",
                                                  [NEWS_SUSPENDED] = "domain.suspended",
                                                  [NEWS_TRANSFERRED] = "domain.transferred"};
    return names[n];
}

bool domain_is_served(enum domain_status status)
{
    return status == DOMAIN_VERIFIED || status == DOMAIN_FAILING;
}

// At two looks an hour apart.
static bool is_absent(const struct domain_life *life, int64_t now)
{
    return life->missed_at != 0 && now - life->missed_at >= DOMAIN_ABSENCE_MS;
}

bool domain_may_be_taken(const struct domain_life *life, int64_t now)
{
    return life->status == DOMAIN_FAILING && is_absent(life, now);
}

int64_t domain_ends_at(const struct domain_life *life)
{
    bool ends = life->status == DOMAIN_PENDING || life->status == DOMAIN_SUSPENDED;
    return ends ? life->since + DOMAIN_CLAIM_MS : 0;
}

int64_t domain_asks_at(const struct domain_life *life)
{
    return life->next_at == domain_ends_at(life) ? 0 : life->next_at;
}

struct domain_life domain_begin(int64_t now)
{
    return (struct domain_life){.status = DOMAIN_PENDING, .since = now, .next_at = now};
}

// --- when to look again ---

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

// An owner who is at it sees it work within a minute; one who is not costs less and less. Servers
// that do not answer cost the most, and are asked seldom from the start.
static int64_t next_try(const struct domain_life *life, bool is_unknown, int64_t now)
{
    int64_t age = now - life->since;
    int64_t wait = age < 15 * DOMAIN_MINUTE_MS ? DOMAIN_MINUTE_MS
                   : age < 2 * DOMAIN_HOUR_MS  ? 5 * DOMAIN_MINUTE_MS
                   : age < DOMAIN_DAY_MS       ? 30 * DOMAIN_MINUTE_MS
                                               : 4 * DOMAIN_HOUR_MS;
    if (is_unknown && wait < 10 * DOMAIN_MINUTE_MS)
        wait = 10 * DOMAIN_MINUTE_MS;
    return age + wait <= DOMAIN_TRY_MS ? now + wait : domain_ends_at(life);
}

// Up to two hours before the day is over.
static int64_t next_day(int64_t now, uint32_t spread)
{
    return now + DOMAIN_DAY_MS - (int64_t)(spread % (2 * 60 * 60)) * 1000;
}

// What fails is looked at hourly at first: it may have been a slip. Misses an hour apart are what a
// transfer asks for, too.
static int64_t next_look(int64_t since, int64_t now)
{
    return now + (now - since < DOMAIN_DAY_MS ? DOMAIN_HOUR_MS : 6 * DOMAIN_HOUR_MS);
}

// --- going from one state to the next ---

static void verify(struct domain_life *l, int64_t now, uint32_t spread, enum domain_news *news)
{
    if (l->status != DOMAIN_VERIFIED) {
        l->since = now;
        *news = NEWS_VERIFIED;
    }
    l->status = DOMAIN_VERIFIED;
    l->verified_at = l->verified_at != 0 ? l->verified_at : now;
    l->seen_at = now;
    l->failing_since = l->missed_at = 0;
    l->next_at = next_day(now, spread);
}

static void start_failing(struct domain_life *l, int64_t now, enum domain_news *news)
{
    l->status = DOMAIN_FAILING;
    l->since = l->failing_since = now;
    l->next_at = next_look(now, now);
    *news = NEWS_FAILING;
}

static void suspend(struct domain_life *l, int64_t now, enum domain_news *news)
{
    l->status = DOMAIN_SUSPENDED;
    l->since = now;
    l->failing_since = 0;
    l->next_at = next_look(now, now);
    *news = NEWS_SUSPENDED;
}

static void end(struct domain_life *l, const char *why, int64_t now)
{
    l->status = DOMAIN_REMOVED;
    l->since = now;
    l->failing_since = 0;
    l->next_at = 0;
    l->ended = why;
}

// Only a name that brought this project visitors is kept from others: a claim that proved nothing, or
// was suspended, would keep strangers from their own names.
static void drop(struct domain_life *l, int64_t now)
{
    bool was_served = domain_is_served(l->status);
    end(l, "removed", now);
    l->held_until = was_served ? now + DOMAIN_QUARANTINE_MS : 0;
}

// --- the states ---

static void when_pending(struct domain_life *l, enum domain_event event, int64_t now,
                         uint32_t spread, enum domain_news *news)
{
    if (now >= domain_ends_at(l))
        end(l, "expired", now);
    else if (event == DOMAIN_SEEN)
        verify(l, now, spread, news);
    else
        l->next_at = next_try(l, event == DOMAIN_UNKNOWN, now);
}

static void when_verified(struct domain_life *l, enum domain_event event, int64_t now,
                          uint32_t spread, enum domain_news *news)
{
    bool is_silent = event == DOMAIN_UNKNOWN && now - l->seen_at >= DOMAIN_SILENCE_MS;
    if (event == DOMAIN_SEEN)
        verify(l, now, spread, news);
    else if (event == DOMAIN_MISSED || is_silent)
        start_failing(l, now, news);
    else
        l->next_at = now + DOMAIN_HOUR_MS;
}

// A suspended name is anybody's who proves it: after a silence one look is not enough for that either.
static bool is_grace_over(const struct domain_life *l, enum domain_event event, int64_t now)
{
    int64_t age = now - l->failing_since;
    if (event == DOMAIN_UNKNOWN)
        return age >= 2 * DOMAIN_GRACE_MS;
    return age >= DOMAIN_GRACE_MS && is_absent(l, now);
}

static void when_failing(struct domain_life *l, enum domain_event event, int64_t now,
                         uint32_t spread, enum domain_news *news)
{
    if (event == DOMAIN_SEEN) {
        verify(l, now, spread, news);
    } else if (event == DOMAIN_TAKEN) {
        end(l, "transferred", now);
        *news = NEWS_TRANSFERRED;
    } else if (is_grace_over(l, event, now)) {
        suspend(l, now, news);
    } else {
        l->next_at = next_look(l->missed_at != 0 ? l->missed_at : l->failing_since, now);
        if (now < l->failing_since + DOMAIN_GRACE_MS) // its last look is not later than promised
            l->next_at = earlier(l->next_at, l->failing_since + DOMAIN_GRACE_MS);
    }
}

static void when_suspended(struct domain_life *l, enum domain_event event, int64_t now,
                           uint32_t spread, enum domain_news *news)
{
    if (now >= domain_ends_at(l))
        end(l, "expired", now);
    else if (event == DOMAIN_SEEN)
        verify(l, now, spread, news);
    else
        l->next_at = earlier(next_look(l->since, now), domain_ends_at(l));
}

struct domain_life domain_step(const struct domain_life *life, enum domain_event event, int64_t now,
                               uint32_t spread, enum domain_news *ret_news)
{
    struct domain_life l = *life;
    *ret_news = NEWS_NONE;
    assert(event != DOMAIN_TAKEN || domain_may_be_taken(life, now));
    if (event == DOMAIN_MISSED && domain_is_served(l.status) && l.missed_at == 0)
        l.missed_at = now;
    if (event == DOMAIN_DROPPED && l.status != DOMAIN_REMOVED) {
        drop(&l, now);
        return l;
    }
    switch (l.status) {
    case DOMAIN_PENDING:
        when_pending(&l, event, now, spread, ret_news);
        break;
    case DOMAIN_VERIFIED:
        when_verified(&l, event, now, spread, ret_news);
        break;
    case DOMAIN_FAILING:
        when_failing(&l, event, now, spread, ret_news);
        break;
    case DOMAIN_SUSPENDED:
        when_suspended(&l, event, now, spread, ret_news);
        break;
    case DOMAIN_REMOVED:
    case DOMAIN_STATUSES:
        break;
    }
    return l;
}
