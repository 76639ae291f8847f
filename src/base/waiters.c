/* SPDX-License-Identifier: Apache-2.0
 *
 * Counts of waiters by class.
 */
#include "base/waiters.h"

#include "base/error.h"

#include <stddef.h>

static void count(const struct waiter *waiter, uint32_t by)
{
    waiter->waits_for->all[waiter->urgency] += by;
    if (!waiter->is_full)
        waiter->waits_for->ready[waiter->urgency] += by;
}

void waiter_join(struct waiter *waiter, struct waiters *waiters, uint8_t urgency)
{
    INVARIANT(!waiter->waits_for && urgency < WAITERS_LEVELS);
    *waiter = (struct waiter){.waits_for = waiters, .urgency = urgency};
    count(waiter, 1);
}

void waiter_leave(struct waiter *waiter)
{
    if (!waiter->waits_for)
        return;
    count(waiter, (uint32_t)-1);
    waiter->waits_for = NULL;
}

void waiter_set_urgency(struct waiter *waiter, uint8_t urgency)
{
    INVARIANT(waiter->waits_for && urgency < WAITERS_LEVELS);
    count(waiter, (uint32_t)-1);
    waiter->urgency = urgency;
    count(waiter, 1);
}

void waiter_set_full(struct waiter *waiter, bool is_full)
{
    INVARIANT(waiter->waits_for);
    count(waiter, (uint32_t)-1);
    waiter->is_full = is_full;
    count(waiter, 1);
}

static uint8_t first_of(const uint32_t counts[WAITERS_LEVELS])
{
    uint8_t urgency = 0;
    while (urgency < WAITERS_LEVELS && !counts[urgency])
        urgency++;
    return urgency;
}

uint8_t waiters_urgency(const struct waiters *waiters, uint8_t otherwise)
{
    uint8_t urgency = first_of(waiters->ready);
    if (urgency == WAITERS_LEVELS)
        urgency = first_of(waiters->all);
    return urgency < WAITERS_LEVELS ? urgency : otherwise;
}
