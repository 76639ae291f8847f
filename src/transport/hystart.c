/* SPDX-License-Identifier: Apache-2.0
 *
 * Delay-based exit from slow start.
 */
#include "transport/hystart.h"

enum {
    HYSTART_THRESHOLD_MIN_NS = 3000000,
    HYSTART_THRESHOLD_MAX_NS = 12000000,
    HYSTART_THRESHOLD_DIVISOR = 16,
};

static uint64_t threshold_ns(uint64_t base_ns)
{
    uint64_t threshold = base_ns / HYSTART_THRESHOLD_DIVISOR;
    if (threshold < HYSTART_THRESHOLD_MIN_NS)
        return HYSTART_THRESHOLD_MIN_NS;
    return threshold < HYSTART_THRESHOLD_MAX_NS ? threshold : HYSTART_THRESHOLD_MAX_NS;
}

void hystart_on_acked(struct hystart *hystart, uint64_t number, uint64_t next_number,
                      uint64_t rtt_ns)
{
    if (hystart->is_over)
        return;
    if (hystart->least_ns == 0 || rtt_ns < hystart->least_ns)
        hystart->least_ns = rtt_ns;
    if (number >= hystart->round_end) {
        if (hystart->round_end)
            hystart->base_ns = hystart->least_ns;
        hystart->round_end = next_number;
    }
    hystart->samples_ns[hystart->samples++ % HYSTART_SAMPLES] = rtt_ns;
    if (hystart->base_ns == 0 || hystart->samples < HYSTART_SAMPLES)
        return;
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < HYSTART_SAMPLES; i++)
        least = hystart->samples_ns[i] < least ? hystart->samples_ns[i] : least;
    hystart->is_over = least >= hystart->base_ns + threshold_ns(hystart->base_ns);
}
