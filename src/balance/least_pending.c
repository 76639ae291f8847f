/* SPDX-License-Identifier: Apache-2.0
 *
 * Least pending: the server with the fewest requests under way. Ties are broken at random, so that many workers that each see
 * only their own requests do not all begin with the first server.
 */
#include "balance/balance.h"

static bool is_full(const struct balance_candidate *candidate)
{
    return candidate->limit && candidate->pending >= candidate->limit;
}

static size_t pick_among(const struct balance_candidate *candidates, size_t count,
                         struct random *random, bool usable)
{
    size_t best = BALANCE_NONE, ties = 0;
    for (size_t i = 0; i < count; i++) {
        if (candidates[i].is_usable != usable || is_full(&candidates[i]))
            continue;
        if (best == BALANCE_NONE || candidates[i].pending < candidates[best].pending) {
            best = i;
            ties = 1;
        } else if (candidates[i].pending == candidates[best].pending &&
                   random_below(random, ++ties) == 0) {
            best = i;
        }
    }
    return best;
}

static size_t pick(const struct balance_candidate *candidates, size_t count, struct random *random)
{
    size_t best = pick_among(candidates, count, random, true);
    return best != BALANCE_NONE ? best : pick_among(candidates, count, random, false);
}

const struct balance_policy balance_least_pending = {"least_pending", pick};
