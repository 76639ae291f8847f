/* SPDX-License-Identifier: Apache-2.0
 *
 * What an edge lets through to a gateway: it shrinks while the gateway's queue stands, and grows while it does not. (L4)
 */
#include "loads/loads.h"

enum {
    SLACK = 64,       /* beyond twice of what is under way: it is open again */
    CHANGE_PART = 20, /* of what is let through, that each step changes it by */
};

static uint32_t waiting_there(const struct loads_report *report)
{
    uint32_t waiting = 0;
    for (int i = 0; i < LOADS_CLASSES; i++)
        waiting += report->waiting[i];
    return waiting;
}

bool loads_stands(const struct loads_report *report)
{
    return report && report->slots && (report->is_full || waiting_there(report) > report->slots);
}

uint32_t loads_there(const struct loads_report *report)
{
    return report ? report->pending + waiting_there(report) : 0;
}

static uint32_t shrunk(uint32_t slots)
{
    uint32_t less = slots - slots / CHANGE_PART - (slots > 1);
    return less ? less : 1;
}

uint32_t loads_pass(uint32_t slots, uint32_t pending, const struct loads_report *report)
{
    if (loads_stands(report)) {
        if (slots == LOADS_PASS_OPEN) /* no more than is there */
            return pending > 1 ? pending : 1;
        bool is_long = report->is_full || waiting_there(report) / 2 > report->slots;
        return is_long ? shrunk(slots) : slots;
    }
    if (slots == LOADS_PASS_OPEN || slots > 2 * pending + SLACK)
        return LOADS_PASS_OPEN;
    return slots + slots / CHANGE_PART + 1;
}
