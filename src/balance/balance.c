/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of policies.
 */
#include "balance/balance.h"

#include <string.h>

static const struct balance_policy *const policies[] = {&balance_least_pending};

const struct balance_policy *balance_find(const char *name)
{
    for (size_t i = 0; i < sizeof policies / sizeof *policies; i++)
        if (strcmp(policies[i]->name, name) == 0)
            return policies[i];
    return NULL;
}
