/* SPDX-License-Identifier: Apache-2.0
 *
 * Least pending: the server with the fewest requests under way for its weight. Ties are broken at random, so that several
 * gateways that each see only their own requests do not all begin with the first server. (L1)
 */
#include "balance/private.h"

static size_t pick(void *state, const struct balance_choice *choice, struct random *random)
{
    struct balance_least least = {.position = BALANCE_NONE};
    (void)state;
    for (size_t i = 0; i < choice->count; i++) {
        const struct balance_candidate *candidate = balance_left(choice, i);
        balance_least_offer(&least, i, candidate->pending, balance_weight(candidate), random);
    }
    return choice->left[least.position];
}

const struct balance_policy balance_least_pending = {
    .name = "least_pending",
    .help = "the fewest requests under way for its weight",
    .has_weights = true,
    .pick = pick,
};
