/* SPDX-License-Identifier: Apache-2.0
 *
 * When a packet counts as lost and when to probe (RFC 9002 section 6), over a sent log. The packet
 * threshold starts at 3 and grows with every loss that proves spurious, so that a path that
 * reorders is not taken for one that loses.
 */
#ifndef TRANSPORT_LOSS_H
#define TRANSPORT_LOSS_H

#include "transport/rtt.h"
#include "transport/sent_log.h"

enum {
    LOSS_PACKET_THRESHOLD = 3,
    LOSS_PACKET_THRESHOLD_MAX = 128,
    LOSS_BACKOFF_MAX = 6, /* doublings of the probe timeout */
    LOSS_PROBES = 2,
    LOSS_SOON_PROBES = 32, /* in a row, that do not wait longer than LOSS_SOON_NS */
};
/* A network that comes back is noticed within about a second during the first half minute (two small
 * packets a second burden nobody), later within eight. */
#define LOSS_SOON_NS  (1000ull * 1000000)
#define LOSS_LATER_NS (8000ull * 1000000)

/* Embed it. */
struct loss {
    uint64_t next_acked;   /* one more than the greatest number acknowledged; 0: none */
    uint64_t loss_at_ns;   /* when the first packet crosses the time threshold; UINT64_MAX: none */
    uint64_t last_sent_ns; /* of a packet in flight */
    uint64_t waiting_since_ns; /* something is in flight, and no ack or timeout has come since */
    uint32_t packet_threshold;
    uint32_t probe_timeouts; /* in a row */
};

void loss_init(struct loss *loss);

/* The next packet that is lost by now, in order; false: no more, and loss_at_ns is set. The
 * caller settles each one with sent_log_set_state(). `cursor` starts at log->first_open. */
bool loss_next(struct loss *loss, const struct sent_log *log, const struct rtt *rtt,
               uint64_t now_ns, uint64_t *cursor);

void loss_acked(struct loss *loss, uint64_t largest); /* an ack of something in flight */
void loss_spurious(struct loss *loss, uint64_t number);

/* When the timer for lost packets or probes is due; UINT64_MAX: nothing is in flight. */
uint64_t loss_timer(const struct loss *loss, const struct sent_log *log, const struct rtt *rtt);

#endif
