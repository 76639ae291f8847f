/* SPDX-License-Identifier: Apache-2.0
 *
 * Random: by weight.
 */
#include "balance/private.h"

static size_t pick(void *state, const struct balance_choice *choice, struct random *random)
{
    (void)state;
    return choice->left[balance_draw(choice, BALANCE_NONE, random)];
}

const struct balance_policy balance_random = {
    .name = "random",
    .help = "any, by weight",
    .has_weights = true,
    .pick = pick,
};
