/* SPDX-License-Identifier: Apache-2.0
 *
 * How many connections the path carries now (T7): streams with data queued or unacknowledged, and
 * those that had some within the last max(srtt, 100 ms). An idle connection counts for nothing.
 */
#ifndef TRANSPORT_HOSTING_H
#define TRANSPORT_HOSTING_H

#include "base/list.h"

#include <stdint.h>

#define HOSTING_LINGER_NS (100ull * 1000000)

struct hosting {
    struct list cooling; /* idle for a short while, longest first */
    uint32_t busy, cooling_count;
};

/* Embed it in a stream; zero-initialised is idle. */
struct hosting_entry {
    struct list link;
    uint64_t idle_ns;
    bool is_busy, is_cooling;
};

void hosting_init(struct hosting *hosting);
void hosting_set_busy(struct hosting *hosting, struct hosting_entry *entry, bool is_busy,
                      uint64_t now_ns);
void hosting_leave(struct hosting *hosting, struct hosting_entry *entry);
uint32_t hosting_count(struct hosting *hosting, uint64_t srtt_ns, uint64_t now_ns);

#endif
