/* SPDX-License-Identifier: Apache-2.0
 *
 * HyStart++, RFC 9406 section 4.2, with the constants of its section 4.3.
 */
#include "tcp_hystart.h"

enum {
    TCP_HYSTART_THRESHOLD_MIN_NS = 4000000,
    TCP_HYSTART_THRESHOLD_MAX_NS = 16000000,
    TCP_HYSTART_THRESHOLD_DIVISOR = 8,
    TCP_HYSTART_SAMPLES = 8,
    TCP_HYSTART_CONSERVATIVE_ROUNDS = 5,
};

void tcp_hystart_init(struct tcp_hystart *tcp_hystart)
{
    *tcp_hystart = (struct tcp_hystart){.last_min_ns = UINT64_MAX, .round_min_ns = UINT64_MAX};
}

static uint64_t threshold_ns(const struct tcp_hystart *tcp_hystart)
{
    uint64_t threshold = tcp_hystart->last_min_ns / TCP_HYSTART_THRESHOLD_DIVISOR;
    if (threshold < TCP_HYSTART_THRESHOLD_MIN_NS)
        return TCP_HYSTART_THRESHOLD_MIN_NS;
    return threshold < TCP_HYSTART_THRESHOLD_MAX_NS ? threshold : TCP_HYSTART_THRESHOLD_MAX_NS;
}

static void next_round(struct tcp_hystart *tcp_hystart, uint64_t next_number)
{
    tcp_hystart->round_end = next_number;
    tcp_hystart->last_min_ns = tcp_hystart->round_min_ns;
    tcp_hystart->round_min_ns = UINT64_MAX;
    tcp_hystart->samples = 0;
    if (tcp_hystart->phase == TCP_HYSTART_CONSERVATIVE &&
        ++tcp_hystart->conservative_rounds >= TCP_HYSTART_CONSERVATIVE_ROUNDS)
        tcp_hystart->phase = TCP_HYSTART_DONE;
}

void tcp_hystart_on_acked(struct tcp_hystart *tcp_hystart, uint64_t number, uint64_t next_number,
                          uint64_t rtt_ns)
{
    if (tcp_hystart->phase == TCP_HYSTART_DONE)
        return;
    if (number >= tcp_hystart->round_end)
        next_round(tcp_hystart, next_number);
    if (rtt_ns == 0)
        return;
    if (rtt_ns < tcp_hystart->round_min_ns)
        tcp_hystart->round_min_ns = rtt_ns;
    if (++tcp_hystart->samples < TCP_HYSTART_SAMPLES)
        return;
    if (tcp_hystart->phase == TCP_HYSTART_SLOW_START) {
        if (tcp_hystart->last_min_ns != UINT64_MAX &&
            tcp_hystart->round_min_ns >= tcp_hystart->last_min_ns + threshold_ns(tcp_hystart)) {
            tcp_hystart->phase = TCP_HYSTART_CONSERVATIVE;
            tcp_hystart->baseline_ns = tcp_hystart->round_min_ns;
            tcp_hystart->conservative_rounds = 0;
        }
    } else if (tcp_hystart->round_min_ns < tcp_hystart->baseline_ns) {
        tcp_hystart->phase = TCP_HYSTART_SLOW_START;
    }
}
