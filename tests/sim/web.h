/* SPDX-License-Identifier: Apache-2.0
 *
 * Short flows as background: CUBIC connections of 10 to 100 KB that come by chance (Poisson) and leave when they are done.
 */
#ifndef SIM_WEB_H
#define SIM_WEB_H

#include "dumbbell.h"

enum { WEB_FLOWS = 128, WEB_TIMES_MAX = 16384 };

struct web {
    struct sim_node node;
    struct flow *flows[WEB_FLOWS]; /* of the dumbbell */
    uint16_t idle[WEB_FLOWS], idle_count;
    double mean_gap_ns;
    uint64_t next_ns;
    uint64_t arrived, refused, done, packets; /* refused: all flows were busy */
    uint64_t times_ns[WEB_TIMES_MAX];         /* to completion, of the first ones */
};

/* `bytes_per_s` is the load that they offer. */
void web_init(struct web *web, struct dumbbell *dumbbell, uint64_t bytes_per_s);
void web_clear(struct web *web); /* before the dumbbell */
uint64_t web_time_ns(struct web *web, double quantile);

#endif
