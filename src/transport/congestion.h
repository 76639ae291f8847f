/* SPDX-License-Identifier: Apache-2.0
 *
 * Congestion control as the core sees it: a strategy is a const table of functions. Each packet belongs to one virtual
 * flow, whose number the send record keeps; the strategy is told of each packet's fate. (T7; RFC 9438, RFC 9002 section 7)
 */
#ifndef TRANSPORT_CONGESTION_H
#define TRANSPORT_CONGESTION_H

#include <stdbool.h>
#include <stdint.h>

enum { CONGESTION_NO_FLOW = 0xffff };

struct congestion_config {
    uint32_t packet_bytes; /* a full packet */
    uint32_t hosted_cap;   /* most connections counted */
    uint64_t
        saved_bdp_bytes;  /* window of a former session on this path, 0: none (careful resume) */
    bool is_ecn_scalable; /* packets carry ECT(1) */
};

/* A packet whose fate became known. */
struct congestion_packet {
    uint16_t
        flow; /* CONGESTION_NO_FLOW: a probe that went beyond the window, never counted as in flight */
    uint32_t bytes;
    uint64_t number;
    uint64_t sent_ns;
    uint64_t
        delivered_at_sent; /* bytes that had been delivered when it was sent, and when (rate samples) */
    uint64_t delivered_ns_at_sent;
    bool app_limited; /* nothing more was waiting when it was sent */
};

struct congestion; /* a strategy's state */

struct congestion_ops {
    const char *name;
    struct congestion *(*create)(const struct congestion_config *config, uint64_t now_ns);
    void (*destroy)(struct congestion *congestion);

    /* The flow that sends the next packet of `bytes`, or CONGESTION_NO_FLOW when the window is full. Counts it as in flight. */
    uint16_t (*take)(struct congestion *congestion, uint32_t bytes, uint64_t number,
                     uint64_t now_ns);
    /* `packet` was acknowledged. `rtt_ns` 0: no sample with it. srtt and min RTT as of now. */
    void (*on_acked)(struct congestion *congestion, const struct congestion_packet *packet,
                     uint64_t rtt_ns, uint64_t srtt_ns, uint64_t min_rtt_ns, uint64_t now_ns);
    void (*on_lost)(struct congestion *congestion, const struct congestion_packet *packet,
                    uint64_t now_ns);
    void (*on_spurious)(struct congestion *congestion, const struct congestion_packet *packet,
                        uint64_t now_ns); /* a loss that was none */
    void (*on_ce)(struct congestion *congestion, const struct congestion_packet *packet,
                  uint64_t now_ns); /* ECN mark on it */
    void (*on_discarded)(struct congestion *congestion,
                         const struct congestion_packet *packet); /* out of flight, fate unknown */
    void (*on_probe_timeout)(struct congestion *congestion, uint32_t in_a_row, uint64_t now_ns);
    void (*set_hosted)(struct congestion *congestion, uint32_t hosted, uint64_t srtt_ns,
                       uint64_t now_ns); /* streams with data queued or unacked */
    void (*set_app_limited)(struct congestion *congestion, bool app_limited, uint64_t now_ns);
    void (*set_packet_bytes)(struct congestion *congestion, uint32_t bytes); /* of a full packet */

    uint64_t (*window_bytes)(const struct congestion *congestion);
    uint64_t (*in_flight_bytes)(const struct congestion *congestion);
    uint64_t (*pacing_bytes_per_s)(const struct congestion *congestion, uint64_t srtt_ns);
    uint32_t (*flows)(const struct congestion *congestion);
    const char *(*mode)(const struct congestion *congestion); /* what governs now, for people */
};

extern const struct congestion_ops congestion_ensemble; /* the default: see ensemble.c */
extern const struct congestion_ops congestion_plain; /* its virtual flows alone: N CUBICs, always */
extern const struct congestion_ops
    congestion_fixed; /* a constant window of hosted_cap packets; for tests and measurements */

#endif
