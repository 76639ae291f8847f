/* SPDX-License-Identifier: Apache-2.0
 *
 * The sender's choice of how often it hears from the receiver.
 */
#include "transport/ack_frequency.h"

#include "transport/rtt.h"

#define LONG_PATH_NS (4ull * 1000000)

enum {
    SHARE_SHORT = 8, /* of the window's packets: one ack for an eighth, */
    SHARE_LONG = 32, /* or for a thirty-second on a long path */
    CHANGE = 4,      /* worth a frame: by a quarter */
};

/* On a long path acks in large batches would cost the sender its share beside connections that are acknowledged one by one: its
 * window is shut for part of each round trip. On a short one they only cost time. */
static uint32_t packets_for(uint64_t window_packets, uint64_t srtt_ns)
{
    uint64_t packets = window_packets / (srtt_ns >= LONG_PATH_NS ? SHARE_LONG : SHARE_SHORT);
    return packets < ACK_FREQUENCY_PACKETS_MIN   ? ACK_FREQUENCY_PACKETS_MIN
           : packets > ACK_FREQUENCY_PACKETS_MAX ? ACK_FREQUENCY_PACKETS_MAX
                                                 : (uint32_t)packets;
}

/* Nothing asked: the receiver takes the least number and an eighth of the round trip as it sees it. */
static bool has_changed(uint32_t from, uint32_t to)
{
    uint32_t apart = from < to ? to - from : from - to;
    return apart * CHANGE > from;
}

bool ack_frequency_is_due(struct ack_frequency *frequency, uint64_t window_packets,
                          uint64_t srtt_ns, uint64_t now_ns)
{
    if (now_ns - frequency->looked_ns < srtt_ns)
        return frequency->waits;
    frequency->looked_ns = now_ns;
    struct ack_asking *asked = &frequency->asked;
    uint32_t packets = packets_for(window_packets, srtt_ns);
    uint64_t delay_ns = srtt_ns / 8 < ACK_DELAY_MAX_NS ? srtt_ns / 8 : ACK_DELAY_MAX_NS;
    uint32_t delay_us = (uint32_t)(delay_ns / 1000);
    if (asked->sequence
            ? has_changed(asked->packets, packets) || has_changed(asked->delay_us, delay_us)
            : packets > ACK_FREQUENCY_PACKETS_MIN) {
        *asked = (struct ack_asking){asked->sequence + 1, packets, delay_us};
        frequency->waits = true;
    }
    return frequency->waits;
}

void ack_frequency_told(struct ack_frequency *frequency)
{
    frequency->waits = false;
}

void ack_frequency_lost(struct ack_frequency *frequency, uint64_t sequence)
{
    if (sequence == frequency->asked.sequence)
        frequency->waits = true;
}
