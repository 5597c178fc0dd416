// Every state times every event, at the times that matter.
#include "domains/lifecycle.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#define MIN DOMAIN_MINUTE_MS
#define HOUR DOMAIN_HOUR_MS
#define DAY DOMAIN_DAY_MS
#define T0 INT64_C(1800000000000)

// One row: in `status` since T0 (failing since T0, seen at T0), `after` later `event` comes.
struct row {
    enum domain_status status;
    int64_t after;
    enum domain_event event;
    enum domain_status next;
    int64_t next_in; // after the event; -1: not by itself, not shown; -2: as it was
    enum domain_news news;
};

static const struct row rows[] = {
    // pending: soon, then less often, for a week; its end is waited for, but DNS is not asked
    {DOMAIN_PENDING, 0, DOMAIN_SEEN, DOMAIN_VERIFIED, DAY, NEWS_VERIFIED},
    {DOMAIN_PENDING, 0, DOMAIN_MISSED, DOMAIN_PENDING, MIN, NEWS_NONE},
    {DOMAIN_PENDING, 0, DOMAIN_UNKNOWN, DOMAIN_PENDING, 10 * MIN, NEWS_NONE},
    {DOMAIN_PENDING, 0, DOMAIN_HELD, DOMAIN_PENDING, MIN, NEWS_NONE},
    {DOMAIN_PENDING, 14 * MIN, DOMAIN_MISSED, DOMAIN_PENDING, MIN, NEWS_NONE},
    {DOMAIN_PENDING, 15 * MIN, DOMAIN_MISSED, DOMAIN_PENDING, 5 * MIN, NEWS_NONE},
    {DOMAIN_PENDING, 2 * HOUR, DOMAIN_UNKNOWN, DOMAIN_PENDING, 30 * MIN, NEWS_NONE},
    {DOMAIN_PENDING, DAY, DOMAIN_HELD, DOMAIN_PENDING, 4 * HOUR, NEWS_NONE},
    {DOMAIN_PENDING, 7 * DAY - 4 * HOUR, DOMAIN_MISSED, DOMAIN_PENDING, 4 * HOUR, NEWS_NONE},
    {DOMAIN_PENDING, 7 * DAY - HOUR, DOMAIN_MISSED, DOMAIN_PENDING, -1, NEWS_NONE},
    {DOMAIN_PENDING, 20 * DAY, DOMAIN_MISSED, DOMAIN_PENDING, -1, NEWS_NONE},
    {DOMAIN_PENDING, 20 * DAY, DOMAIN_SEEN, DOMAIN_VERIFIED, DAY, NEWS_VERIFIED},
    {DOMAIN_PENDING, 30 * DAY - 1, DOMAIN_SEEN, DOMAIN_VERIFIED, DAY, NEWS_VERIFIED},
    {DOMAIN_PENDING, 30 * DAY, DOMAIN_SEEN, DOMAIN_REMOVED, -1, NEWS_NONE},
    {DOMAIN_PENDING, 30 * DAY, DOMAIN_HELD, DOMAIN_REMOVED, -1, NEWS_NONE},
    {DOMAIN_PENDING, 30 * DAY, DOMAIN_MISSED, DOMAIN_REMOVED, -1, NEWS_NONE},
    {DOMAIN_PENDING, 30 * DAY, DOMAIN_UNKNOWN, DOMAIN_REMOVED, -1, NEWS_NONE},
    {DOMAIN_PENDING, HOUR, DOMAIN_DROPPED, DOMAIN_REMOVED, -1, NEWS_NONE},
    // verified: daily; one miss is enough to say so, an outage is not
    {DOMAIN_VERIFIED, DAY, DOMAIN_SEEN, DOMAIN_VERIFIED, DAY, NEWS_NONE},
    {DOMAIN_VERIFIED, DAY, DOMAIN_MISSED, DOMAIN_FAILING, HOUR, NEWS_FAILING},
    {DOMAIN_VERIFIED, DAY, DOMAIN_UNKNOWN, DOMAIN_VERIFIED, HOUR, NEWS_NONE},
    {DOMAIN_VERIFIED, 7 * DAY - 1, DOMAIN_UNKNOWN, DOMAIN_VERIFIED, HOUR, NEWS_NONE},
    {DOMAIN_VERIFIED, 7 * DAY, DOMAIN_UNKNOWN, DOMAIN_FAILING, HOUR, NEWS_FAILING},
    {DOMAIN_VERIFIED, DAY, DOMAIN_HELD, DOMAIN_VERIFIED, HOUR, NEWS_NONE}, // cannot be: one holder
    {DOMAIN_VERIFIED, 400 * DAY, DOMAIN_DROPPED, DOMAIN_REMOVED, -1, NEWS_NONE},
    // failing: hourly for a day, then four times a day; a week of grace, two when DNS cannot tell
    {DOMAIN_FAILING, HOUR, DOMAIN_SEEN, DOMAIN_VERIFIED, DAY, NEWS_VERIFIED},
    {DOMAIN_FAILING, HOUR, DOMAIN_MISSED, DOMAIN_FAILING, HOUR, NEWS_NONE},
    {DOMAIN_FAILING, DAY, DOMAIN_MISSED, DOMAIN_FAILING, 6 * HOUR, NEWS_NONE},
    {DOMAIN_FAILING, DAY, DOMAIN_UNKNOWN, DOMAIN_FAILING, 6 * HOUR, NEWS_NONE},
    {DOMAIN_FAILING, 7 * DAY - HOUR, DOMAIN_MISSED, DOMAIN_FAILING, HOUR, NEWS_NONE},
    {DOMAIN_FAILING, 7 * DAY - 1, DOMAIN_MISSED, DOMAIN_FAILING, 1, NEWS_NONE},
    {DOMAIN_FAILING, 7 * DAY, DOMAIN_MISSED, DOMAIN_SUSPENDED, HOUR, NEWS_SUSPENDED},
    {DOMAIN_FAILING, 7 * DAY, DOMAIN_UNKNOWN, DOMAIN_FAILING, 6 * HOUR, NEWS_NONE},
    {DOMAIN_FAILING, 14 * DAY - 1, DOMAIN_UNKNOWN, DOMAIN_FAILING, 6 * HOUR, NEWS_NONE},
    {DOMAIN_FAILING, 14 * DAY, DOMAIN_UNKNOWN, DOMAIN_SUSPENDED, HOUR, NEWS_SUSPENDED},
    {DOMAIN_FAILING, 9 * DAY, DOMAIN_SEEN, DOMAIN_VERIFIED, DAY, NEWS_VERIFIED},
    {DOMAIN_FAILING, HOUR, DOMAIN_HELD, DOMAIN_FAILING, HOUR, NEWS_NONE},
    {DOMAIN_FAILING, HOUR, DOMAIN_TAKEN, DOMAIN_REMOVED, -1, NEWS_TRANSFERRED},
    {DOMAIN_FAILING, 6 * DAY, DOMAIN_TAKEN, DOMAIN_REMOVED, -1, NEWS_TRANSFERRED},
    {DOMAIN_FAILING, HOUR, DOMAIN_DROPPED, DOMAIN_REMOVED, -1, NEWS_NONE},
    // suspended: comes back by itself for 30 days
    {DOMAIN_SUSPENDED, HOUR, DOMAIN_SEEN, DOMAIN_VERIFIED, DAY, NEWS_VERIFIED},
    {DOMAIN_SUSPENDED, HOUR, DOMAIN_MISSED, DOMAIN_SUSPENDED, HOUR, NEWS_NONE},
    {DOMAIN_SUSPENDED, 2 * DAY, DOMAIN_UNKNOWN, DOMAIN_SUSPENDED, 6 * HOUR, NEWS_NONE},
    {DOMAIN_SUSPENDED, 2 * DAY, DOMAIN_HELD, DOMAIN_SUSPENDED, 6 * HOUR, NEWS_NONE},
    {DOMAIN_SUSPENDED, 30 * DAY - HOUR, DOMAIN_MISSED, DOMAIN_SUSPENDED, -1, NEWS_NONE},
    {DOMAIN_SUSPENDED, 30 * DAY - 1, DOMAIN_SEEN, DOMAIN_VERIFIED, DAY, NEWS_VERIFIED},
    {DOMAIN_SUSPENDED, 30 * DAY, DOMAIN_SEEN, DOMAIN_REMOVED, -1, NEWS_NONE},
    {DOMAIN_SUSPENDED, 30 * DAY, DOMAIN_MISSED, DOMAIN_REMOVED, -1, NEWS_NONE},
    {DOMAIN_SUSPENDED, HOUR, DOMAIN_DROPPED, DOMAIN_REMOVED, -1, NEWS_NONE},
    // removed: nothing ever again
    {DOMAIN_REMOVED, HOUR, DOMAIN_SEEN, DOMAIN_REMOVED, -2, NEWS_NONE},
    {DOMAIN_REMOVED, HOUR, DOMAIN_HELD, DOMAIN_REMOVED, -2, NEWS_NONE},
    {DOMAIN_REMOVED, HOUR, DOMAIN_MISSED, DOMAIN_REMOVED, -2, NEWS_NONE},
    {DOMAIN_REMOVED, HOUR, DOMAIN_UNKNOWN, DOMAIN_REMOVED, -2, NEWS_NONE},
    {DOMAIN_REMOVED, HOUR, DOMAIN_DROPPED, DOMAIN_REMOVED, -2, NEWS_NONE},
};

static struct domain_life life_of(enum domain_status status)
{
    struct domain_life l = domain_begin(T0);
    l.status = status;
    if (status != DOMAIN_PENDING)
        l.verified_at = l.seen_at = T0;
    if (status == DOMAIN_FAILING)
        l.failing_since = l.missed_at = T0;
    if (status == DOMAIN_REMOVED) {
        l.next_at = 0;
        l.ended = "removed";
        l.held_until = T0 + 7 * DAY;
    }
    return l;
}

static void check_row(size_t i)
{
    const struct row *r = &rows[i];
    const struct domain_life before = life_of(r->status);
    int64_t now = T0 + r->after;
    enum domain_news news;
    struct domain_life after = domain_step(&before, r->event, now, 0, &news);
    int64_t asks = domain_asks_at(&after);
    int64_t wanted = r->next_in == -1   ? 0
                     : r->next_in == -2 ? domain_asks_at(&before)
                                        : now + r->next_in;
    if (after.status != r->next || news != r->news || asks != wanted)
        fail_msg("row %zu: %s after %lld ms, event %d: %s, next in %lld ms, news %d", i,
                 domain_status_name(r->status), (long long)r->after, (int)r->event,
                 domain_status_name(after.status), (long long)(asks - now), (int)news);
    bool has_moved = after.status != before.status;
    assert_int_equal(after.since, has_moved ? now : before.since);
    assert_int_equal(after.failing_since != 0, after.status == DOMAIN_FAILING);
    assert_int_equal(after.ended != NULL, after.status == DOMAIN_REMOVED);
    if (after.status == DOMAIN_PENDING || after.status == DOMAIN_SUSPENDED)
        assert_in_range(after.next_at, now + 1, domain_ends_at(&after)); // someone comes by in time
    if (after.status == DOMAIN_VERIFIED)
        assert_int_equal(after.verified_at, before.verified_at != 0 ? before.verified_at : now);
    if (r->event == DOMAIN_SEEN && after.status == DOMAIN_VERIFIED)
        assert_int_equal(after.seen_at, now);
}

static void every_transition(void **state)
{
    for (size_t i = 0; i != sizeof rows / sizeof rows[0]; ++i)
        check_row(i);
}

static void every_state_and_event_has_a_row(void **state)
{
    for (int s = 0; s != DOMAIN_STATUSES; ++s)
        for (int e = 0; e != DOMAIN_EVENTS; ++e) {
            bool found = e == DOMAIN_TAKEN && s != DOMAIN_FAILING; // only where it may be taken
            for (size_t i = 0; i != sizeof rows / sizeof rows[0]; ++i)
                found = found || ((int)rows[i].status == s && (int)rows[i].event == e);
            if (!found)
                fail_msg("no row for %s and event %d", domain_status_name(s), e);
        }
}

static void only_what_was_served_is_kept_from_others(void **state)
{
    for (int s = 0; s != DOMAIN_REMOVED; ++s) {
        struct domain_life l = life_of(s);
        enum domain_news news;
        l = domain_step(&l, DOMAIN_DROPPED, T0 + HOUR, 0, &news);
        assert_string_equal(l.ended, "removed");
        bool was_served = s == DOMAIN_VERIFIED || s == DOMAIN_FAILING;
        assert_int_equal(l.held_until, was_served ? T0 + HOUR + 7 * DAY : 0);
    }
    struct domain_life l = life_of(DOMAIN_FAILING);
    enum domain_news news;
    l = domain_step(&l, DOMAIN_TAKEN, T0 + HOUR, 0, &news);
    assert_string_equal(l.ended, "transferred");
    assert_int_equal(l.held_until, 0); // it is the other's now
    l = life_of(DOMAIN_SUSPENDED);
    l = domain_step(&l, DOMAIN_MISSED, T0 + 30 * DAY, 0, &news);
    assert_string_equal(l.ended, "expired");
    assert_int_equal(l.held_until, 0);
}

static void a_name_is_taken_only_after_an_hour_of_absence(void **state)
{
    for (int s = 0; s != DOMAIN_STATUSES; ++s) {
        struct domain_life l = life_of(s);
        assert_int_equal(domain_may_be_taken(&l, T0 + 365 * DAY), s == DOMAIN_FAILING);
    }
    struct domain_life l = life_of(DOMAIN_FAILING);
    assert_false(domain_may_be_taken(&l, T0));
    assert_false(domain_may_be_taken(&l, T0 + HOUR - 1));
    assert_true(domain_may_be_taken(&l, T0 + HOUR));
}

// Whatever was not heard is not known to be absent: the hour begins at the first look that says so.
static void silence_is_no_absence(void **state)
{
    struct domain_life l = life_of(DOMAIN_VERIFIED);
    enum domain_news news;
    l = domain_step(&l, DOMAIN_UNKNOWN, T0 + 7 * DAY, 0, &news);
    assert_int_equal(l.status, DOMAIN_FAILING);
    assert_false(domain_may_be_taken(&l, T0 + 14 * DAY));
    for (int64_t after = 8 * DAY; after < 20 * DAY;
         after += 7 * DAY) { // within its grace, and behind it
        struct domain_life first = domain_step(&l, DOMAIN_MISSED, T0 + after, 0, &news);
        assert_int_equal(first.status, DOMAIN_FAILING);
        assert_int_equal(first.next_at, T0 + after + HOUR);
        assert_false(domain_may_be_taken(&first, T0 + after + HOUR - 1));
        assert_true(domain_may_be_taken(&first, T0 + after + HOUR));
        first = domain_step(&first, DOMAIN_UNKNOWN, T0 + after + MIN, 0, &news);
        assert_true(domain_may_be_taken(&first, T0 + after + HOUR));
        first = domain_step(&first, DOMAIN_SEEN, T0 + after + 2 * MIN, 0, &news);
        first = domain_step(&first, DOMAIN_MISSED, T0 + after + 3 * MIN, 0, &news);
        assert_false(domain_may_be_taken(&first, T0 + after + HOUR)); // begins anew
    }
    struct domain_life late = domain_step(&l, DOMAIN_MISSED, T0 + 15 * DAY, 0, &news);
    late = domain_step(&late, DOMAIN_MISSED, T0 + 15 * DAY + HOUR, 0, &news);
    assert_int_equal(late.status, DOMAIN_SUSPENDED);
}

// A minute apart, then five, thirty, four hours: played from the first try to the last.
static void a_pending_week(void **state)
{
    struct domain_life l = domain_begin(T0);
    enum domain_news news;
    unsigned tries = 0;
    int64_t last = 0;
    assert_int_equal(domain_asks_at(&l), T0); // at once
    while (domain_asks_at(&l) != 0) {
        last = domain_asks_at(&l);
        l = domain_step(&l, DOMAIN_MISSED, last, 0, &news);
        ++tries;
    }
    assert_in_range(last, T0 + 7 * DAY - 4 * HOUR, T0 + 7 * DAY);
    assert_in_range(tries, 100, 150);
    l = domain_step(&l, DOMAIN_MISSED, l.next_at, 0, &news);
    assert_int_equal(l.status, DOMAIN_REMOVED);
    assert_string_equal(l.ended, "expired");
}

// A week of misses: never unserved before its end, suspended right then.
static void a_failing_week(void **state)
{
    struct domain_life l = life_of(DOMAIN_VERIFIED);
    enum domain_news news;
    l = domain_step(&l, DOMAIN_MISSED, T0 + DAY, 0, &news);
    while (l.status == DOMAIN_FAILING) {
        int64_t at = l.next_at;
        assert_true(domain_is_served(l.status));
        l = domain_step(&l, DOMAIN_MISSED, at, 0, &news);
    }
    assert_int_equal(l.status, DOMAIN_SUSPENDED);
    assert_int_equal(l.since, T0 + 8 * DAY);
    assert_false(domain_is_served(l.status));
}

static void daily_checks_are_spread(void **state)
{
    int64_t first = 0;
    bool differ = false;
    for (uint32_t spread = 0; spread < 100000; spread += 997) {
        struct domain_life l = life_of(DOMAIN_VERIFIED);
        enum domain_news news;
        l = domain_step(&l, DOMAIN_SEEN, T0, spread, &news);
        assert_in_range(l.next_at, T0 + 22 * HOUR, T0 + DAY);
        differ = differ || (first != 0 && l.next_at != first);
        first = l.next_at;
    }
    assert_true(differ);
}

static void names_go_there_and_back(void **state)
{
    enum domain_status status;
    for (int s = 0; s != DOMAIN_STATUSES; ++s) {
        assert_true(domain_status_parse(str_from(domain_status_name(s)), &status));
        assert_int_equal(status, s);
    }
    assert_false(domain_status_parse(STR("verifiedx"), &status));
    assert_null(domain_news_name(NEWS_NONE));
    assert_string_equal(domain_news_name(NEWS_TRANSFERRED), "domain.transferred");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_transition),
        cmocka_unit_test(every_state_and_event_has_a_row),
        cmocka_unit_test(only_what_was_served_is_kept_from_others),
        cmocka_unit_test(a_name_is_taken_only_after_an_hour_of_absence),
        cmocka_unit_test(silence_is_no_absence),
        cmocka_unit_test(a_pending_week),
        cmocka_unit_test(a_failing_week),
        cmocka_unit_test(daily_checks_are_spread),
        cmocka_unit_test(names_go_there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
