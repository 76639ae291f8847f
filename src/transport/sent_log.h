/* SPDX-License-Identifier: Apache-2.0
 *
 * What was sent and is not settled: a ring of packet records indexed by packet number, and a ring
 * of frame records that they refer to. No lists; nothing is allocated for a packet. A lost packet's
 * record stays for a while, so that a late ack shows the loss as spurious.
 */
#ifndef TRANSPORT_SENT_LOG_H
#define TRANSPORT_SENT_LOG_H

#include "transport/ranges.h"

struct transport_stream;

enum {
    SENT_PACKETS_LIMIT = 1 << 17, /* unsettled packets */
    SENT_FRAMES_PER_PACKET = 96,
};

/* Frames whose loss or arrival matters. */
enum sent_kind {
    SENT_STREAM, /* bytes of a stream */
    SENT_OPEN,
    SENT_RESET,
    SENT_WINDOW, /* offset: the limit told */
    SENT_PRIORITY,
    SENT_ACK,      /* offset: one more than the largest acknowledged */
    SENT_SETTINGS, /* offset: the session's own index */
    SENT_ACK_FREQ, /* offset: its sequence number */
    SENT_PATH_STATUS,
    SENT_PATH_ABANDON,
    SENT_FORGOTTEN, /* of a stream, and sent again by another path */
};

struct sent_frame {
    struct transport_stream *stream; /* NULL for those of the lane */
    uint64_t offset;
    uint32_t length;
    uint8_t kind; /* enum sent_kind */
    uint8_t path; /* the wire id of the path that it is about: SENT_ACK, SENT_PATH_* */
    bool fin;
};

enum sent_state {
    SENT_IN_FLIGHT,
    SENT_UNTRACKED, /* holds nothing that must arrive: loss is not looked for */
    SENT_LOST,
    SENT_ACKED,
};

struct sent_packet {
    uint64_t sent_ns;
    uint64_t delivered_bytes, delivered_ns; /* of the path when it was sent */
    uint64_t lost_ns;
    uint32_t first_frame; /* running index into the ring of frames */
    uint16_t bytes;
    uint16_t flow;
    uint16_t counted_bytes; /* in flight for congestion control; 0: it does not know this packet */
    uint8_t frames;
    uint8_t state; /* enum sent_state */
    bool app_limited;
    bool is_repaired; /* bytes of its top rings were sent once more (tail repair) */
    bool is_moved;    /* its frames were handed back before it was known to be lost */
    bool is_marked;   /* sent with an ECN mark that no CE report has claimed yet */
};

/* Zero-initialised is empty. */
struct sent_log {
    struct sent_packet *packets;
    struct sent_frame *frames;
    uint64_t oldest, next;                      /* records exist for [oldest, next) */
    uint64_t first_open;                        /* no packet below it is in flight */
    uint32_t packets_capacity, frames_capacity; /* powers of two */
    uint32_t frames_tail, frames_head;          /* running */
    uint32_t in_flight;                         /* packets */
    struct ranges acked; /* numbers in [oldest, next) known to have arrived */
};

void sent_log_clear(struct sent_log *log);
bool sent_log_is_full(const struct sent_log *log);

/* The record of packet `log->next`; frames are added with sent_log_frame() until
 * sent_log_commit(). */
struct sent_packet *sent_log_begin(struct sent_log *log);
struct sent_frame *sent_log_frame(struct sent_log *log); /* uninitialised */
void sent_log_commit(struct sent_log *log, enum sent_state state);
void sent_log_cancel(struct sent_log *log); /* instead of commit */

static inline struct sent_packet *sent_log_packet(const struct sent_log *log, uint64_t number)
{
    return &log->packets[number & (log->packets_capacity - 1)];
}

static inline struct sent_frame *sent_log_frame_at(const struct sent_log *log,
                                                   const struct sent_packet *packet, uint32_t i)
{
    return &log->frames[(packet->first_frame + i) & (log->frames_capacity - 1)];
}

/* Settles the state of a packet: the count of packets in flight and first_open follow. */
void sent_log_set_state(struct sent_log *log, uint64_t number, enum sent_state state);

/* Forgets the oldest record; its frames' references are the caller's business. log->oldest <
 * log->next. */
void sent_log_retire(struct sent_log *log);

#endif
