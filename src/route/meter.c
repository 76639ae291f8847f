/* SPDX-License-Identifier: Apache-2.0
 *
 * Loss of a direction, from counters: two memories of packets, one that forgets within half a second, to leave a channel soon, and one that
 * forgets within seconds, to come back late. A handful of packets says nothing.
 */
#include "route/route.h"

#define FAST_NS 500e6f
#define SLOW_NS 5000e6f

/* Fewer packets than these say nothing, nor does a single loss. */
static const float known_least = 20, lost_least = 2.5f;

static void decay(float *known, float *lost, float passed_ns, float memory_ns)
{
    float kept = 1 / (1 + passed_ns / memory_ns);
    *known *= kept;
    *lost *= kept;
}

void route_meter_add(struct route_meter *meter, uint64_t now_ns, uint64_t known, uint64_t lost)
{
    bool is_new = !meter->at_ns || known < meter->known;
    uint64_t known_more = is_new ? 0 : known - meter->known;
    uint64_t lost_more = is_new || lost < meter->lost ? 0 : lost - meter->lost;
    float passed_ns = meter->at_ns && now_ns > meter->at_ns ? (float)(now_ns - meter->at_ns) : 0;
    decay(&meter->fast_known, &meter->fast_lost, passed_ns, FAST_NS);
    decay(&meter->slow_known, &meter->slow_lost, passed_ns, SLOW_NS);
    meter->fast_known += (float)known_more;
    meter->slow_known += (float)known_more;
    meter->fast_lost += (float)lost_more;
    meter->slow_lost += (float)lost_more;
    meter->at_ns = now_ns;
    meter->known = known;
    meter->lost = lost;
}

static uint32_t share_ppm(float known, float lost)
{
    if (known < known_least || lost < lost_least)
        return 0;
    return lost < known ? (uint32_t)(lost / known * 1e6f) : 1000000;
}

struct route_loss route_meter_read(const struct route_meter *meter)
{
    return (struct route_loss){.fast_ppm = share_ppm(meter->fast_known, meter->fast_lost),
                               .slow_ppm = share_ppm(meter->slow_known, meter->slow_lost)};
}
