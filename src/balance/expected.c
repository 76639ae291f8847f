/* SPDX-License-Identifier: Apache-2.0
 *
 * Expected completion (L7): where this request would be done soonest, by what is pending there and what requests of its type cost
 * there. Servers where it would be done about as soon are alike, and the least pending of them gets it: what is learnt is never so
 * exact that a small difference should send everything to one of them. A server of which nothing is known is tried with one
 * request; where nothing is known of anybody, this is least pending.
 */
#include "balance/private.h"

enum { ALIKE_PART = 8 };       /* of the time until the soonest would be done, */
#define ALIKE_LEAST_NS 1000000 /* or that, where it is more: below it everything is chance */

static bool is_known(const struct balance_candidate *candidate)
{
    return candidate->expected_ns || !candidate->pending;
}

static bool is_alike(const struct balance_candidate *candidate, uint64_t soonest_ns)
{
    uint64_t apart_ns = soonest_ns / ALIKE_PART;
    if (apart_ns < ALIKE_LEAST_NS)
        apart_ns = ALIKE_LEAST_NS;
    return candidate->expected_ns <= soonest_ns || candidate->expected_ns - soonest_ns <= apart_ns;
}

static size_t pick(void *state, const struct balance_choice *choice, struct random *random)
{
    struct balance_least soonest = {.position = BALANCE_NONE}, least = soonest;
    for (size_t i = 0; i < choice->count; i++) {
        const struct balance_candidate *candidate = balance_left(choice, i);
        if (is_known(candidate))
            balance_least_offer(&soonest, i, candidate->expected_ns, balance_weight(candidate),
                                random);
    }
    if (soonest.position == BALANCE_NONE)
        return balance_least_pending.pick(state, choice, random);
    for (size_t i = 0; i < choice->count; i++) {
        const struct balance_candidate *candidate = balance_left(choice, i);
        if (is_known(candidate) && is_alike(candidate, soonest.cost))
            balance_least_offer(&least, i, candidate->pending, balance_weight(candidate), random);
    }
    return choice->left[least.position];
}

const struct balance_policy balance_expected = {
    .name = "expected",
    .help = "where a request of its type is expected to be done first",
    .has_weights = true,
    .pick = pick,
    .waits_for_better = true,
};
