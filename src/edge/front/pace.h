/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/edge: how long a client may take. One that is waited for has a time; each byte that it moves buys the part of a second
 * that the least rate gives it, and never more than the whole time. So whoever is faster than the rate may go on for ever, whoever is
 * slower has used the time up at some point, and a pause is nobody's end. What the edge itself or the origin holds up costs nothing.
 */
#ifndef EDGE_PACE_H
#define EDGE_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct edge_pace {
    uint64_t deadline_ns; /* where is_behind */
    bool is_behind;       /* the client is waited for */
};

/* The client has moved bytes, or is behind from now on. `rate`: bytes a second; 0: any byte gives the whole time. */
static inline void edge_pace_move(struct edge_pace *pace, uint64_t now_ns, uint64_t timeout_ns,
                                  uint32_t rate, uint64_t bytes, bool is_behind)
{
    uint64_t whole_ns = now_ns + timeout_ns;
    if (!pace->is_behind || !is_behind || !rate || bytes / rate > timeout_ns / 1000000000) {
        pace->deadline_ns = whole_ns;
    } else {
        pace->deadline_ns += bytes * 1000000000 / rate;
        if (pace->deadline_ns > whole_ns)
            pace->deadline_ns = whole_ns;
    }
    pace->is_behind = is_behind;
}

#endif
