/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames: what a packet carries once it is opened. A type of one byte, then QUIC varints. The
 * decoder is strict: whatever it does not know or finds malformed ends the session.
 * docs/protocol/transport.md is the specification.
 */
#ifndef TRANSPORT_FRAME_H
#define TRANSPORT_FRAME_H

#include "base/bytes.h"
#include "transport/ack_frequency.h"
#include "transport/ecn.h"
#include "transport/ranges.h"
#include "transport/transport.h"

enum frame_type {
    FRAME_PADDING = 0x00,
    FRAME_PING = 0x01,
    FRAME_ACK = 0x02,
    FRAME_SETTINGS = 0x03,
    FRAME_CLOSE = 0x04,
    FRAME_OPEN = 0x05,
    FRAME_RESET = 0x06,
    FRAME_STREAM_WINDOW = 0x07,
    FRAME_STREAM_PRIORITY = 0x08,
    FRAME_PATH_CHALLENGE = 0x09,
    FRAME_PATH_RESPONSE = 0x0a,
    FRAME_LINK_QUALITY = 0x0b,
    FRAME_PATH_NEW = 0x0c,
    FRAME_PATH_STATUS = 0x0d,
    FRAME_PATH_ABANDON = 0x0e,
    FRAME_STREAM = 0x10, /* to 0x17, by its flags */
    FRAME_DATAGRAM = 0x18,
    FRAME_DATAGRAM_LAST = 0x19, /* fills the packet; read as FRAME_DATAGRAM */
    FRAME_ACK_FREQ = 0x1a,
    FRAME_ACK_NOW = 0x1b,
};

enum {
    FRAME_STREAM_FIN = 1, /* the stream ends with these bytes */
    FRAME_STREAM_LEN = 2, /* a length follows; else the frame fills the packet */
    FRAME_STREAM_OFF = 4, /* an offset follows; else it is 0 */

    FRAME_ACK_RANGES_MAX = 64,
    FRAME_TOKEN_BYTES = 8,
    FRAME_CONTROL_MAX = 80, /* any frame but STREAM and ACK fits */
    FRAME_STREAM_MAX = 25,  /* the head of a STREAM frame */
    FRAME_ACK_HEAD_MAX = 1 + 2 + 8 + 8 + 4 + 3 * 8 + 2 + 8,
    FRAME_ACK_MAX = FRAME_ACK_HEAD_MAX + (FRAME_ACK_RANGES_MAX - 1) * 16,
};
#define FRAME_STREAM_END_MAX VARINT_MAX /* offset + length */

/* What an ACK says besides its ranges. */
struct frame_ack_head {
    uint8_t path;
    uint32_t
        arrival_us;    /* of the largest, by the receiver's clock; wraps, only differences count */
    uint64_t delay_us; /* from then until the frame was written */
    struct ecn_counts ecn;
};

struct frame_ack {
    struct frame_ack_head head;
    uint32_t count;
    struct range ranges[FRAME_ACK_RANGES_MAX]; /* greatest first */
};

/* First in every packet of a session until the other end is known to have it. */
struct frame_settings {
    uint64_t own,
        peer; /* incarnations: the sender's; the receiver's that it wants to go on with, 0: none */
    uint64_t stream_window; /* first credit of each stream */
    uint64_t streams_limit; /* streams that the receiver may have open */
};

struct frame_open {
    uint64_t id;
    struct transport_open open;
};

struct frame_reset {
    uint64_t id, code;
};

struct frame_window {
    uint64_t id, limit;
};

struct frame_priority {
    uint64_t id;
    uint8_t ring, weight;
};

struct frame_quality { /* of packets from the sender of this frame (T8) */
    uint8_t path;
    struct transport_quality quality;
};

struct frame_ack_freq { /* of packets from the sender of this frame */
    uint8_t path;
    struct ack_asking asking;
};

enum frame_path_use {
    FRAME_PATH_USE_ACTIVE = 1,
    FRAME_PATH_USE_STANDBY = 2,
};

struct frame_path {
    uint8_t path;      /* wire id */
    uint8_t use;       /* NEW, STATUS: enum frame_path_use */
    uint64_t sequence; /* STATUS: the greatest counts */
};

struct frame_stream {
    uint64_t id, offset;
    struct span data;
    bool fin;
};

struct frame_datagram {
    uint64_t id;
    struct span data;
};

struct frame {
    enum frame_type type; /* FRAME_STREAM whatever its flags */
    union {
        struct frame_ack ack;
        struct frame_settings settings;
        uint64_t close_code;
        struct frame_open open;
        struct frame_reset reset;
        struct frame_window window;
        struct frame_priority priority;
        uint8_t token[FRAME_TOKEN_BYTES];
        struct frame_quality quality;
        struct frame_path path_change; /* NEW, STATUS, ABANDON */
        struct frame_stream stream;
        struct frame_datagram datagram;
        struct frame_ack_freq ack_freq;
        uint8_t ack_now_path;
    };
};

/* The next frame; a run of PADDING is one. `reader` must not be empty. 0 or ERROR_INVALID. */
MUST_USE int frame_read(struct reader *reader, struct frame *frame);

/* Whether the receiver of such a frame must acknowledge. */
static inline bool frame_is_eliciting(enum frame_type type)
{
    return type != FRAME_PADDING && type != FRAME_ACK && type != FRAME_CLOSE;
}

/* Writers return the position behind the frame. Room: FRAME_CONTROL_MAX but for ACK. */
uint8_t *frame_write_settings(uint8_t *out, const struct frame_settings *settings);
uint8_t *frame_write_close(uint8_t *out, uint64_t code);
uint8_t *frame_write_open(uint8_t *out, uint64_t id, const struct transport_open *open);
uint8_t *frame_write_reset(uint8_t *out, uint64_t id, uint64_t code);
uint8_t *frame_write_window(uint8_t *out, uint64_t id, uint64_t limit);
uint8_t *frame_write_priority(uint8_t *out, uint64_t id, uint8_t ring, uint8_t weight);
uint8_t *frame_write_token(uint8_t *out, enum frame_type type,
                           const uint8_t token[FRAME_TOKEN_BYTES]);
uint8_t *frame_write_ack_freq(uint8_t *out, uint8_t path, const struct ack_asking *asking);
uint8_t *frame_write_ack_now(uint8_t *out, uint8_t path);
uint8_t *frame_write_path(uint8_t *out, enum frame_type type, const struct frame_path *change);
uint8_t *frame_write_quality(uint8_t *out, const struct frame_quality *frame);

/* As many of the greatest ranges as fit before `end`, at most FRAME_ACK_RANGES_MAX; `out` itself
 * when not even one does. */
uint8_t *frame_write_ack(uint8_t *out, const uint8_t *end, const struct frame_ack_head *head,
                         const struct ranges *ranges);

/* The head of a STREAM frame; `length` bytes of data follow it. Without `has_length` it is the
 * packet's last. */
uint8_t *frame_write_stream(uint8_t *out, uint64_t id, uint64_t offset, uint32_t length, bool fin,
                            bool has_length);
/* Likewise of a DATAGRAM. */
uint8_t *frame_write_datagram(uint8_t *out, uint64_t id, uint32_t length, bool has_length);
uint32_t frame_stream_head_bytes(uint64_t id, uint64_t offset, uint32_t length); /* with a length */

#endif
