/* SPDX-License-Identifier: Apache-2.0
 *
 * Pauses and times.
 */
#include "acme/schedule.h"

uint64_t acme_pause_s(uint32_t failures, bool is_refusal, uint64_t retry_after_s,
                      struct random *random)
{
    uint64_t pause_s = is_refusal ? ACME_REFUSED_FIRST_S : ACME_AWAY_FIRST_S;
    uint64_t most_s = is_refusal ? ACME_REFUSED_MOST_S : ACME_AWAY_MOST_S;
    for (uint32_t i = 1; i < failures && pause_s < most_s; i++)
        pause_s *= 2;
    pause_s = pause_s < most_s ? pause_s : most_s;
    pause_s = pause_s * (80 + random_below(random, 41)) / 100;
    if (retry_after_s > ACME_RETRY_AFTER_MOST_S)
        retry_after_s = ACME_RETRY_AFTER_MOST_S;
    return pause_s > retry_after_s ? pause_s : retry_after_s;
}

uint64_t acme_renewal_s(uint64_t begins_s, uint64_t ends_s, uint64_t before_s)
{
    uint64_t life_s = ends_s > begins_s ? ends_s - begins_s : 0;
    if (before_s && before_s < life_s)
        return ends_s - before_s;
    return begins_s + life_s / 3 * 2;
}

uint64_t acme_window_pick(const struct acme_window *window, struct random *random)
{
    return window->begins_s + random_below(random, window->ends_s - window->begins_s);
}

uint64_t acme_ask_pause_s(uint64_t retry_after_s)
{
    if (!retry_after_s)
        return ACME_ASK_AGAIN_S;
    return retry_after_s < ACME_ASK_LEAST_S  ? ACME_ASK_LEAST_S
           : retry_after_s > ACME_ASK_MOST_S ? ACME_ASK_MOST_S
                                             : retry_after_s;
}
