/* SPDX-License-Identifier: Apache-2.0
 *
 * How large a path's packets may be (T5): Datagram Packetization Layer Path MTU Discovery (RFC 8899). Starts
 * with what every path must take and probes with padded packets, whose loss says nothing about
 * congestion: first the wanted size, then the common ones below it, then by halves. When large packets
 * are lost while small ones pass, the path is a black hole for them: down to the start at once, and the
 * search again.
 */
#ifndef TRANSPORT_MTU_H
#define TRANSPORT_MTU_H

#include <stdbool.h>
#include <stdint.h>

enum {
    MTU_BASE_BYTES = 1200, /* UDP payload; BASE_PLPMTU */
    MTU_PROBES = 3,        /* lost in a row: the size does not pass; MAX_PROBES */
    MTU_STEP_BYTES = 32,   /* the search ends when it knows this closely */
    MTU_HOLE_LOSSES = 4,   /* large packets lost, none sent later having arrived */
};
#define MTU_RAISE_NS (600ull * 1000000000) /* after which a greater size is tried again */

/* Embed it. */
struct mtu {
    uint16_t most;    /* wanted */
    uint16_t least;   /* what passes without proof */
    uint16_t bytes;   /* proven: no packet but a probe is larger */
    uint16_t failing; /* the smallest size known not to pass; 0: none */
    uint16_t probing; /* the size of the probe under way; 0: none is */
    uint8_t losses;   /* of the size that is tried */
    uint64_t probe_number;
    uint64_t raise_at_ns;   /* a search that ended below `most` begins again */
    uint64_t large_arrived; /* one more than the greatest number of a large packet that arrived */
    uint32_t large_lost;    /* of those sent later */
    uint32_t holes;         /* times that the path fell back */
};

void mtu_init(struct mtu *mtu, uint16_t least, uint16_t most);
void mtu_set_most(struct mtu *mtu, uint16_t most);

/* The size of the probe that should go now; 0: none. */
uint16_t mtu_due(const struct mtu *mtu, uint64_t now_ns);
void mtu_probe_sent(struct mtu *mtu, uint16_t bytes, uint64_t number);

static inline bool mtu_is_probe(const struct mtu *mtu, uint64_t number)
{
    return mtu->probing && number == mtu->probe_number;
}

/* Each packet that settles, probes and others. */
void mtu_on_acked(struct mtu *mtu, uint64_t number, uint32_t bytes, uint64_t now_ns);
void mtu_on_lost(struct mtu *mtu, uint64_t number, uint32_t bytes, uint64_t now_ns);
/* The kernel refused a packet of so many bytes: its interface takes less. */
void mtu_on_refused(struct mtu *mtu, uint32_t bytes, uint64_t now_ns);

#endif
