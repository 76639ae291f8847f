/* SPDX-License-Identifier: Apache-2.0
 *
 * HyStart++ (RFC 9406): leaves slow start when the round-trip time grows, before packets are lost. One for the whole
 * ensemble: its flows share one queue.
 */
#ifndef TRANSPORT_HYSTART_H
#define TRANSPORT_HYSTART_H

#include <stdint.h>

enum hystart_phase {
    HYSTART_SLOW_START,
    HYSTART_CONSERVATIVE, /* CSS: grow at a quarter, and see whether the delay stays */
    HYSTART_DONE,
};

struct hystart {
    enum hystart_phase phase;
    uint64_t round_end;    /* the round ends with the ack of this packet or a later one */
    uint64_t last_min_ns;  /* least RTT of the round before; UINT64_MAX: none */
    uint64_t round_min_ns; /* and of this one */
    uint64_t baseline_ns;  /* round_min_ns when the conservative phase began */
    uint32_t samples;
    uint32_t conservative_rounds;
};

void hystart_init(struct hystart *hystart);

/* A packet was acknowledged, `next_number` will be the next to be sent; rtt_ns 0: no sample. */
void hystart_on_acked(struct hystart *hystart, uint64_t number, uint64_t next_number,
                      uint64_t rtt_ns);

static inline double hystart_growth(const struct hystart *hystart)
{
    return hystart->phase == HYSTART_CONSERVATIVE ? 0.25 : 1.0;
}

#endif
