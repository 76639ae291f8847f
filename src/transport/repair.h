/* SPDX-License-Identifier: Apache-2.0
 *
 * Tail repair: when nothing is left to send, no later packet can show that the last ones were lost, and the other end waits for a
 * probe timeout. So the last packet with bytes of the top rings goes once more, where the path loses packets, the window has room to
 * spare and no queue stands. What it may cost is earned: about 2 % of the link's bytes, both ends together, and a little by time, so
 * that a link with nothing but small requests is helped as well.
 */
#ifndef TRANSPORT_REPAIR_H
#define TRANSPORT_REPAIR_H

#include <stdbool.h>
#include <stdint.h>

enum {
    REPAIR_RINGS = 2,           /* the most urgent ones */
    REPAIR_EARNED_SHARE = 100,  /* a byte for each so many, sent or received: each end half of it */
    REPAIR_EARNED_PER_S = 8000, /* bytes, whatever is sent */
    REPAIR_CREDIT_FIRST = 4 * 1400,
    REPAIR_CREDIT_MOST = 64 * 1024, /* saved up */
    REPAIR_LOSS_PPM = 500,          /* below that it would be for nothing */
};
#define REPAIR_DELAY_MAX_NS \
    (5ull * 1000000)                     /* a burst of losses is over; or there is more to send */
#define REPAIR_QUEUE_NS (5ull * 1000000) /* and a quarter of the round trip: more is a queue */

/* A path's. */
struct repair {
    uint64_t after;   /* one more than the last packet with urgent bytes; 0: none, or dealt with */
    uint64_t due_ns;  /* UINT64_MAX: something follows it, or there is none */
    uint64_t counted; /* bytes that have earned already */
    uint64_t counted_ns;
    uint64_t credit; /* bytes */
};

/* What is known at the moment. */
struct repair_facts {
    uint64_t now_ns, srtt_ns, min_rtt_ns;
    uint64_t window_bytes, in_flight_bytes;
    uint64_t link_bytes; /* sent and received so far */
    uint32_t loss_ppm;
    uint32_t packet_bytes; /* what it would cost */
    bool is_wanted;        /* by configuration */
};

void repair_init(struct repair *repair);
void repair_note(struct repair *repair,
                 uint64_t number); /* carries urgent bytes, for the first time */
/* After each round of sending: whether nothing is left to send. */
void repair_set_idle(struct repair *repair, bool is_idle, uint64_t srtt_ns, uint64_t now_ns);
/* It is due: whether the packet repair->after - 1 shall go once more. It is dealt with in any case. */
bool repair_take(struct repair *repair, const struct repair_facts *facts);

#endif
