/* SPDX-License-Identifier: Apache-2.0
 *
 * Power of two choices: two are drawn by weight, the less pending of them gets it (Mitzenmacher 2001). Where several choosers
 * know of each other's requests too late they do not all run to the same server, as with least pending.
 */
#include "balance/private.h"

static size_t pick(void *state, const struct balance_choice *choice, struct random *random)
{
    struct balance_least least = {.position = BALANCE_NONE};
    size_t first = balance_draw(choice, BALANCE_NONE, random);
    size_t second = balance_draw(choice, first, random);
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        size_t position = i ? second : first;
        const struct balance_candidate *candidate = balance_left(choice, position);
        balance_least_offer(&least, position, candidate->pending, balance_weight(candidate),
                            random);
    }
    return choice->left[least.position];
}

const struct balance_policy balance_two_choices = {
    .name = "two_choices",
    .help = "the less pending of two that are drawn",
    .has_weights = true,
    .pick = pick,
};
