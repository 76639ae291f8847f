/* SPDX-License-Identifier: Apache-2.0
 *
 * Round-trip time estimation (RFC 9002 section 5).
 */
#include "transport/rtt.h"

void rtt_init(struct rtt *rtt)
{
    *rtt = (struct rtt){.smoothed_ns = RTT_INITIAL_NS, .variance_ns = RTT_INITIAL_NS / 2};
}

void rtt_sample(struct rtt *rtt, uint64_t latest_ns, uint64_t ack_delay_ns)
{
    rtt->latest_ns = latest_ns;
    if (!rtt->samples++) {
        rtt->min_ns = rtt->smoothed_ns = latest_ns;
        rtt->variance_ns = latest_ns / 2;
        return;
    }
    if (latest_ns < rtt->min_ns)
        rtt->min_ns = latest_ns;
    uint64_t adjusted =
        latest_ns >= rtt->min_ns + ack_delay_ns ? latest_ns - ack_delay_ns : latest_ns;
    uint64_t apart =
        rtt->smoothed_ns > adjusted ? rtt->smoothed_ns - adjusted : adjusted - rtt->smoothed_ns;
    rtt->variance_ns = (3 * rtt->variance_ns + apart) / 4;
    rtt->smoothed_ns = (7 * rtt->smoothed_ns + adjusted) / 8;
}

uint64_t rtt_probe_timeout(const struct rtt *rtt)
{
    uint64_t spread = 4 * rtt->variance_ns;
    return rtt->smoothed_ns + (spread > RTT_GRANULARITY_NS ? spread : RTT_GRANULARITY_NS) +
           ACK_DELAY_MAX_NS;
}
