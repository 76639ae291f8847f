/* SPDX-License-Identifier: Apache-2.0
 *
 * Expected completion (L7): where this request would be done soonest, by what is pending there and what requests of its type cost
 * there. A server of which that is not known is tried with one request; where it is known of nobody, the least pending gets it.
 */
#include "balance/private.h"

static size_t pick(void *state, const struct balance_choice *choice, struct random *random)
{
    struct balance_least soonest = {.position = BALANCE_NONE}, least = soonest;
    (void)state;
    for (size_t i = 0; i < choice->count; i++) {
        const struct balance_candidate *candidate = balance_left(choice, i);
        uint64_t weight = balance_weight(candidate);
        if (candidate->expected_ns || !candidate->pending)
            balance_least_offer(&soonest, i, candidate->expected_ns, weight, random);
        balance_least_offer(&least, i, candidate->pending, weight, random);
    }
    return choice->left[soonest.position != BALANCE_NONE ? soonest.position : least.position];
}

const struct balance_policy balance_expected = {
    .name = "expected",
    .help = "where a request of its type is expected to be done first",
    .has_weights = true,
    .pick = pick,
    .waits_for_better = true,
};
