/* SPDX-License-Identifier: Apache-2.0
 *
 * Round robin: each server in turn, whatever its weight. It begins anywhere, so that gateways do not walk in step.
 */
#include "balance/private.h"

struct turn {
    size_t next; /* index of a candidate, + 1; 0: nobody had a turn yet */
};

static size_t pick(void *state, const struct balance_choice *choice, struct random *random)
{
    struct turn *turn = state;
    size_t position = 0;
    if (!turn->next)
        position = (size_t)random_below(random, choice->count);
    else
        while (position < choice->count && choice->left[position] < turn->next - 1)
            position++;
    size_t picked = choice->left[position < choice->count ? position : 0];
    turn->next = picked + 2;
    return picked;
}

const struct balance_policy balance_round_robin = {
    .name = "round_robin",
    .help = "one after the other, whatever their weights",
    .has_weights = false,
    .state_bytes = sizeof(struct turn),
    .pick = pick,
};
