#include "domains/certificates.h"
#include <string.h>

enum {
    WAIT_MAX_S = 7 * 24 * 60 * 60,
    LIMITED_S = 60 * 60, // when it takes no more orders and does not say for how long
};
#define SECOND_MS INT64_C(1000)
#define DAY_MS (24 * 60 * 60 * SECOND_MS)

int64_t certificate_pause_ms(unsigned failures)
{
    static const unsigned minutes[] = {1, 5, 15, 30, 60, 120, 240, 360};
    size_t last = sizeof minutes / sizeof minutes[0] - 1, i = failures != 0 ? failures - 1 : 0;
    return minutes[i < last ? i : last] * 60 * SECOND_MS;
}

unsigned certificate_asked_s(const char *code, unsigned retry_after_s)
{
    if (strncmp(code, "acme_", 5) != 0)
        return 0;
    if (retry_after_s == 0 && strcmp(code, "acme_rate_limited") == 0)
        return LIMITED_S;
    return retry_after_s < WAIT_MAX_S ? retry_after_s : WAIT_MAX_S;
}

int64_t certificate_next_try(int64_t now, int64_t failing_since, unsigned failures,
                             unsigned asked_s)
{
    int64_t pause = certificate_pause_ms(failures), asked = asked_s * SECOND_MS;
    if (now - failing_since > CERTIFICATE_TRIES_DAYS * DAY_MS)
        return 0;
    return now + (asked > pause ? asked : pause);
}

int64_t certificate_renews_at(int64_t not_before, int64_t not_after)
{
    return not_after - (not_after - not_before) / 3;
}

const char *certificate_over_budget(const struct certificate_usage *u, bool is_renewal,
                                    unsigned *ret_wait_s)
{
    *ret_wait_s = 60 * 60;
    if (u->name_an_hour >= CERTIFICATE_NAME_AN_HOUR)
        return "It was tried often within the last hour, and certificate authorities count.";
    if (u->orders_3h >= CERTIFICATE_ORDERS_3H)
        return "This server has ordered as many certificates within three hours as it may.";
    if (u->project_3h >= CERTIFICATE_PROJECT_3H)
        return "As many certificates were ordered for this project within three hours as may be.";
    *ret_wait_s = 6 * 60 * 60;
    if (u->name_a_week >= CERTIFICATE_NAME_A_WEEK)
        return "It was tried often within the last week, and certificate authorities count.";
    if (!is_renewal && u->new_a_week >= CERTIFICATE_NEW_A_WEEK)
        return "As many certificates were ordered for names of this domain within a week as may "
               "be.";
    return NULL;
}
