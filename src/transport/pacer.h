/* SPDX-License-Identifier: Apache-2.0
 *
 * Spreads packets over time. Invariant: over any period in which the rate stays the same and data waits for nothing else, the bytes
 * sent are at most rate x period + burst, and at least rate x period - burst, where burst = max(2 packets, 1 ms at the rate), at most
 * 64 KB: that burst is the GSO batch. A caller who comes late may make up for it, by up to 8 bursts; one who was waiting for data or for
 * the window (resting) has one.
 */
#ifndef TRANSPORT_PACER_H
#define TRANSPORT_PACER_H

#include <stdbool.h>
#include <stdint.h>

/* Embed it. */
struct pacer {
    uint64_t bytes_per_s;
    uint64_t burst_bytes;
    uint64_t updated_ns;
    int64_t
        credit_bytes_e9; /* in 1e-9 bytes, so that no rounding accumulates; may be negative by less than a packet */
    uint32_t packet_bytes;
    bool is_resting;
};

void pacer_init(struct pacer *pacer, uint32_t packet_bytes, uint64_t now_ns);
void pacer_set_rate(struct pacer *pacer, uint64_t bytes_per_s, uint64_t now_ns); /* 0: not paced */
/* Something else than the pacer is waited for; at first it is so. */
void pacer_set_resting(struct pacer *pacer, bool is_resting, uint64_t now_ns);
uint64_t pacer_budget(struct pacer *pacer,
                      uint64_t now_ns); /* bytes that may go now: 0, or at least a packet */
void pacer_spend(struct pacer *pacer, uint64_t bytes);
uint64_t
pacer_next(const struct pacer *pacer,
           uint64_t now_ns); /* when the budget allows a batch worth sending; now_ns or later */

#endif
