/* SPDX-License-Identifier: Apache-2.0
 *
 * How often the peer should acknowledge what we send (T11): the sender knows its window, the receiver does not. Told by ACK_FREQ
 * when it has changed enough, at most once a round trip.
 */
#ifndef TRANSPORT_ACK_FREQUENCY_H
#define TRANSPORT_ACK_FREQUENCY_H

#include <stdbool.h>
#include <stdint.h>

enum {
    ACK_FREQUENCY_PACKETS_MIN = 2,
    ACK_FREQUENCY_PACKETS_MAX = 32,
};

/* What is asked: an ack for so many packets, or so long after the first of them. */
struct ack_asking {
    uint64_t sequence; /* the greater replaces the smaller; 0: nothing was asked */
    uint32_t packets;
    uint32_t delay_us;
};

/* The sender's side. Zero-initialised has asked for nothing. */
struct ack_frequency {
    struct ack_asking asked;
    uint64_t looked_ns;
    bool waits; /* to be told, for the first time or again */
};

/* Looks at the window once a round trip. True: `asked` should be told; ack_frequency_told() then. */
bool ack_frequency_is_due(struct ack_frequency *frequency, uint64_t window_packets,
                          uint64_t srtt_ns, uint64_t now_ns);
void ack_frequency_told(struct ack_frequency *frequency);
void ack_frequency_lost(struct ack_frequency *frequency, uint64_t sequence);

/* Cheap: whether ack_frequency_is_due() has anything to look at. */
static inline bool ack_frequency_wants_look(const struct ack_frequency *frequency, uint64_t srtt_ns,
                                            uint64_t now_ns)
{
    return frequency->waits || now_ns - frequency->looked_ns >= srtt_ns;
}

#endif
