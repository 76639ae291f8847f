/* SPDX-License-Identifier: Apache-2.0
 *
 * Counts hosted connections.
 */
#include "transport/hosting.h"

void hosting_init(struct hosting *hosting)
{
    *hosting = (struct hosting){0};
    list_init(&hosting->cooling);
}

static void stop_cooling(struct hosting *hosting, struct hosting_entry *entry)
{
    if (!entry->is_cooling)
        return;
    entry->is_cooling = false;
    hosting->cooling_count--;
    list_remove(&entry->link);
}

void hosting_set_busy(struct hosting *hosting, struct hosting_entry *entry, bool is_busy,
                      uint64_t now_ns)
{
    if (entry->is_busy == is_busy)
        return;
    entry->is_busy = is_busy;
    if (is_busy) {
        stop_cooling(hosting, entry);
        hosting->busy++;
    } else {
        hosting->busy--;
        entry->idle_ns = now_ns;
        entry->is_cooling = true;
        hosting->cooling_count++;
        list_push_back(&hosting->cooling, &entry->link);
    }
}

void hosting_leave(struct hosting *hosting, struct hosting_entry *entry)
{
    stop_cooling(hosting, entry);
    if (entry->is_busy)
        hosting->busy--;
    entry->is_busy = false;
}

uint32_t hosting_count(struct hosting *hosting, uint64_t srtt_ns, uint64_t now_ns)
{
    uint64_t linger_ns = srtt_ns > HOSTING_LINGER_NS ? srtt_ns : HOSTING_LINGER_NS;
    LIST_EACH (link, after, &hosting->cooling) {
        struct hosting_entry *entry = CONTAINER_OF(link, struct hosting_entry, link);
        if (now_ns - entry->idle_ns < linger_ns)
            break;
        stop_cooling(hosting, entry);
    }
    return hosting->busy + hosting->cooling_count;
}
