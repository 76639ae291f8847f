/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a lane, shared by the files that implement transport.h, one concern each:
 *
 *     transport.c   life cycle, settings, facts      dial.c      handshakes from either side
 *     stream.c      a stream's life                  output.c    what to send when, timers
 *     events.c      what the caller is told          builder.c   one packet
 *     input.c       packets and frames in            recovery.c  acks, loss, probes
 *     connection.c  up, down, sessions that change
 *     path.c        what belongs to one path         feedback.c  what acks tell of a path, quality
 *     stream_order.c  whose bytes come behind whose
 *     paths.c       which paths there are, who carries what
 *
 * A *session* is a set of keys; a *connection* is packet numbers and streams, and survives changes
 * of session between the same two incarnations; the *lane* outlives both. A *path* is where its
 * packets go: packet numbers, acks, loss and congestion are the path's; streams and what they owe
 * are the connection's, so that what one path lost may go by another.
 */
#ifndef TRANSPORT_LANE_H
#define TRANSPORT_LANE_H

#include "base/list.h"
#include "transport/blender.h"
#include "transport/credit.h"
#include "transport/flow.h"
#include "transport/frame.h"
#include "transport/hosting.h"
#include "transport/path.h"
#include "transport/receive_buffer.h"
#include "transport/send_buffer.h"
#include "transport/session.h"
#include "transport/stream_table.h"

enum {
    LANE_TCP_WINDOW_PACKETS = 16384, /* on a path over TCP: more than a connection ever takes */
    LANE_STREAM_WINDOW_MIN = 16384,  /* what a peer may count on before its SETTINGS */
    LANE_STREAM_ROOM_MIN = 16384,
    LANE_STREAM_IDS_AHEAD = 4 * TRANSPORT_STREAMS_LIMIT, /* beyond the oldest id not seen */
    LANE_ZOMBIES_LIMIT = 4096, /* streams kept only to tell the peer of their end */
    LANE_SESSION_SLOTS = TRANSPORT_SESSIONS_PER_LANE,
    LANE_BATCH_BYTES = 65000, /* below what UDP and GSO carry at once */
    LANE_BATCH_PACKETS = 64,
    LANE_SOFT_DIAL_TIMEOUTS = 3, /* probe timeouts in a row before a handshake is tried beside */
};
#define LANE_QUALITY_NS         (1000ull * 1000000)
#define LANE_DIAL_BACKOFF_NS    (250ull * 1000000)
#define LANE_OUT_NS             (1000ull * 1000000) /* silence after which new streams are refused */
#define LANE_SOFT_DIAL_PAUSE_NS (1000ull * 1000000)
#define LANE_PATH_KNOWN_NS      (600ull * 1000000000)

/* Frames that a stream owes the peer. */
enum stream_control {
    CONTROL_OPEN = 1,
    CONTROL_RESET = 2,
    CONTROL_WINDOW = 4,
    CONTROL_PRIORITY = 8,
    CONTROL_FIN = 16, /* an end without bytes */
};

/* Bits of waiting events, in the order in which they are told. */
enum stream_event {
    STREAM_EVENT_OPENED = 1,
    STREAM_EVENT_RING = 2,
    STREAM_EVENT_READABLE = 4,
    STREAM_EVENT_WRITABLE = 8,
    STREAM_EVENT_RESET = 16,
    STREAM_EVENT_DONE = 32,
};

/* A place in the blender: a stream has one for fresh bytes and, once some were lost, one, a ring
 * higher, for those; a flow one more for datagrams. */
struct stream_turn {
    struct blend_buffer buffer;
    struct transport_stream *stream;
    bool is_resend, is_datagram;
};

/* Its datagrams (T12). */
struct stream_flow {
    struct stream_turn turn;
    struct datagram_queue out, in;
};

/* In lines of the cache, by what touches them together: with ten thousand streams every packet finds
 * its stream cold. */
struct transport_stream {
    /* Bytes out: chosen by the blender, copied into a packet, acknowledged. */
    struct stream_turn fresh;
    struct send_buffer out;
    uint64_t id;
    struct transport *transport;
    uint32_t references; /* sent frames that name it */
    uint8_t control;     /* enum stream_control */
    uint8_t control_unacked;
    uint8_t events;      /* enum stream_event */
    uint8_t events_told; /* that happen once */
    bool is_own;         /* opened here */
    bool is_opened;      /* the peer's OPEN has come; true for our own */
    bool is_reset;       /* by either side: no bytes any more */
    bool is_released;    /* the caller has let go, or never knew it */
    bool is_detached;    /* its connection is gone */
    bool wants_room;     /* WRITABLE when there is room again */
    bool is_resending;   /* `resend` is in the blender */
    bool is_busy;        /* `hosting` was told */
    struct list event_link;
    struct stream_flow *flow; /* NULL: no datagram yet */

    /* Bytes in: put in order, told, read. */
    struct receive_buffer in;
    struct credit_window credit;
    struct transport_stream *leader, *follower; /* stream_order.c */
    void *owner;

    /* Seldom. */
    struct hosting_entry hosting;
    struct list control_link, all_link;
    struct stream_turn *resend; /* NULL: nothing was lost yet */
    struct transport_open open;
    uint32_t code;
    uint32_t rings_unacked; /* records of its ring that was told */
    bool ring_again;        /* they may overtake each other: once more when none is left */
    bool is_kept;           /* detached, nothing of it ever left: may be taken back once */
};

/* A last word under keys that are about to be forgotten. */
struct farewell {
    struct session session;
    uint8_t path;
    uint64_t number;
    uint32_t code;
    struct way way;
};

struct dial {
    struct handshake_initiator initiator;
    struct transport_route route; /* of the last INIT */
    bool is_wanted, is_active;    /* a handshake is being tried */
    uint32_t attempts;
    uint32_t turn;                   /* which route is next */
    uint64_t attempt_at_ns, sent_ns; /* the next INIT; the last one */
};

/* What the path carried when it last worked. */
struct known_path {
    uint64_t bdp_bytes; /* 0: nothing is known */
    uint64_t at_ns;
    struct address peer;
};

struct lane_event {
    struct list link;
    uint32_t code;
};

struct transport {
    struct transport_config config;
    struct random random;
    enum transport_state state;
    uint64_t now_ns; /* of the call that runs, or the last one */

    struct handshake_identity identity;
    struct handshake_peer peer;
    struct handshake_replay replay;
    bool has_peer; /* its key is usable */
    struct dial dial;
    struct session current, previous, pending;
    uint64_t previous_until_ns;
    uint32_t next_slot;
    uint64_t incarnation, peer_incarnation; /* of the connection; 0: none */
    bool settings_wait;
    bool is_settings_known; /* the peer has acknowledged those of this session */
    uint8_t resp[HANDSHAKE_RESP_BYTES];
    bool resp_waits;
    struct way resp_way;
    struct farewell farewell;

    struct path paths[PATHS_LIMIT];
    struct path *primary; /* the one that carries data with the shortest round trip, if any does */
    struct transport_route routes[PATHS_LIMIT]; /* the initiator's */
    size_t route_count;
    bool routes_wait;                      /* the table may not agree with them */
    uint64_t path_ids[PATH_IDS / 64];      /* ever used */
    uint64_t abandon_waits[PATH_IDS / 64]; /* to be told */
    uint64_t status_sequence;
    uint32_t working_paths;       /* proven, and not waited for */
    uint64_t partition_at_ns;     /* when shares are drawn again */
    uint32_t hosted;              /* connections (T7), over all paths */
    struct known_path known_path; /* outlives connections */
    struct blender blender;
    struct hosting hosting;
    struct credit credit;
    uint64_t flow_unread; /* memory of datagrams that wait for their readers */
    struct stream_table table;
    struct list streams;  /* all that exist */
    struct list controls; /* streams that owe a frame */
    struct list events;   /* streams with events, and the two below */
    struct lane_event up, down;
    struct ranges peer_ids;           /* ordinals of the peer's streams seen so far */
    struct transport_stream *arrived; /* whose bytes came last; NULL: unknown */
    uint64_t next_ordinal;            /* of our own streams */
    uint64_t peer_window, peer_streams_limit;
    uint32_t own_open, peer_open;     /* streams */
    struct transport_open event_open; /* backs the last event's pointer */
    struct transport_facts counters;  /* only the counting members are used */
    struct transport_trace *trace;    /* NULL: off */
};

/* Open paths, in the order of their slots. */
#define PATHS_EACH(path, transport)                                    \
    for (__typeof__(&(transport)->paths[0]) path = (transport)->paths; \
         path < (transport)->paths + PATHS_LIMIT; path++)              \
        if (path->is_open)

static inline bool stream_is_flow(const struct transport_stream *stream)
{
    return stream->open.flags & TRANSPORT_OPEN_DATAGRAMS;
}

/* A line of the trace; costs a predicted branch when there is none. */
#define LANE_TRACE(transport, kind, path_id, number, a, b, c)                                    \
    trace_event((transport)->trace, (transport)->now_ns, TRACE_##kind, (path_id), (number), (a), \
                (b), (c))

/* ---- events.c */
void event_stream(struct transport_stream *stream, enum stream_event event);
void event_stream_leave(struct transport_stream *stream); /* no more events of it */
void event_up(struct transport *transport);
void event_down(struct transport *transport, uint32_t code);

/* ---- stream.c */
struct transport_stream *stream_new(struct transport *transport, uint64_t id, bool is_own);
void stream_owe(struct transport_stream *stream, enum stream_control control);
void stream_pay(struct transport_stream *stream, uint8_t control); /* bits; sent or moot */
void stream_settle(struct transport_stream *stream); /* after a change: done? to be freed? */
void stream_update(struct transport_stream *stream); /* after a change of bytes: blender, hosting */
void stream_reset_by(struct transport_stream *stream, uint32_t code, bool by_peer);
void stream_set_standing(struct transport_stream *stream); /* open.ring or .weight has changed */
void stream_detach(struct transport_stream *stream, uint32_t code); /* the connection is gone */
void stream_free(struct transport_stream *stream);
void stream_readable(struct transport_stream *stream);
void stream_drop_reference(struct transport_stream *stream);

/* ---- stream_order.c */
void stream_order_note(struct transport_stream *stream); /* bytes have come for it */
void stream_order_leave(struct transport_stream *stream);

/* ---- builder.c */
struct packet_plan {
    uint32_t most;   /* bytes of the packet */
    uint32_t pad_to; /* 0, or the length that it must have when more follow it in the batch */
    uint32_t counted_bytes; /* in flight for congestion control; 0: not counted */
    uint16_t flow;
    uint8_t ecn;           /* the mark that it will carry */
    bool is_narrow;        /* room for tokens only */
    bool may_send_data;    /* else only what congestion control does not hold back */
    bool is_mtu_probe;     /* padded to `most` */
    bool may_send_streams; /* the path carries data of the lane */
};
/* Fills and seals a packet for `path` at `out`; its length, 0 when there was nothing to say. */
uint32_t build_packet(struct transport *transport, struct path *path, uint8_t *out,
                      const struct packet_plan *plan);
uint32_t build_farewell(struct transport *transport, uint8_t *out);

/* ---- output.c */
/* Something that needs the leave of the path's window. */
bool output_has_data(const struct transport *transport, const struct path *path);

/* ---- paths.c */
enum { PATHS_URGENT_RING = 1 }; /* rings up to this one leave a path at its first probe timeout */
struct path *lane_path(struct transport *transport, uint8_t wire_id); /* NULL: none */
/* NULL: the table is full, or the id has been used. */
struct path *paths_open(struct transport *transport, uint8_t wire_id, const struct way *way);
void paths_close(struct transport *transport, struct path *path); /* its frames go by others */
/* NULL: the driver did not give it. */
const struct transport_route *paths_find_route(const struct transport *transport,
                                               const struct transport_route *wanted);
void paths_run(struct transport *transport);       /* routes, carriers */
void paths_choose(struct transport *transport);    /* after a change: who carries */
void paths_partition(struct transport *transport); /* hosted connections */
/* Something of the lane's that this path should carry now. */
bool paths_has_data(const struct transport *transport, const struct path *path);
void paths_read_facts(const struct transport *transport, struct transport_facts *facts);
/* Where another path works, one that is silent while much is under way on it is not waited for as
 * long as a probe timeout counts: that starts with the last packet sent. UINT64_MAX: never. */
uint64_t paths_doubt_at(const struct transport *transport, const struct path *path);
void paths_on_timeout(struct transport *transport, struct path *path);
MUST_USE int paths_on_new(struct transport *transport, struct path *path,
                          const struct frame_path *change);
MUST_USE int paths_on_status(struct transport *transport, const struct frame_path *change);
MUST_USE int paths_on_abandon(struct transport *transport, const struct frame_path *change);
bool paths_was_open(const struct transport *transport, uint8_t wire_id); /* in this connection */
/* Whether a packet on a path that is not known opens it. */
bool paths_is_declared(struct span frames, uint8_t wire_id);

/* ---- recovery.c */
MUST_USE int recovery_on_ack(struct transport *transport, const struct frame_ack *ack);
void recovery_on_timer(struct transport *transport, struct path *path);
void recovery_repair_tail(struct transport *transport, struct path *path); /* is due */
void recovery_on_silence(struct transport *transport, struct path *path);  /* a probe timeout */
void recovery_use_packet_bytes(struct path *path);  /* path->mtu.bytes has changed */
void recovery_forget_congestion(struct path *path); /* another way: start afresh */
/* What is in flight and at least as urgent as `ring`, or not of a stream, is sent by another path. */
void recovery_move(struct transport *transport, struct path *path, uint32_t ring);
void recovery_abandon(struct transport *transport, struct path *path); /* before it closes */

struct congestion_packet recovery_describe(const struct sent_packet *packet, uint64_t number);

/* ---- feedback.c */
/* The ranges of `ack` are settled, their records still there. `rtt_ns` 0: no sample. */
/* The path's round trip with the queue on the way to the peer alone. */
uint64_t feedback_on_rtt(struct path *path, const struct frame_ack *ack, uint64_t rtt_ns);
void feedback_on_ack(struct transport *transport, struct path *path, const struct frame_ack *ack);
void feedback_quality(const struct transport *transport, const struct path *path,
                      struct transport_quality *quality);
void feedback_read_facts(const struct transport *transport, struct transport_facts *facts);

/* ---- dial.c */
void dial_start(struct transport *transport,
                uint32_t attempts); /* `attempts` before: for the backoff */
void dial_run(
    struct transport *transport); /* starts a handshake where one is due beside a session */
void dial_write_init(struct transport *transport, uint8_t out[HANDSHAKE_INIT_BYTES]);
struct transport_hello *dial_hello_new(const struct handshake_responder *responder);
void dial_on_resp(struct transport *transport, struct span packet);
void dial_on_cookie(struct transport *transport, struct span packet);
void dial_on_stateless_close(struct transport *transport, struct span packet);

/* ---- connection.c */
void lane_set_state(struct transport *transport, enum transport_state state);
void lane_run_sessions(struct transport *transport);                       /* ratchet, expiry */
struct session *lane_session(struct transport *transport, uint32_t index); /* NULL: none */
/* The initiator's handshake succeeded: a connection starts, or goes on under new keys. */
void lane_dialled(struct transport *transport, struct handshake_result *result);
/* The first packet under the pending session. 0: that is the current one now; else it is
 * dropped. */
MUST_USE int lane_confirm(struct transport *transport, uint8_t wire_id, struct span frames,
                          const struct way *from);
MUST_USE int lane_on_settings(struct transport *transport, const struct frame_settings *settings);
void lane_down(struct transport *transport, uint32_t code);
void lane_fail(struct transport *transport, uint32_t code); /* tells the peer, then goes down */
void lane_clear_sessions(struct transport *transport);
void lane_reset_connection(struct transport *transport);
/* Afresh: what was learnt holds no more. */
void lane_start_congestion(struct transport *transport, struct path *path);
uint32_t lane_packet_bytes(const struct transport *transport); /* that every carrier takes */
uint64_t lane_window_bytes(const struct transport *transport); /* of all paths */
void lane_random(struct transport *transport, void *out, size_t length); /* unpredictable */

static inline uint64_t lane_keep_ns(const struct transport *transport)
{
    return 3 * rtt_probe_timeout(&transport->primary->rtt);
}

#endif
