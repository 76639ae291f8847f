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

const struct balance_policy balance_random = {"random", "any, by weight", true, 0, pick};
