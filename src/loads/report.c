/* SPDX-License-Identifier: Apache-2.0
 *
 * When a report is worth telling.
 */
#include "loads/loads.h"

enum { STILL_US = 500 }; /* a smaller change of a waiting time moves no request */

/* By an eighth or more, of more than `least`. */
static bool has_moved(uint32_t told, uint32_t now, uint32_t least)
{
    uint32_t difference = told > now ? told - now : now - told;
    return difference > least && difference > (told > now ? told : now) / 8;
}

uint32_t loads_report_need_milli(const struct loads_report *report)
{
    uint64_t need = (uint64_t)report->demand_milli * report->service_us / 1000000;
    return need < UINT32_MAX ? (uint32_t)need : UINT32_MAX;
}

bool loads_report_differs(const struct loads_report *told, const struct loads_report *now)
{
    if (told->site != now->site || told->is_full != now->is_full || told->slots != now->slots ||
        has_moved(told->load_permille, now->load_permille, 10) ||
        has_moved(told->pending, now->pending, 0) ||
        has_moved(told->demand_milli, now->demand_milli, 1000) ||
        has_moved(told->service_us, now->service_us, STILL_US))
        return true;
    for (int i = 0; i < LOADS_CLASSES; i++)
        if (has_moved(told->waiting[i], now->waiting[i], 0) ||
            has_moved(told->wait_us[i], now->wait_us[i], STILL_US))
            return true;
    return false;
}
