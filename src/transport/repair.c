/* SPDX-License-Identifier: Apache-2.0
 *
 * Tail repair: when, and what it may cost.
 */
#include "transport/repair.h"

void repair_init(struct repair *repair)
{
    *repair = (struct repair){.due_ns = UINT64_MAX, .credit = REPAIR_CREDIT_FIRST};
}

void repair_note(struct repair *repair, uint64_t number)
{
    repair->after = number + 1;
    repair->due_ns = UINT64_MAX;
}

void repair_set_idle(struct repair *repair, bool is_idle, uint64_t srtt_ns, uint64_t now_ns)
{
    if (!is_idle)
        repair->due_ns = UINT64_MAX;
    else if (repair->after && repair->due_ns == UINT64_MAX)
        repair->due_ns =
            now_ns + (srtt_ns / 16 < REPAIR_DELAY_MAX_NS ? srtt_ns / 16 : REPAIR_DELAY_MAX_NS);
}

static void earn(struct repair *repair, uint64_t link_bytes, uint64_t now_ns)
{
    if (!repair->counted_ns)
        repair->counted_ns = now_ns;
    uint64_t by_bytes = (link_bytes - repair->counted) / REPAIR_EARNED_SHARE;
    uint64_t ms = (now_ns - repair->counted_ns) / 1000000;
    repair->counted += by_bytes * REPAIR_EARNED_SHARE;
    repair->counted_ns += ms * 1000000;
    repair->credit += by_bytes + ms * REPAIR_EARNED_PER_S / 1000;
    if (repair->credit > REPAIR_CREDIT_MOST)
        repair->credit = REPAIR_CREDIT_MOST;
}

bool repair_take(struct repair *repair, const struct repair_facts *facts)
{
    repair->after = 0;
    repair->due_ns = UINT64_MAX;
    earn(repair, facts->link_bytes, facts->now_ns);
    if (!facts->is_wanted || facts->loss_ppm < REPAIR_LOSS_PPM ||
        repair->credit < facts->packet_bytes ||
        facts->in_flight_bytes + facts->packet_bytes > facts->window_bytes ||
        facts->srtt_ns > facts->min_rtt_ns + facts->min_rtt_ns / 4 + REPAIR_QUEUE_NS)
        return false;
    repair->credit -= facts->packet_bytes;
    return true;
}
