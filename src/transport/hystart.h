/* SPDX-License-Identifier: Apache-2.0
 *
 * When to leave slow start: the round-trip time grows, before packets are lost. The idea is HyStart++'s (RFC 9406) with two changes.
 * It looks at the least of the last samples at any time, not of a round's first ones only: the first of a round have seen the
 * queue of a round ago, and meanwhile the window doubles once more. And it has no conservative phase: what follows slow start (the
 * path's model) drains the queue and grows again where the delay was none of ours.
 */
#ifndef TRANSPORT_HYSTART_H
#define TRANSPORT_HYSTART_H

#include <stdbool.h>
#include <stdint.h>

enum { HYSTART_SAMPLES = 8 };

/* Zero-initialised is at its beginning. */
struct hystart {
    uint64_t base_ns;   /* least RTT of the rounds before; 0: none is over */
    uint64_t least_ns;  /* least RTT of all samples */
    uint64_t round_end; /* the round ends with the ack of this packet or a later one */
    uint64_t samples_ns[HYSTART_SAMPLES];
    uint32_t samples;
    bool is_over;
};

/* A packet was acknowledged with a round-trip sample; `next_number` will be the next to be sent. */
void hystart_on_acked(struct hystart *hystart, uint64_t number, uint64_t next_number,
                      uint64_t rtt_ns);

#endif
