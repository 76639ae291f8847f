/* SPDX-License-Identifier: Apache-2.0
 *
 * Careful resume: reconnaissance (the first round trip), the jump, and validation or safe retreat.
 */
#include "transport/resume.h"

void resume_init(struct resume *resume, uint64_t saved_bdp_bytes)
{
    *resume = (struct resume){.phase = saved_bdp_bytes ? RESUME_ARMED : RESUME_OFF,
                              .target_bytes = saved_bdp_bytes / 2};
}

uint64_t resume_on_acked(struct resume *resume, uint64_t number, uint32_t bytes,
                         uint64_t next_number, bool has_rtt)
{
    switch (resume->phase) {
    case RESUME_OFF:
        break;
    case RESUME_ARMED:
        if (!has_rtt)
            break;
        resume->phase = RESUME_JUMPED;
        resume->jumped_number = next_number;
        return resume->target_bytes;
    case RESUME_JUMPED:
        if (number < resume->jumped_number)
            break;
        resume->delivered_bytes += bytes;
        if (resume->proven_number == 0)
            resume->proven_number = next_number;
        else if (number >= resume->proven_number)
            resume->phase = RESUME_OFF;
        break;
    }
    return 0;
}

uint64_t resume_on_overflow(struct resume *resume, uint64_t least_bytes)
{
    bool has_jumped = resume->phase == RESUME_JUMPED;
    resume->phase = RESUME_OFF; /* before the jump: there is no room to jump into */
    uint64_t proven = resume->delivered_bytes / 2;
    return !has_jumped ? 0 : proven > least_bytes ? proven : least_bytes;
}
