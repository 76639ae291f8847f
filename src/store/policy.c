/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of eviction policies; the first is the default.
 */
#include "store/policy.h"

#include "store/store.h"

static const struct policy *const policies[] = {&policy_s3fifo, &policy_lru, &policy_lfu,
                                                &policy_fifo, &policy_random};
enum { POLICIES = sizeof policies / sizeof policies[0] };

const struct policy *policy_find(const char *name)
{
    for (size_t i = 0; i < POLICIES; i++)
        if (!name || strcmp(policies[i]->name, name) == 0)
            return policies[i];
    return NULL;
}

const char *store_policy_name(size_t index)
{
    return index < POLICIES ? policies[index]->name : NULL;
}
