/* SPDX-License-Identifier: Apache-2.0
 *
 * Slow start: a server that comes back has cold caches and no compiled code; its weight grows in a straight line.
 */
#include "balance/balance.h"

uint16_t balance_ramp(const struct balance_slow_start *slow_start, uint64_t since_ns,
                      uint64_t now_ns)
{
    uint64_t duration_ns = slow_start->duration_ns;
    uint64_t age_ns = now_ns > since_ns ? now_ns - since_ns : 0;
    if (!since_ns || age_ns >= duration_ns)
        return BALANCE_RAMP_WHOLE;
    uint64_t ramp = age_ns * BALANCE_RAMP_WHOLE / duration_ns;
    uint64_t least = (uint64_t)slow_start->least_percent * (BALANCE_RAMP_WHOLE / 100);
    if (ramp < least)
        ramp = least;
    return (uint16_t)(ramp ? ramp : 1);
}
