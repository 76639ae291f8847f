/* SPDX-License-Identifier: Apache-2.0
 *
 * HyStart++ (RFC 9406): leaves slow start when the round-trip time grows, before packets are lost, as real TCPs do.
 */
#ifndef SIM_TCP_HYSTART_H
#define SIM_TCP_HYSTART_H

#include <stdint.h>

enum tcp_hystart_phase {
    TCP_HYSTART_SLOW_START,
    TCP_HYSTART_CONSERVATIVE, /* CSS: grow at a quarter, and see whether the delay stays */
    TCP_HYSTART_DONE,
};

struct tcp_hystart {
    enum tcp_hystart_phase phase;
    uint64_t round_end;    /* the round ends with the ack of this packet or a later one */
    uint64_t last_min_ns;  /* least RTT of the round before; UINT64_MAX: none */
    uint64_t round_min_ns; /* and of this one */
    uint64_t baseline_ns;  /* round_min_ns when the conservative phase began */
    uint32_t samples;
    uint32_t conservative_rounds;
};

void tcp_hystart_init(struct tcp_hystart *tcp_hystart);

/* A packet was acknowledged, `next_number` will be the next to be sent; rtt_ns 0: no sample. */
void tcp_hystart_on_acked(struct tcp_hystart *tcp_hystart, uint64_t number, uint64_t next_number,
                          uint64_t rtt_ns);

static inline double tcp_hystart_growth(const struct tcp_hystart *tcp_hystart)
{
    return tcp_hystart->phase == TCP_HYSTART_CONSERVATIVE ? 0.25 : 1.0;
}

#endif
