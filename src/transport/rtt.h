/* SPDX-License-Identifier: Apache-2.0
 *
 * Round-trip time estimation (RFC 9002 section 5).
 */
#ifndef TRANSPORT_RTT_H
#define TRANSPORT_RTT_H

#include <stdint.h>

#define RTT_INITIAL_NS     (100ull * 1000000) /* before the first sample */
#define RTT_GRANULARITY_NS (1ull * 1000000)
#define ACK_DELAY_MAX_NS   (5ull * 1000000) /* how long this protocol ever holds an ack back */

struct rtt {
    uint64_t latest_ns, smoothed_ns, variance_ns, min_ns;
    uint64_t samples;
};

void rtt_init(struct rtt *rtt);
void rtt_sample(struct rtt *rtt, uint64_t latest_ns, uint64_t ack_delay_ns);

/* How long to wait for an ack before probing, without backoff (RFC 9002 section 6.2.1). */
uint64_t rtt_probe_timeout(const struct rtt *rtt);

#endif
