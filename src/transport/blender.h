/* SPDX-License-Identifier: Apache-2.0
 *
 * The blender (T2-T5): decides whose bytes go next. Streams' buffers stand in rings by priority; the share of a ring in a long run
 * is weight x nReady, whatever its bytes; within a ring buffers take turns of a quantum. Deficit round robin between the rings, and
 * inside a ring round robin with the top rings first within each round.
 */
#ifndef TRANSPORT_BLENDER_H
#define TRANSPORT_BLENDER_H

#include "base/list.h"

#include <stdint.h>

enum { BLENDER_RINGS = 5 };

/* Embed it in a stream. All members belong to the blender. */
struct blend_buffer {
    struct list link;     /* in its ring's list of ready buffers */
    uint64_t bytes;       /* waiting */
    uint64_t boost_bytes; /* of a new stream that still count one ring higher */
    int64_t turn_bytes;   /* left of its turn */
    uint8_t ring;         /* its own */
    uint8_t standing;     /* the ring in which it stands now: its own, or one higher by boost */
    uint8_t weight;
    bool is_member, is_ready;
};

struct blend_ring {
    struct list ready;
    uint64_t sockets, ready_count, bytes; /* nSockets, nReady, nBytes */
    uint64_t sent_bytes, sub_packets;
    int64_t deficit;
};

struct blender {
    struct blend_ring rings[BLENDER_RINGS];
    uint8_t weights[BLENDER_RINGS];
    uint32_t quantum;
    uint32_t boost_bytes; /* first bytes of a stream that count one ring higher: 14 KB */
};

void blender_init(struct blender *blender, const uint8_t weights[BLENDER_RINGS], uint32_t quantum);
void blender_set_weights(struct blender *blender, const uint8_t weights[BLENDER_RINGS]);
void blender_join(struct blender *blender, struct blend_buffer *buffer, uint8_t ring,
                  uint8_t weight);
void blender_leave(struct blender *blender, struct blend_buffer *buffer);
void blender_set_ring(struct blender *blender, struct blend_buffer *buffer, uint8_t ring,
                      uint8_t weight);

/* `bytes` are waiting now in all (and may be sent: flow control permitting); 0: not ready. */
void blender_set_waiting(struct blender *blender, struct blend_buffer *buffer, uint64_t bytes);

/* Whose turn it is, with the most bytes that it should give to a packet with `room` bytes left; NULL: nobody waits. A buffer that
 * alone can fill the packet gets it alone; when many wait with little, the packet mixes them. Bytes really taken are told by blender_took(). */
struct blend_buffer *blender_next(struct blender *blender, uint32_t room, bool packet_is_empty,
                                  uint32_t *most);
void blender_took(struct blender *blender, struct blend_buffer *buffer, uint32_t bytes);

uint64_t blender_waiting(const struct blender *blender); /* bytes over all rings */

#endif
