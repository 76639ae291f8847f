/* SPDX-License-Identifier: Apache-2.0
 *
 * The blender (T2-T5): decides whose bytes go next. Streams' buffers stand in rings by priority; the share of a ring in a long run
 * is weight x nReady, whatever its bytes; within a ring first sites take turns, fair by bytes and weight, then the buffers of a site.
 * A round hands every ring its normalised share
 * (nSendNorm) as a credit; the credits are used up in the order top ring, top two, top three, and so on. What a ring overdraws is
 * taken from its next round, so that no share is off by more than one sub-packet, however long the run.
 *
 * Every decision takes constant time: five rings, and at most sixteen sites and sixteen buffers of less than the default weight.
 */
#ifndef TRANSPORT_BLENDER_H
#define TRANSPORT_BLENDER_H

#include "transport/blend_sites.h"

enum {
    BLENDER_RINGS = 5,
    BLENDER_QUANTUM = 512,       /* a sub-packet, by default (T4) */
    BLENDER_BOOST_BYTES = 14336, /* a stream's first bytes that count one ring higher */
    BLENDER_WEIGHT_DEFAULT = 16, /* of a buffer within its ring: one sub-packet each turn */
};

/* Embed it in a stream. All members belong to the blender. */
struct blend_buffer {
    struct list link; /* in its site's list of ready buffers of the ring */
    struct blend_site *site;
    uint64_t bytes;       /* waiting */
    uint32_t boost_bytes; /* of a new stream that still count one ring higher */
    int32_t turn;     /* sixteenths of a sub-packet that it may give before the next one's turn */
    uint8_t ring;     /* its own */
    uint8_t standing; /* the ring in which it stands now: its own, or one higher by boost */
    uint8_t weight;
    bool is_member, is_ready;
};

/* What blender_join() or blender_set_ring() said; the opening record lies in a cold line of the cache. */
static inline uint8_t blend_buffer_ring(const struct blend_buffer *buffer)
{
    return buffer->ring;
}

/* Counted by where buffers stand now. */
struct blend_ring {
    struct list queues;                   /* of sites with something ready, by turns */
    uint64_t sockets, ready_count, bytes; /* nSockets, nReady, nBytes */
    uint64_t sent_bytes, sub_packets;
    int64_t credit; /* bytes left of this round, times 2^24; negative: overdrawn */
    uint64_t round; /* the last one in which it had something ready */
};

struct blender {
    struct blend_ring rings[BLENDER_RINGS];
    struct blend_sites sites;
    uint8_t weights[BLENDER_RINGS];
    uint32_t quantum;
    uint32_t boost_bytes; /* first bytes of a stream that count one ring higher; 0: no boost */
    uint32_t largest;     /* bytes that were asked of one buffer at once: a site's turn */
    uint64_t round;
    uint8_t depth,
        position; /* of the pass: rings 0 .. depth are asked in turn, `position` is next */
};

/* Weights below 1 count as 1: none starves. */
void blender_init(struct blender *blender, const uint8_t weights[BLENDER_RINGS], uint32_t quantum);
void blender_clear(struct blender *blender); /* all buffers have left */
void blender_set_weights(struct blender *blender, const uint8_t weights[BLENDER_RINGS]);
/* `site` is a number of the opener's: streams of the same number share what their ring has for a site. */
void blender_join(struct blender *blender, struct blend_buffer *buffer, uint16_t site, uint8_t ring,
                  uint8_t weight);
void blender_leave(struct blender *blender, struct blend_buffer *buffer);
void blender_set_ring(struct blender *blender, struct blend_buffer *buffer, uint8_t ring,
                      uint8_t weight);

/* `bytes` are waiting now in all (and may be sent: flow control permitting); 0: not ready. */
void blender_set_waiting(struct blender *blender, struct blend_buffer *buffer, uint64_t bytes);

/* Whose turn it is, with the most bytes that it should give to a packet with `room` bytes left; NULL: nobody waits. A buffer that
 * alone can fill the packet gets it alone; when many wait with little, the packet mixes them. Bytes really taken are told by
 * blender_took(), 0 if it could not give any: its turn is over then. */
struct blend_buffer *blender_next(struct blender *blender, uint32_t room, bool packet_is_empty,
                                  uint32_t *most);
void blender_took(struct blender *blender, struct blend_buffer *buffer, uint32_t bytes);

/* The two whose turn will probably come next in the ring where `buffer` stands, to be brought into the cache meanwhile; false:
 * fewer are ready. */
bool blender_upcoming(const struct blender *blender, const struct blend_buffer *buffer,
                      struct blend_buffer *upcoming[2]);

uint64_t blender_waiting(const struct blender *blender); /* bytes over all rings */

#endif
