/* SPDX-License-Identifier: Apache-2.0
 *
 * The connections that a tunnel stands for (T7): each virtual flow is a plain CUBIC, every packet belongs to one of them, a loss cuts
 * only the flow that it hit, once per round; the tunnel's window is the sum. Flows come and go with the hosted connections.
 *
 * hosted, smoothed over 4 RTT -> connections -> flows: they join with a small window, or the mean of the others if that is smaller,
 * and leave with theirs. Beyond 256 connections a flow stands for several, and takes less than they would (the cut of one is a cut
 * for all of them: half the share at four to one, measured in tests/sim; hence 256 flows and not the 64 of the first design).
 */
#ifndef TRANSPORT_VIRTUAL_FLOWS_H
#define TRANSPORT_VIRTUAL_FLOWS_H

#include "transport/congestion.h"
#include "transport/cubic.h"

enum {
    VIRTUAL_FLOWS_MAX = 256,
    VIRTUAL_FLOW_INITIAL_WINDOW = 10, /* packets (RFC 9002 section 7.2) */
};

struct virtual_flow {
    struct cubic cubic;
    struct cubic before_cut;  /* what an undo restores */
    uint64_t window_bytes;    /* of all its connections */
    uint64_t in_flight_bytes; /* outlives the flow: packets sent by a former holder of its number */
    uint64_t peak_bytes;      /* most in flight in this round */
    uint64_t last_peak_bytes; /* and in the one before */
    uint64_t joined_number;   /* packets from here on are its own */
    uint64_t cut_number;      /* packets below were sent before its last cut */
    uint32_t losses;          /* of the round that was cut for, not yet found spurious */
    bool is_cut_undoable;
};

struct virtual_flows {
    uint32_t packet_bytes;
    uint32_t hosted_cap;
    uint32_t hosted;     /* as told, capped */
    double connections;  /* N: hosted, smoothed */
    double multiplicity; /* N / flows, at least 1 */
    uint64_t smoothed_ns;
    uint32_t count;
    uint32_t next_flow;
    uint64_t next_number;  /* of the packet that will be taken next */
    uint64_t window_bytes; /* sum over flows */
    uint64_t in_flight_bytes;
    uint64_t has_room[VIRTUAL_FLOWS_MAX / 64]; /* a bit for each flow: a packet fits its window */
    uint32_t made;                             /* of `flow`; they outlive their leaving */
    struct virtual_flow *flow;
};

void virtual_flows_init(struct virtual_flows *flows, uint32_t packet_bytes, uint32_t hosted_cap,
                        uint64_t now_ns);
/* Full packets have another size from now on: the windows stay what they are in bytes. */
void virtual_flows_set_packet_bytes(struct virtual_flows *flows, uint32_t packet_bytes);
void virtual_flows_clear(struct virtual_flows *flows);

/* Connections come and go. */
void virtual_flows_set_hosted(struct virtual_flows *flows, uint32_t hosted, uint64_t srtt_ns,
                              uint64_t now_ns);
/* A round of the path is over: N follows `hosted`, and what each flow used of its window is noted. */
void virtual_flows_next_round(struct virtual_flows *flows, uint64_t srtt_ns, uint64_t now_ns);

/* Packets leave. A flow with room (CONGESTION_NO_FLOW: none has any), or the next one whatever its
 * room; then the packet is its. */
uint16_t virtual_flows_with_room(const struct virtual_flows *flows);
uint16_t virtual_flows_next(const struct virtual_flows *flows);
void virtual_flows_took(struct virtual_flows *flows, uint16_t flow, uint32_t bytes,
                        uint64_t number);

/* Packets settle; `flow` is a flow's number, never CONGESTION_NO_FLOW. */
void virtual_flows_left_flight(struct virtual_flows *flows, const struct congestion_packet *packet);
void virtual_flows_grow(struct virtual_flows *flows, const struct congestion_packet *packet,
                        uint64_t srtt_ns, uint64_t now_ns);
/* Acknowledged while something else governs: no growth, and the time does not count. */
void virtual_flows_rest(struct virtual_flows *flows, const struct congestion_packet *packet,
                        uint64_t now_ns);
/* A loss or a mark: the flow that it hit is left `keep` of its window, once for all that it had in
 * flight. */
void virtual_flows_cut(struct virtual_flows *flows, const struct congestion_packet *packet,
                       double keep, bool is_undoable);
/* Once every loss of the round turns out to have been reordering, the cut is taken back. */
void virtual_flows_uncut(struct virtual_flows *flows, const struct congestion_packet *packet);

/* All flows at once. */
void virtual_flows_collapse(struct virtual_flows *flows); /* persistent congestion */
void virtual_flows_leave_slow_start(struct virtual_flows *flows);
void virtual_flows_jump(struct virtual_flows *flows, uint64_t window_bytes); /* upwards only */
/* The jump went too far: all begin anew at what is proven, and none of the packets under way counts
 * against them again. */
void virtual_flows_retreat(struct virtual_flows *flows, uint64_t window_bytes);
/* Equal shares of a window that the path is known to bear, as after a cut. */
void virtual_flows_restart(struct virtual_flows *flows, uint64_t window_bytes);

#endif
