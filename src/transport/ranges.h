/* SPDX-License-Identifier: Apache-2.0
 *
 * A set of numbers as sorted ranges that neither overlap nor touch. Nearly always there is only
 * one, which needs no memory of its own; appending at the end is O(1), everything else a binary
 * search and a short move.
 */
#ifndef TRANSPORT_RANGES_H
#define TRANSPORT_RANGES_H

#include <stdbool.h>
#include <stdint.h>

struct range {
    uint64_t start, end; /* [start, end) */
};

/* Zero-initialised is empty. */
struct ranges {
    struct range *heap; /* when there has been more than one */
    struct range only;
    uint32_t count, capacity;
};

static inline const struct range *ranges_items(const struct ranges *ranges)
{
    return ranges->heap ? ranges->heap : &ranges->only;
}

void ranges_clear(struct ranges *ranges);
void ranges_add(struct ranges *ranges, uint64_t start,
                uint64_t end); /* nothing when start >= end */
void ranges_remove(struct ranges *ranges, uint64_t start, uint64_t end);
bool ranges_has(const struct ranges *ranges, uint64_t number);
void ranges_drop_first(struct ranges *ranges, uint32_t count); /* count <= ranges->count */

/* Index of the first range that ends behind `number`; ranges->count when there is none. */
uint32_t ranges_find(const struct ranges *ranges, uint64_t number);

#endif
