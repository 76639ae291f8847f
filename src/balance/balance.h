/* SPDX-License-Identifier: Apache-2.0
 *
 * Which of several servers gets the next request. A policy is one file with a const struct of functions and one line in the
 * table; edge, gateway and peer share them. Pure. (L1, L3)
 */
#ifndef BALANCE_BALANCE_H
#define BALANCE_BALANCE_H

#include "base/random.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BALANCE_NONE SIZE_MAX

struct balance_candidate {
    uint32_t pending; /* requests under way there */
    uint32_t limit;   /* its high-water mark (L3); 0: none */
    bool is_usable;   /* not known to be down */
};

struct balance_policy {
    const char *name;
    /* Index of the one to use. Servers past their limit are never picked; unusable ones only when no other is left. BALANCE_NONE: all are full. */
    size_t (*pick)(const struct balance_candidate *candidates, size_t count, struct random *random);
};

extern const struct balance_policy balance_least_pending; /* fewest pending; ties at random */

const struct balance_policy *balance_find(const char *name); /* NULL: there is none of that name */

#endif
