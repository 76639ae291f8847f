/* SPDX-License-Identifier: Apache-2.0
 *
 * First: in the order of the list; another one only when all before it are full or down. For stand-by servers, and for using as few
 * servers as will do.
 */
#include "balance/private.h"

static size_t pick(void *state, const struct balance_choice *choice, struct random *random)
{
    (void)state;
    (void)random;
    return choice->left[0];
}

const struct balance_policy balance_first = {
    .name = "first",
    .help = "the first that has room, in their order",
    .has_weights = false,
    .pick = pick,
};
