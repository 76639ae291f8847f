/* SPDX-License-Identifier: Apache-2.0
 *
 * Who waits for something that is fetched once for many: a fill of the cache, a queued request that was merged. It has the urgency of
 * its most urgent waiter, follows when waiters come, go or change, and is held up only when none of them takes any more: a
 * slow one never slows it (T3). The owner asks after each change whether its own urgency or its pace has to follow.
 *
 * Every call takes constant time and no memory.
 */
#ifndef BASE_WAITERS_H
#define BASE_WAITERS_H

#include <stdbool.h>
#include <stdint.h>

enum { WAITERS_LEVELS = 5 }; /* 0 is the most urgent */

/* Zero-initialised is empty. */
struct waiters {
    uint32_t all[WAITERS_LEVELS], ready[WAITERS_LEVELS];
};

/* Embed it in whoever waits; zero-initialised it waits for nothing. */
struct waiter {
    struct waiters *waits_for; /* NULL: nothing */
    uint8_t urgency;
    bool is_full; /* it can take no more for now */
};

/* A newcomer can take something. Its urgency: 0 .. WAITERS_LEVELS - 1. */
void waiter_join(struct waiter *waiter, struct waiters *waiters, uint8_t urgency);
void waiter_leave(struct waiter *waiter); /* harmless when it waits for nothing */
void waiter_set_urgency(struct waiter *waiter, uint8_t urgency);
void waiter_set_full(struct waiter *waiter, bool is_full);

static inline bool waiters_is_empty(const struct waiters *waiters)
{
    uint32_t count = 0;
    for (int i = 0; i < WAITERS_LEVELS; i++)
        count += waiters->all[i];
    return !count;
}

/* All of them are full: only then may the source be held up. */
static inline bool waiters_are_full(const struct waiters *waiters)
{
    uint32_t ready = 0;
    for (int i = 0; i < WAITERS_LEVELS; i++)
        ready += waiters->ready[i];
    return !ready && !waiters_is_empty(waiters);
}

/* The urgency of what they wait for: the most urgent of those that can take something, else of all; `otherwise` when nobody waits. */
uint8_t waiters_urgency(const struct waiters *waiters, uint8_t otherwise);

#endif
