/* SPDX-License-Identifier: Apache-2.0
 *
 * Peak EWMA (Finagle): of two that are drawn, the one whose latency times what would be pending there is less. The latency is an
 * average that takes a slow answer at once and forgets it slowly, so that a server that begins to stall is left alone after its
 * first late answer. A server of which nothing is known is tried with one request, and taken for the slowest meanwhile.
 */
#include "balance/private.h"

static uint64_t cost_of(const struct balance_candidate *candidate, uint64_t slowest_ns)
{
    enum { YEAR_S = 365 * 86400 };
    const uint64_t most_ns = YEAR_S * 1000000000ull; /* of a nonsensical latency: no overflow */
    uint64_t latency_ns = candidate->latency_ns;
    if (!latency_ns && !candidate->pending)
        return 0;
    if (!latency_ns)
        latency_ns = slowest_ns;
    if (latency_ns > most_ns)
        latency_ns = most_ns;
    uint64_t cost;
    return __builtin_mul_overflow(latency_ns, (uint64_t)candidate->pending + 1, &cost) ? UINT64_MAX
                                                                                       : cost;
}

static size_t pick(void *state, const struct balance_choice *choice, struct random *random)
{
    struct balance_least least = {.position = BALANCE_NONE};
    uint64_t slowest_ns = balance_slowest(choice);
    size_t first = balance_draw(choice, BALANCE_NONE, random);
    size_t second = balance_draw(choice, first, random);
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        size_t position = i ? second : first;
        const struct balance_candidate *candidate = balance_left(choice, position);
        balance_least_offer(&least, position, cost_of(candidate, slowest_ns),
                            balance_weight(candidate), random);
    }
    return choice->left[least.position];
}

const struct balance_policy balance_peak_ewma = {
    .name = "peak_ewma",
    .help = "of two that are drawn, the least latency times requests pending",
    .has_weights = true,
    .pick = pick,
};
