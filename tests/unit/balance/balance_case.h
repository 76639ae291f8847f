/* SPDX-License-Identifier: Apache-2.0
 *
 * Servers and choosers for the tests of src/balance.
 */
#ifndef TESTS_BALANCE_CASE_H
#define TESTS_BALANCE_CASE_H

#include "balance/balance.h"

#include <stdlib.h>
#include <string.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

/* A policy with its memory. */
struct chooser {
    const struct balance_policy *policy;
    struct random random;
    struct balance_question question;
    _Alignas(max_align_t) uint8_t state[8192];
};

static inline void chooser_init(struct chooser *chooser, const struct balance_policy *policy)
{
    memset(chooser, 0, sizeof *chooser);
    assert_true(policy->state_bytes <= sizeof chooser->state);
    chooser->policy = policy;
    random_seed(&chooser->random, 7);
}

static inline size_t choose(struct chooser *chooser, const struct balance_candidate *servers,
                            size_t count)
{
    return balance_pick(chooser->policy, chooser->state, servers, count, &chooser->question,
                        &chooser->random);
}

static inline size_t pick_of(const struct balance_policy *policy,
                             const struct balance_candidate *servers, size_t count)
{
    struct chooser chooser;
    chooser_init(&chooser, policy);
    return choose(&chooser, servers, count);
}

static inline void count_picks(const struct balance_policy *policy,
                               const struct balance_candidate *servers, size_t count,
                               unsigned picks, unsigned *counts)
{
    struct chooser chooser;
    chooser_init(&chooser, policy);
    memset(counts, 0, count * sizeof *counts);
    while (picks--)
        counts[choose(&chooser, servers, count)]++;
}

static inline struct balance_candidate server(uint64_t identity, uint32_t pending)
{
    return (struct balance_candidate){.identity = identity,
                                      .pending = pending,
                                      .weight = BALANCE_WEIGHT_USUAL,
                                      .is_usable = true};
}

#endif
