/* SPDX-License-Identifier: Apache-2.0
 *
 * HyStart++, RFC 9406 section 4.2, with the constants of its section 4.3.
 */
#include "transport/hystart.h"

enum {
    HYSTART_THRESHOLD_MIN_NS = 4000000,
    HYSTART_THRESHOLD_MAX_NS = 16000000,
    HYSTART_THRESHOLD_DIVISOR = 8,
    HYSTART_SAMPLES = 8,
    HYSTART_CONSERVATIVE_ROUNDS = 5,
};

void hystart_init(struct hystart *hystart)
{
    *hystart = (struct hystart){.last_min_ns = UINT64_MAX, .round_min_ns = UINT64_MAX};
}

static uint64_t threshold_ns(const struct hystart *hystart)
{
    uint64_t threshold = hystart->last_min_ns / HYSTART_THRESHOLD_DIVISOR;
    if (threshold < HYSTART_THRESHOLD_MIN_NS)
        return HYSTART_THRESHOLD_MIN_NS;
    return threshold < HYSTART_THRESHOLD_MAX_NS ? threshold : HYSTART_THRESHOLD_MAX_NS;
}

static void next_round(struct hystart *hystart, uint64_t next_number)
{
    hystart->round_end = next_number;
    hystart->last_min_ns = hystart->round_min_ns;
    hystart->round_min_ns = UINT64_MAX;
    hystart->samples = 0;
    if (hystart->phase == HYSTART_CONSERVATIVE &&
        ++hystart->conservative_rounds >= HYSTART_CONSERVATIVE_ROUNDS)
        hystart->phase = HYSTART_DONE;
}

void hystart_on_acked(struct hystart *hystart, uint64_t number, uint64_t next_number,
                      uint64_t rtt_ns)
{
    if (hystart->phase == HYSTART_DONE)
        return;
    if (number >= hystart->round_end)
        next_round(hystart, next_number);
    if (rtt_ns == 0)
        return;
    if (rtt_ns < hystart->round_min_ns)
        hystart->round_min_ns = rtt_ns;
    if (++hystart->samples < HYSTART_SAMPLES)
        return;
    if (hystart->phase == HYSTART_SLOW_START) {
        if (hystart->last_min_ns != UINT64_MAX &&
            hystart->round_min_ns >= hystart->last_min_ns + threshold_ns(hystart)) {
            hystart->phase = HYSTART_CONSERVATIVE;
            hystart->baseline_ns = hystart->round_min_ns;
            hystart->conservative_rounds = 0;
        }
    } else if (hystart->round_min_ns < hystart->baseline_ns) {
        hystart->phase = HYSTART_SLOW_START;
    }
}
