/* SPDX-License-Identifier: Apache-2.0
 *
 * Gateways that share servers divide their slots: each gets one, the others in proportion to what each needs. Rounded down, so that
 * gateways that see the same needs never give more than there is (L3).
 */
#include "queue/queue.h"

enum {
    RISES_AFTER = 3
}; /* looks at which a larger part was due: by then the others have heard of it, too */

uint32_t queue_divide(uint32_t slots, uint32_t others, uint64_t own_need, uint64_t others_need)
{
    if (!others)
        return slots;
    if (slots <= others)
        return slots ? 1 : 0;
    uint32_t spare = slots - others - 1;
    if (!own_need && !others_need)
        return 1 + spare / (others + 1);
    return 1 +
           (uint32_t)((double)spare * (double)own_need / ((double)own_need + (double)others_need));
}

uint32_t queue_part_follow(struct queue_part *part, uint32_t due)
{
    bool is_larger = part->slots && due > part->slots;
    part->larger_for = is_larger ? (uint8_t)(part->larger_for + 1) : 0;
    if (is_larger && part->larger_for < RISES_AFTER)
        return part->slots;
    part->larger_for = 0;
    part->slots = due;
    return due;
}
